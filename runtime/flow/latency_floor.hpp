#pragma once

#include "runtime/base/clock.hpp"

#include <array>
#include <cstdint>

namespace skep::flow {

/// The fastest answer of late: who has less time left than that cannot get one. The minimum of two
/// half windows, the present and the one before, so that it forgets by itself and somebody who was
/// turned away wrongly is so for one window at most. O(1). Not thread-safe.
class latency_floor {
public:
  /// Looks back on at least half of `window`; says nothing on fewer than `samples_min` answers.
  latency_floor(duration window, std::uint32_t samples_min);

  void add(duration latency, time_point now);

  /// Zero while nothing is known.
  [[nodiscard]] duration value(time_point now) const;

private:
  struct half {
    std::int64_t epoch = -1; // Which half window of time it belongs to.
    duration least{};
    std::uint32_t samples = 0;
  };

  duration width_;
  std::uint32_t samples_min_;
  std::array<half, 2> halves_;
};

} // namespace skep::flow
