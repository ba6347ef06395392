#pragma once

#include "actors/agent/routing.hpp"
#include "apis/chat/cache_scope.hpp"
#include "runtime/config/option.hpp"
#include "runtime/node/pool_options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace skep::actors {

/// `[[agent.NAME.tier]]`.
struct tier_config {
  std::string name;
  std::uint32_t score_max = 100;
  std::vector<std::string> models;
};

/// `[agent.NAME]`.
struct agent_config {
  std::string instructions;
  std::vector<std::string> models;
  routing_kind routing = routing_kind::chain;
  std::vector<std::uint32_t> weights;
  std::vector<tier_config> tiers;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::uint32_t> max_tokens;
  std::string parameters_json;
  /// 0: as long as the gateway lets any request take.
  std::chrono::milliseconds deadline{0};
  cache_scope cache = cache_scope::deterministic;
  std::chrono::milliseconds cache_ttl{0};
  std::uint64_t cache_value_max = 256 * 1024;
  std::string semantic_cache;
  pool_config pool;
};

/// `[model."PROVIDER/MODEL"]`: what routing knows of a model.
struct model_config {
  std::uint64_t context_tokens = 0;
  std::optional<double> input_price;
  std::optional<double> output_price;
};

const config::table<agent_config>& agent_table();
const config::table<model_config>& model_table();

} // namespace skep::actors
