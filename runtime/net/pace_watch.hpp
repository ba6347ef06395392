#pragma once

#include "runtime/base/clock.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace skep::net {

/// Watches over bytes that must move at a least rate: in every window of time at least
/// `rate_min_bytes` a second, and one byte in any case. Pure: time is passed in. Not thread-safe.
class pace_watch {
public:
  pace_watch(std::chrono::milliseconds window, std::size_t rate_min_bytes) noexcept
    : window_(window), window_min_bytes_(std::max<std::uint64_t>(
                         1, static_cast<std::uint64_t>(rate_min_bytes)
                              * static_cast<std::uint64_t>(window.count()) / 1000)) {}

  /// Begins to watch; `moved` is how many bytes have moved ever.
  void begin(time_point now, std::uint64_t moved) noexcept {
    ends_ = now + window_;
    moved_before_ = moved;
  }
  /// Nothing waits to be moved.
  void stop() noexcept {
    ends_ = time_point::max();
  }
  [[nodiscard]] bool watching() const noexcept {
    return ends_ != time_point::max();
  }
  [[nodiscard]] bool window_over(time_point now) const noexcept {
    return now >= ends_;
  }
  /// Ends a window that is over: true, and the next one begins, when enough has moved in it.
  bool next_window(time_point now, std::uint64_t moved) noexcept {
    if (moved - moved_before_ < window_min_bytes_)
      return false;
    begin(now, moved);
    return true;
  }

private:
  std::chrono::milliseconds window_;
  std::uint64_t window_min_bytes_;
  std::uint64_t moved_before_ = 0;
  time_point ends_ = time_point::max();
};

} // namespace skep::net
