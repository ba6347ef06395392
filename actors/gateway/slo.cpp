#include "actors/gateway/slo.hpp"

namespace skep::actors {

namespace {

using config::option;

const config::table<slo_bands>& bands_table() {
  constexpr double most = 1e9;
  static const config::table<slo_bands> rows
    = config::table<slo_bands>{
        option{"excellent", &slo_bands::excellent, 0.0, most, "As good as this, or better."},
        option{"target", &slo_bands::target, 0.0, most, "What is promised."},
        option{"action", &slo_bands::action, 0.0, most,
               "Worse than this, and the node counts as degraded."},
      }
        .check([](const slo_bands& b) -> std::optional<config::violation> {
          const bool falling = b.excellent >= b.target && b.target >= b.action;
          const bool rising = b.excellent <= b.target && b.target <= b.action;
          if (falling || rising)
            return std::nullopt;
          return config::violation{"target", "must lie between excellent and action"};
        });
  return rows;
}

} // namespace

const config::table<slo_config>& slo_table() {
  using c = slo_config;
  const auto& bands = bands_table();
  static const config::table<c> rows{
    option{"latency_p50", &c::latency_p50_ms, bands, "Median response time, milliseconds."},
    option{"latency_p95", &c::latency_p95_ms, bands, "95th percentile, milliseconds."},
    option{"latency_p99", &c::latency_p99_ms, bands, "99th percentile, milliseconds."},
    option{"cpu_percent", &c::cpu_percent, bands,
           "This process' share of the machine's processors."},
    option{"memory_percent", &c::memory_percent, bands, "The machine's memory."},
    option{"success_percent", &c::success_percent, bands, "Requests answered well."},
    option{"error_percent", &c::error_percent, bands, "Requests that failed, time-outs included."},
  };
  return rows;
}

slo_grade grade_of(double value, const slo_bands& bands) {
  const bool smaller_is_better = bands.excellent <= bands.action;
  const auto reaches
    = [&](double bound) { return smaller_is_better ? value <= bound : value >= bound; };
  if (reaches(bands.excellent))
    return slo_grade::excellent;
  if (reaches(bands.target))
    return slo_grade::target;
  return reaches(bands.action) ? slo_grade::watch : slo_grade::action;
}

std::string_view word_of(slo_grade grade) {
  switch (grade) {
    case slo_grade::excellent: return "excellent";
    case slo_grade::target: return "target";
    case slo_grade::watch: return "watch";
    case slo_grade::action: break;
  }
  return "action";
}

} // namespace skep::actors
