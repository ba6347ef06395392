#pragma once

#include <caf/actor.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace skep::rt {

/// Names to handles: "agent/support", "cache/0", "provider/openai". Read when actors are wired, not
/// per message. Thread-safe.
class directory {
public:
  /// False when the name is taken.
  bool add(std::string name, caf::actor who);
  void remove(std::string_view name);
  /// A null handle when nobody has the name.
  caf::actor find(std::string_view name) const;
  /// All names that begin with `prefix`, sorted.
  std::vector<std::string> names(std::string_view prefix) const;
  /// Grows with every change, so that what was found may be kept until then.
  std::uint64_t changes() const {
    return changes_.load(std::memory_order_acquire);
  }
  /// Forgets everybody, so that handles do not keep a stopping node's actors.
  void clear();

private:
  std::atomic<std::uint64_t> changes_{0};
  mutable std::shared_mutex mutex_; // Guards entries_.
  std::map<std::string, caf::actor, std::less<>> entries_;
};

} // namespace skep::rt
