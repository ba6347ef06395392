#pragma once

#include "actors/gateway/performance_monitor.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

// The performance API's bodies, from figures to JSON (docs/performance-api.md lists every member).
namespace skep::actors {

/// What a node says of itself beside its metrics.
struct node_facts {
  std::string name;
  double uptime_seconds = 0;
  bool has_cache = false;
  bool has_second_level = false;
};

/// GET /api/v1/performance/metrics.
nlohmann::json metrics_json(const node_facts& node, const performance_view& view);
/// GET /api/v1/performance/agent-pool.
nlohmann::json pools_json(const node_facts& node, const performance_view& view);
/// The response cache's part, of both pages that have it.
nlohmann::json cache_json(const node_facts& node, const performance_view& view);
/// What each provider of this node did: {"NAME": {...}}.
nlohmann::json providers_json(const performance_view& view);

/// Rounded for people, to this many decimals; what is no finite number is 0.
double rounded(double value, int decimals);

} // namespace skep::actors
