#pragma once

#include "actors/metric_names.hpp"
#include "runtime/io/metric_names.hpp"
#include "runtime/telemetry/window_history.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::actors {

/// The metrics whose growth over the last minutes the performance API tells of.
inline constexpr std::array watched_metrics{&metric::pool_checkouts,
                                            &metric::pool_refused,
                                            &metric::pool_spawned,
                                            &metric::pool_evicted,
                                            &metric::pool_discarded,
                                            &metric::provider_requests,
                                            &metric::gateway_cache,
                                            &io::metric::redis_client_refused,
                                            &io::metric::redis_connections_lost};

/// Whether the metric of this name is one of them.
bool is_watched(std::string_view name);

/// One of watched_metrics; the compiler refuses any other, of which no history is kept.
class watched_metric {
public:
  consteval watched_metric(const telemetry::metric_info& what) // NOLINT: stands for its metric.
    : what_(&what) {
    // By name: with a sanitizer g++ takes no comparison of addresses for a constant.
    if (std::none_of(watched_metrics.begin(), watched_metrics.end(),
                     [&](const auto* each) { return each->is(what.name); }))
      throw "this metric is not among the watched_metrics";
  }
  constexpr const telemetry::metric_info& info() const {
    return *what_;
  }

private:
  const telemetry::metric_info* what_;
};

/// By how much the watched metrics grew over the last while.
class watched_growth {
public:
  watched_growth() = default;
  explicit watched_growth(telemetry::window_growth grown) : grown_(std::move(grown)) {}

  /// The time it covers; zero when there was no sample to compare with.
  duration covered() const {
    return grown_.covered;
  }
  const std::vector<telemetry::series_snapshot>& series(watched_metric of) const {
    return telemetry::series_of(grown_.series, of.info());
  }
  double sum(watched_metric of, std::string_view label_value = {}) const {
    return telemetry::sum_of(grown_.series, of.info(), label_value);
  }

private:
  telemetry::window_growth grown_;
};

} // namespace skep::actors
