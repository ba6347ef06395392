#pragma once

#include "actors/gateway/slo.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What the state of a node's parts amounts to. Pure.
namespace skep::actors {

/// Worse is larger.
enum class health : std::uint8_t { healthy, degraded, unhealthy };

/// "healthy", "degraded", "unhealthy".
std::string_view word_of(health status);

/// One part of the node, judged.
struct component_health {
  std::string name;
  health status = health::healthy;
  /// Why it is not healthy; empty when it is.
  std::string reason;
};

/// One performance indicator: a value and how good it is.
struct indicator {
  /// With its unit: "response_time_p95_ms".
  std::string name;
  double value = 0;
  slo_bands bands;
  /// Too little happened to judge by it.
  bool judged = true;
  slo_grade grade = slo_grade::target;
};

/// Grades it; without enough to go by it stays ungraded.
indicator graded(std::string name, double value, const slo_bands& bands, bool enough);

/// The whole: unhealthy as soon as a component is, degraded when one is or an indicator asks for
/// action. `reasons` are one sentence each.
struct verdict {
  health status = health::healthy;
  std::vector<std::string> reasons;
};
verdict judge(const std::vector<component_health>& components,
              const std::vector<indicator>& indicators);

/// Providers together: one that still takes calls keeps the node in service; when there are some
/// and none does, a component "providers" that is unhealthy is added.
void judge_providers(std::vector<component_health>& components);

} // namespace skep::actors
