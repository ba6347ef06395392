#pragma once

#include "runtime/telemetry/registry.hpp"

#include <string>
#include <string_view>

namespace skep::telemetry {

/// The Content-Type of prometheus_text.
inline constexpr std::string_view prometheus_content_type
  = "text/plain; version=0.0.4; charset=utf-8";

/// The Content-Type of json_text.
inline constexpr std::string_view json_content_type = "application/json";

/// All metrics in the Prometheus text format 0.0.4. A histogram gives `_bucket`, `_sum` and
/// `_count`; its p50, p95 and p99 since the start follow as gauges `<name>_p50` …, because one name
/// cannot be histogram and summary at once. Those three are NaN while nothing was recorded.
std::string prometheus_text(const registry& metrics);

/// All metrics as one JSON object: {"name": {"type", "help", "series": [{"labels", "value"}]}}; a
/// histogram's series has count, sum, max, mean, p50, p95, p99 (null while empty) and buckets
/// [{"le", "count"}] in place of value. Values that are no finite number are null.
std::string json_text(const registry& metrics);

} // namespace skep::telemetry
