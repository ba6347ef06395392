#include "cli/bench/report.hpp"

#include "cli/bench/expectation.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace skep::cli::bench {

namespace {

constexpr const char* columns[]
  = {"requests", "ok",     "errors", "moved",       "throughput",  "p50_ms",
     "p90_ms",   "p99_ms", "max_ms", "ttft_p50_ms", "ttft_p99_ms", "cache_hit_rate"};

} // namespace

std::string table_of(const std::vector<phase_result>& phases) {
  auto text = fmt::format("{:<16}", "phase");
  for (const auto* column : columns)
    text += fmt::format(" {:>14}", column);
  text += '\n';
  for (const auto& phase : phases) {
    text += fmt::format("{:<16}", phase.name + (phase.measured ? "" : " (warm-up)"));
    for (const auto* column : columns)
      text += fmt::format(" {:>14.6g}", *figure_of(phase, column));
    text += '\n';
  }
  for (const auto& phase : phases)
    for (const auto& [what, count] : phase.errors)
      text += fmt::format("{}: {} x {}\n", phase.name, count, what);
  return text;
}

std::string json_of(const std::vector<phase_result>& phases) {
  auto all = nlohmann::json::array();
  for (const auto& phase : phases) {
    nlohmann::json one{{"name", phase.name},
                       {"measured", phase.measured},
                       {"errors_by_kind", phase.errors},
                       {"broken_streams", phase.broken_streams},
                       {"typed_errors", phase.typed_errors},
                       {"late", phase.late},
                       {"answered_share", *figure_of(phase, "answered_share")},
                       {"chunks", phase.chunks},
                       {"bytes", phase.bytes},
                       {"seconds", std::chrono::duration<double>{phase.took}.count()}};
    for (const auto* column : columns)
      one[column] = *figure_of(phase, column);
    for (const auto& [word, count] : phase.cache_words)
      one["cache"][word] = count;
    for (const auto& [status, count] : phase.statuses)
      one["statuses"][std::to_string(status)] = count;
    all.push_back(std::move(one));
  }
  return nlohmann::json{{"phases", all}}.dump(2) + "\n";
}

std::string bar_of(double share) {
  constexpr int width = 30;
  const int full = static_cast<int>(share * width);
  return "[" + std::string(static_cast<std::size_t>(full), '=')
         + std::string(static_cast<std::size_t>(width - full), ' ') + "]";
}

} // namespace skep::cli::bench
