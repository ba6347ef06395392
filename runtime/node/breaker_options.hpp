#pragma once

#include "runtime/actor/guard.hpp"
#include "runtime/config/option.hpp"

#include <chrono>
#include <cstdint>

namespace skep::actors {

/// The options of a circuit breaker, as a table in the section of what it protects.
struct breaker_options {
  std::uint32_t failures_max = 5;
  double failure_rate_max = 0.5;
  std::uint32_t rate_samples_min = 20;
  std::chrono::milliseconds rate_window{10'000};
  std::chrono::milliseconds open_min{1'000};
  std::chrono::milliseconds open_max{60'000};
};

/// For what is near and cheap to ask (a Redis, a disk): when it works again, that is found soon.
breaker_options eager_breaker();

const config::table<breaker_options>& breaker_table();

/// A guard with such a breaker.
rt::guard_config guard_of(const breaker_options& from);

} // namespace skep::actors
