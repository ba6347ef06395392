#pragma once

#include <chrono>
#include <cstdint>

namespace skep {

/// Seconds since 1970, for those who are told when something happened. Deadlines have
/// runtime/base/clock.hpp.
inline std::int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::floor<std::chrono::seconds>(now).count();
}

} // namespace skep
