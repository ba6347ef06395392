#pragma once

#include "runtime/telemetry/histogram.hpp"
#include "runtime/telemetry/metric.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace skep::telemetry {

/// Names and values that tell the series of one metric apart. Values come from closed sets, never
/// from ids of agents, requests or users.
using label_set = std::vector<std::pair<std::string, std::string>>;

enum class metric_kind : std::uint8_t { counter, gauge, histogram };

/// Bounds in seconds of OpenTelemetry's GenAI durations: 10 ms, doubling up to 81.92 s.
std::vector<double> duration_boundaries();

/// How a histogram is shown. What is recorded stays the same.
struct histogram_options {
  /// Upper bounds of the exposed buckets, ascending, in the exposed unit.
  std::vector<double> boundaries = duration_boundaries();
  /// Exposed unit per recorded one: nanoseconds become seconds; 1.0 for tokens and bytes.
  double scale = 1e-9;
};

/// One series as it was at the moment of collection. A histogram is 5 KB and most series are none,
/// so it stands apart; it is never null.
using shared_histogram = std::shared_ptr<const local_histogram>;
struct series_snapshot {
  label_set labels;
  std::variant<std::uint64_t, std::int64_t, double, shared_histogram> value;
};

/// One metric with all its series, at least one.
struct family_snapshot {
  std::string name;
  std::string help;
  metric_kind kind = metric_kind::counter;
  histogram_options options;
  std::vector<series_snapshot> series;
};

/// Keeps a callback in the registry; its end removes the callback and waits for one that runs right
/// now, so what the callback reads may be destroyed after it. May outlive the registry. Must not be
/// destroyed by its own callback.
class [[nodiscard]] registration {
public:
  struct callback;

  registration() = default;
  explicit registration(std::shared_ptr<callback> what);
  registration(registration&&) noexcept = default;
  registration& operator=(registration&& other) noexcept;
  ~registration();

private:
  std::shared_ptr<callback> callback_;
};

/// What a registry may hold.
struct registry_config {
  /// Series per metric. Further ones share a series labelled overflow="true" (as OpenTelemetry's
  /// cardinality limit does), callbacks past it are not shown; both count in
  /// skep_telemetry_series_refused_total.
  std::size_t series_max = 2000;
};

/// All metrics of a node. A handle lives as long as the registry; asking again for the same name
/// and labels gives the same handle, so that a restarted actor goes on counting. Registering takes
/// a mutex, using a handle never does. Thread-safe.
///
/// Names and labels are written in the source, so these are bugs (SKEP_ASSERT): a name used with
/// two kinds, a name Prometheus does not allow, a name that a histogram's series already have.
class registry {
public:
  explicit registry(registry_config config = {});
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;
  ~registry();

  /// A name ends in `_total`.
  telemetry::counter& counter(std::string_view name, std::string_view help, label_set labels = {});
  telemetry::gauge& gauge(std::string_view name, std::string_view help, label_set labels = {});
  /// The options of the name's first registration hold. Durations end in `_seconds`.
  telemetry::histogram& histogram(std::string_view name, std::string_view help,
                                  label_set labels = {}, histogram_options options = {});

  /// A gauge read at collection, on the collecting thread. It may take locks, and may not collect.
  /// A newer callback for the same series replaces the older one; one that throws is left out.
  registration gauge_callback(std::string_view name, std::string_view help, label_set labels,
                              std::function<double()> read);
  /// A counter somebody else keeps, read at collection. It must never fall.
  registration counter_callback(std::string_view name, std::string_view help, label_set labels,
                                std::function<double()> read);

  /// Reads everything, ordered by name and labels. Callbacks run without the registry's mutex.
  std::vector<family_snapshot> collect() const;
  /// The same of the metrics whose names `wanted` says yes to; the others cost nothing.
  std::vector<family_snapshot>
  collect_if(const std::function<bool(std::string_view name)>& wanted) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::telemetry
