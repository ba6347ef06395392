#pragma once

#include "runtime/actor/guard.hpp"
#include "runtime/config/option.hpp"
#include "runtime/node/breaker_options.hpp"

#include <chrono>
#include <cstdint>

namespace skep::actors {

/// The options of an adaptive limit, as the table `limit` in the section of what it protects.
struct limit_options {
  bool adaptive = false;
  std::uint32_t initial = 20;
  std::uint32_t min = 4;
  std::uint32_t max = 200;
  double tolerance = 1.5;
  double smoothing = 0.2;
  std::uint32_t headroom = 4;
  std::chrono::milliseconds window{1'000};
};

const config::table<limit_options>& limit_table();

/// How long a spent quota closes a route, as the table `quota`.
struct quota_options {
  std::chrono::milliseconds hold{60'000};
  std::chrono::milliseconds hold_max{600'000};
};

const config::table<quota_options>& quota_table();

/// All that admission to one upstream route is told: docs/upstream-policy.md.
struct upstream_options {
  std::uint32_t in_flight_max = 100'000;
  /// A call with less time left is refused.
  std::chrono::milliseconds remaining_min{0};
  limit_options limit;
  quota_options quota;
  breaker_options breaker;
};

/// The guard of such a route.
rt::guard_config guard_of(const upstream_options& from);

} // namespace skep::actors
