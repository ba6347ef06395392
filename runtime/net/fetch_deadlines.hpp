#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/net/fetch_types.hpp"

#include <optional>
#include <set>
#include <utility>

namespace skep::net {

/// The next deadline of every running transfer, exactly one entry each. Deadlines that move later
/// (every piece of a body moves the idle one) are left alone and looked at again when they fire.
/// Fetch thread only.
class fetch_deadlines {
public:
  /// Makes `at` the transfer's deadline unless the one in `armed` comes first anyway.
  void arm_by(fetch_id id, std::optional<time_point>& armed, time_point at) {
    if (armed && *armed <= at)
      return;
    disarm(id, armed);
    armed = at;
    entries_.emplace(at, id);
  }

  void disarm(fetch_id id, std::optional<time_point>& armed) {
    if (armed)
      entries_.erase({*armed, id});
    armed.reset();
  }

  std::optional<time_point> next() const {
    return entries_.empty() ? std::nullopt : std::optional{entries_.begin()->first};
  }

  /// The id with the earliest deadline at or before `now`, or nothing. It stays armed.
  std::optional<fetch_id> due(time_point now) const {
    if (entries_.empty() || entries_.begin()->first > now)
      return std::nullopt;
    return entries_.begin()->second;
  }

private:
  std::set<std::pair<time_point, fetch_id>> entries_;
};

} // namespace skep::net
