#include "runtime/node/upstream_options.hpp"

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;
constexpr milliseconds one{1};
constexpr milliseconds day{86'400'000};

} // namespace

const config::table<limit_options>& limit_table() {
  using c = limit_options;
  static const config::table<c> rows = config::table<c>{
    option{"adaptive", &c::adaptive,
           "Find out from latency and from overload the upstream reports how many calls at work "
           "it serves without queueing them, and refuse further ones."},
    option{"initial", &c::initial, 1u, 1'000'000u, "The limit until something is known."},
    option{"min", &c::min, 1u, 1'000'000u, "It never falls below this."},
    option{"max", &c::max, 1u, 1'000'000u,
           "It never rises above this; choose what the upstream survives, for under lasting mild "
           "overload the limit creeps up."},
    option{"tolerance", &c::tolerance, 1.0, 10.0,
           "Recent latency may exceed the long-term one by this factor before the limit falls."},
    option{"smoothing", &c::smoothing, 0.01, 1.0, "Weight of a new limit against the old one."},
    option{"headroom", &c::headroom, 1u, 1'000u,
           "Calls added per window, times smoothing: how fast the limit grows."},
    option{"window_ms", &c::window, milliseconds{10}, day,
           "Results are gathered this long before the limit moves."},
  }.check([](const c& from) -> std::optional<config::violation> {
    if (from.min > from.max)
      return config::violation{"min", "must not be above max"};
    if (from.initial < from.min || from.initial > from.max)
      return config::violation{"initial", "must lie between min and max"};
    return std::nullopt;
  });
  return rows;
}

const config::table<quota_options>& quota_table() {
  using c = quota_options;
  static const config::table<c> rows = config::table<c>{
    option{"hold_ms", &c::hold, one, day,
           "How long nothing is sent after the account's quota was found spent; then one call "
           "tries, and while it is still spent the time doubles."},
    option{"hold_max_ms", &c::hold_max, one, day,
           "The doubling ends here; a longer Retry-After of the provider is cut to it."},
  }.check([](const c& from) -> std::optional<config::violation> {
    if (from.hold <= from.hold_max)
      return std::nullopt;
    return config::violation{"hold_ms", "must not be above hold_max_ms"};
  });
  return rows;
}

rt::guard_config guard_of(const upstream_options& from) {
  auto guard = guard_of(from.breaker);
  guard.in_flight_max = from.in_flight_max;
  guard.remaining_min = from.remaining_min;
  guard.use_limit = from.limit.adaptive;
  guard.limit.limit_initial = from.limit.initial;
  guard.limit.limit_min = from.limit.min;
  guard.limit.limit_max = from.limit.max;
  guard.limit.tolerance = from.limit.tolerance;
  guard.limit.smoothing = from.limit.smoothing;
  guard.limit.headroom = from.limit.headroom;
  guard.limit.sample_window = from.limit.window;
  guard.use_quota_hold = true;
  guard.quota_hold = from.quota.hold;
  guard.quota_hold_max = from.quota.hold_max;
  return guard;
}

} // namespace skep::actors
