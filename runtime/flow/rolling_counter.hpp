#pragma once

#include "runtime/base/clock.hpp"

#include <cstdint>
#include <vector>

namespace skep::flow {

/// Counts events of the last `window`, in a ring of fixed buckets that expire by themselves: no
/// timer, no sweep. The far edge is exact to one bucket. Not thread-safe.
class rolling_counter {
public:
  /// Both arguments must be positive, and the window at least one tick per bucket.
  rolling_counter(duration window, std::uint32_t buckets);

  /// Counts `n` events at `now`. A `now` slightly older than the last one is fine: callers read the
  /// clock before they take a lock.
  void add(time_point now, std::uint64_t n = 1);

  /// The events of the buckets that are still inside the window. O(buckets).
  [[nodiscard]] std::uint64_t total(time_point now) const;

  /// Forgets everything.
  void clear();

  /// Appends numbers such that two counters with equal numbers behave alike from `now` on: for
  /// tests that explore a state space.
  void append_fingerprint(std::vector<std::int64_t>& out, time_point now) const;

private:
  struct bucket {
    std::int64_t epoch = -1; // Which bucket-width of time the count belongs to.
    std::uint64_t count = 0;
  };

  [[nodiscard]] std::int64_t epoch_of(time_point now) const;
  [[nodiscard]] bool live(const bucket& b, std::int64_t epoch) const;

  duration width_;
  std::vector<bucket> buckets_;
};

} // namespace skep::flow
