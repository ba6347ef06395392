#include "runtime/node/outlier_options.hpp"

#include <optional>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

constexpr milliseconds day{86'400'000};

} // namespace

const config::table<outlier_options>& outlier_table() {
  using c = outlier_options;
  static const config::table<c> rows = config::table<c>{
    option{"enabled", &c::enabled, "Whether members that do worse than the others are ejected."},
    option{"consecutive_failures_max", &c::consecutive_failures_max, 0u, 1'000'000u,
           "Failures in a row that eject a member; 0: they do not."},
    option{"interval_ms", &c::interval, milliseconds{100}, day,
           "How often success rates are compared."},
    option{"ejection_ms", &c::ejection, milliseconds{10}, day,
           "How long a member's first ejection takes; the n-th takes n times as long."},
    option{"ejection_max_ms", &c::ejection_max, milliseconds{10}, day, "But no longer than this."},
    option{"ejected_share_max", &c::ejected_share_max, 0.0, 1.0,
           "The largest share of the members that is out at once; one may always be."},
    option{"members_min", &c::members_min, 2u, 10'000u,
           "With fewer members nobody is ejected: each one's breaker does the work."},
    option{"healthy_share_min", &c::healthy_share_min, 0.0, 1.0,
           "The share of the members that must remain in and willing; nobody is ejected below it, "
           "and the ejected come back."},
    option{"rate_members_min", &c::rate_members_min, 3u, 10'000u,
           "Success rates are compared when so many members had rate_calls_min calls each."},
    option{"rate_calls_min", &c::rate_calls_min, 1u, 1'000'000u, "Calls within interval_ms."},
    option{"rate_sigmas", &c::rate_sigmas, 0.1, 100.0,
           "A success rate that many standard deviations below the mean ejects."},
  }.check([](const c& from) -> std::optional<config::violation> {
    if (from.ejection <= from.ejection_max)
      return std::nullopt;
    return config::violation{"ejection_ms", "must not be above ejection_max_ms"};
  });
  return rows;
}

const config::table<slow_start_options>& slow_start_table() {
  using c = slow_start_options;
  static const config::table<c> rows{
    option{"window_ms", &c::window, milliseconds{0}, day,
           "How long a member that came back takes to get its full share again; 0: at once."},
    option{"aggression", &c::aggression, 0.1, 10.0,
           "1: its share grows evenly; above, faster at first; below, slower."},
    option{"weight_min", &c::weight_min, 0.01, 1.0, "The part of its share it begins with."},
  };
  return rows;
}

flow::outlier_config rules_of(const outlier_options& from) {
  flow::outlier_config made;
  made.consecutive_failures_max = from.consecutive_failures_max;
  made.interval = from.interval;
  made.ejection = from.ejection;
  made.ejection_max = from.ejection_max;
  made.ejected_share_max = from.ejected_share_max;
  made.members_min = from.members_min;
  made.healthy_share_min = from.healthy_share_min;
  made.rate_members_min = from.rate_members_min;
  made.rate_calls_min = from.rate_calls_min;
  made.rate_sigmas = from.rate_sigmas;
  return made;
}

flow::slow_start_config rules_of(const slow_start_options& from) {
  flow::slow_start_config made;
  made.window = from.window;
  made.aggression = from.aggression;
  made.weight_min = from.weight_min;
  return made;
}

} // namespace skep::actors
