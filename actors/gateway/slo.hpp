#pragma once

#include "runtime/config/option.hpp"

#include <cstdint>
#include <string_view>

namespace skep::actors {

/// One service level objective: three thresholds that part four bands.
struct slo_bands {
  double excellent = 0;
  double target = 0;
  double action = 0;
};

/// `[gateway.slo]`: what the performance indicators of health-detailed are graded against. The
/// defaults suit answers from caches and quick models; agents that think take longer.
struct slo_config {
  slo_bands latency_p50_ms{50, 100, 200};
  slo_bands latency_p95_ms{200, 500, 1000};
  slo_bands latency_p99_ms{500, 1000, 2000};
  slo_bands cpu_percent{50, 70, 85};
  slo_bands memory_percent{60, 80, 90};
  slo_bands success_percent{99.9, 99, 98};
  slo_bands error_percent{0.1, 1, 2};
};

/// Rows and help of `[gateway.slo]`.
const config::table<slo_config>& slo_table();

/// How good a value is: at least as good as excellent, as target, between target and action, or
/// past action.
enum class slo_grade : std::uint8_t { excellent, target, watch, action };

/// Grades a value. Where excellent is below action smaller is better, else larger.
slo_grade grade_of(double value, const slo_bands& bands);

/// "excellent", "target", "watch", "action".
std::string_view word_of(slo_grade grade);

} // namespace skep::actors
