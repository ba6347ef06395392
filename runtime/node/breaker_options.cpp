#include "runtime/node/breaker_options.hpp"

namespace skep::actors {

breaker_options eager_breaker() {
  breaker_options made;
  made.open_min = std::chrono::milliseconds{500};
  made.open_max = std::chrono::milliseconds{5'000};
  return made;
}

const config::table<breaker_options>& breaker_table() {
  using c = breaker_options;
  using config::option;
  using std::chrono::milliseconds;
  constexpr milliseconds one{1};
  constexpr milliseconds day{86'400'000};
  static const config::table<c> rows = config::table<c>{
    option{"failures_max", &c::failures_max, 1u, 1'000'000u,
           "Failures in a row that open the circuit."},
    option{"failure_rate_max", &c::failure_rate_max, 0.01, 1.0,
           "A share of failures at or above this opens it, too."},
    option{"rate_samples_min", &c::rate_samples_min, 1u, 1'000'000u,
           "Below this many calls in the window the share says nothing."},
    option{"rate_window_ms", &c::rate_window, milliseconds{100}, day, "The window of the share."},
    option{"open_min_ms", &c::open_min, one, day,
           "How long it stays open at first; doubles each time."},
    option{"open_max_ms", &c::open_max, one, day, "The doubling ends here."},
  }.check([](const c& from) -> std::optional<config::violation> {
    if (from.open_min <= from.open_max)
      return std::nullopt;
    return config::violation{"open_min_ms", "must not be above open_max_ms"};
  });
  return rows;
}

rt::guard_config guard_of(const breaker_options& from) {
  rt::guard_config guard;
  guard.breaker.failures_max = from.failures_max;
  guard.breaker.failure_rate_max = from.failure_rate_max;
  guard.breaker.rate_samples_min = from.rate_samples_min;
  guard.breaker.rate_window = from.rate_window;
  guard.breaker.open_min = from.open_min;
  guard.breaker.open_max = from.open_max;
  return guard;
}

} // namespace skep::actors
