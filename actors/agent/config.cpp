#include "actors/agent/config.hpp"

#include "actors/agent/complexity.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

bool is_json_object(const std::string& text) {
  return text.empty() || nlohmann::json::parse(text, nullptr, false).is_object();
}

const config::table<tier_config>& tier_table() {
  static const config::table<tier_config> rows
    = config::table<tier_config>{
        option{"name", &tier_config::name,
               "Clients may ask for it as \"AGENT:TIER\"; usual are simple, moderate, complex and "
               "reasoning."}
          .required(),
        option{"score_max", &tier_config::score_max, 0u, complexity_max,
               "Requests up to this complexity (0 to 100) belong here, if to no tier before."},
        option{"models", &tier_config::models,
               "Tried first, in this order; each one of the agent's models."}
          .required(),
      }
        .check([](const tier_config& c) -> std::optional<config::violation> {
          if (c.models.empty())
            return config::violation{"models", "must name at least one of the agent's models"};
          return std::nullopt;
        });
  return rows;
}

std::optional<config::violation> check_models(const agent_config& c) {
  for (const auto& model : c.models)
    if (const auto slash = model.find('/'); slash == 0 || slash + 1 >= model.size())
      return config::violation{"models", "\"" + model + "\" must read provider/model"};
  return std::nullopt;
}

std::optional<config::violation> check_routing(const agent_config& c) {
  if (!c.weights.empty() && c.weights.size() != c.models.size())
    return config::violation{"weights", "must have one entry per entry of models, or none"};
  if (c.routing == routing_kind::complexity && c.tiers.empty())
    return config::violation{"routing", "complexity needs at least one [[agent.NAME.tier]]"};
  std::uint32_t before = 0;
  for (const auto& tier : c.tiers) {
    if (tier.score_max < before)
      return config::violation{"tier", "must be in ascending order of score_max"};
    before = tier.score_max;
    for (const auto& model : tier.models)
      if (std::find(c.models.begin(), c.models.end(), model) == c.models.end())
        return config::violation{"tier", "\"" + model + "\" of tier " + tier.name
                                           + " is none of the agent's models"};
  }
  return std::nullopt;
}

} // namespace

const config::table<agent_config>& agent_table() {
  static const config::table<agent_config> rows
    = config::table<agent_config>{
        option{"instructions", &agent_config::instructions,
               "Put in front of every conversation as a system message."},
        option{"models", &agent_config::models,
               "Where answers come from: \"provider/model\", tried in this order."}
          .required(),
        option{"routing", &agent_config::routing,
               {{"chain", routing_kind::chain},
                {"weight", routing_kind::weight},
                {"complexity", routing_kind::complexity},
                {"price", routing_kind::price}},
               "Which model is asked first: the order of models (chain), chance by weights "
               "(weight), that of the tier for requests as hard as this one (complexity), the "
               "cheapest (price). The others follow if it fails."},
        option{"weights", &agent_config::weights, 1u, 1'000'000u,
               "The share of each model, in their order; empty: equal shares."},
        option{"tier", &agent_config::tiers, tier_table(),
               "Models for requests up to a complexity; beyond the last tier the cheapest model."},
        option{"temperature", &agent_config::temperature, 0.0, 2.0,
               "Default for requests that do not set it."},
        option{"top_p", &agent_config::top_p, 0.0, 1.0, "Default for requests that do not set it."},
        option{"max_tokens", &agent_config::max_tokens, 1u, 10'000'000u,
               "Default for requests that do not set it."},
        option{"parameters_json", &agent_config::parameters_json,
               "Further default members of the request body, a JSON object as text."},
        option{"deadline_ms", &agent_config::deadline, milliseconds{0}, milliseconds{86'400'000},
               "The longest a call may take until its answer is there, or begins to stream; with "
               "retries and fallbacks. 0: gateway.request_timeout_ms."},
        option{"cache", &agent_config::cache, "Answer equal requests from the response cache."},
        option{"cache_ttl_ms", &agent_config::cache_ttl, milliseconds{0},
               milliseconds{2'592'000'000}, "How long an answer stays fresh; 0: as [cache] says."}
          .alias_env("AGENT_CACHE_TTL", 1000),
        option{"cache_value_bytes", &agent_config::cache_value_max, std::uint64_t{0},
               std::uint64_t{1} << 30, "Larger answers are not kept."},
        option{"semantic_cache", &agent_config::semantic_cache,
               "The [semantic.NAME] policy by which answers to similar texts may be served; empty: "
               "never."},
        option{"pool", &agent_config::pool, pool_table(), "The instances of the agent."},
      }
        .check([](const agent_config& c) -> std::optional<config::violation> {
          if (!is_json_object(c.parameters_json))
            return config::violation{"parameters_json", "must be a JSON object"};
          if (auto wrong = check_models(c))
            return wrong;
          return check_routing(c);
        });
  return rows;
}

const config::table<model_config>& model_table() {
  static const config::table<model_config> rows
    = config::table<model_config>{
        option{"context_tokens", &model_config::context_tokens, std::uint64_t{0},
               std::uint64_t{1} << 40,
               "Tokens of prompt and answer together; longer requests go to other models of the "
               "agent. 0: not known."},
        option{"input_usd_per_mtok", &model_config::input_price, 0.0, 1e6,
               "US dollars per million tokens of prompt."},
        option{"output_usd_per_mtok", &model_config::output_price, 0.0, 1e6,
               "US dollars per million tokens of answer."},
      }
        .check([](const model_config& c) -> std::optional<config::violation> {
          if (c.input_price.has_value() == c.output_price.has_value())
            return std::nullopt;
          return config::violation{"input_usd_per_mtok",
                                   "and output_usd_per_mtok go together: set both or none"};
        });
  return rows;
}

} // namespace skep::actors
