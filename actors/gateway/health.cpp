#include "actors/gateway/health.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace skep::actors {

std::string_view word_of(health status) {
  switch (status) {
    case health::healthy: return "healthy";
    case health::degraded: return "degraded";
    case health::unhealthy: break;
  }
  return "unhealthy";
}

indicator graded(std::string name, double value, const slo_bands& bands, bool enough) {
  indicator made;
  made.name = std::move(name);
  made.value = value;
  made.bands = bands;
  made.judged = enough;
  made.grade = enough ? grade_of(value, bands) : slo_grade::target;
  return made;
}

verdict judge(const std::vector<component_health>& components,
              const std::vector<indicator>& indicators) {
  verdict made;
  for (const auto& each : components) {
    made.status = std::max(made.status, each.status);
    if (each.status != health::healthy)
      made.reasons.push_back(each.name + ": " + each.reason);
  }
  for (const auto& each : indicators) {
    if (!each.judged || each.grade != slo_grade::action)
      continue;
    made.status = std::max(made.status, health::degraded);
    made.reasons.push_back(
      fmt::format("{} is {:.4g}, past {:.4g}", each.name, each.value, each.bands.action));
  }
  return made;
}

void judge_providers(std::vector<component_health>& components) {
  constexpr std::string_view prefix = "provider/";
  std::size_t all = 0;
  std::size_t away = 0;
  for (const auto& each : components)
    if (each.name.starts_with(prefix) && each.name.find('/', prefix.size()) == std::string::npos) {
      ++all;
      away += each.status == health::healthy ? 0 : 1;
    }
  if (all > 0 && away == all)
    components.push_back(
      {"providers", health::unhealthy, fmt::format("none of {} takes calls", all)});
}

} // namespace skep::actors
