#include "actors/agent/role.hpp"

#include "actors/agent/agent.hpp"
#include "actors/pool/pool.hpp"
#include "actors/semantic/config.hpp"
#include "messages/core.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/config/diagnostic.hpp"
#include "runtime/config/option.hpp"

#include <caf/send.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// `[agent.NAME]`.
struct agent_config {
  std::string instructions;
  std::vector<std::string> models;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::uint32_t> max_tokens;
  std::string parameters_json;
  milliseconds deadline{120'000};
  bool cache = true;
  milliseconds cache_ttl{0};
  std::uint64_t cache_value_max = 256 * 1024;
  std::string semantic_cache;
  pool_config pool;
};

const config::table<pool_config>& pool_table() {
  static const config::table<pool_config> rows
    = config::table<pool_config>{
        option{"idle_min", &pool_config::idle_min, 0u, 1'000'000u,
               "Idle instances kept however long nobody asks."},
        option{"size_max", &pool_config::size_max, 1u, 4'000'000u,
               "Instances at once; calls beyond it are refused with 503."}
          .alias_env("AGENT_POOL_SIZE"),
        option{"idle_ttl_ms", &pool_config::idle_ttl, milliseconds{100}, milliseconds{86'400'000},
               "An instance idle for longer is ended, the least recently used first."},
        option{"warm_up", &pool_config::warm_up, "Start idle_min instances with the node."},
        option{"retry_after_ms", &pool_config::retry_after, milliseconds{1}, milliseconds{60'000},
               "What a refused caller is told to wait."},
      }
        .check([](const pool_config& c) -> std::optional<config::violation> {
          if (c.idle_min <= c.size_max)
            return std::nullopt;
          return config::violation{"idle_min", "must not be above size_max"};
        });
  return rows;
}

bool is_json_object(const std::string& text) {
  return text.empty() || nlohmann::json::parse(text, nullptr, false).is_object();
}

const config::table<agent_config>& agent_table() {
  static const config::table<agent_config> rows
    = config::table<agent_config>{
        option{"instructions", &agent_config::instructions,
               "Put in front of every conversation as a system message."},
        option{"models", &agent_config::models,
               "Where answers come from: \"provider/model\", tried in this order."}
          .required(),
        option{"temperature", &agent_config::temperature, 0.0, 2.0,
               "Default for requests that do not set it."},
        option{"top_p", &agent_config::top_p, 0.0, 1.0, "Default for requests that do not set it."},
        option{"max_tokens", &agent_config::max_tokens, 1u, 10'000'000u,
               "Default for requests that do not set it."},
        option{"parameters_json", &agent_config::parameters_json,
               "Further default members of the request body, a JSON object as text."},
        option{"deadline_ms", &agent_config::deadline, milliseconds{1}, milliseconds{86'400'000},
               "The longest a call may take, retries and fallbacks included."},
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
          for (const auto& model : c.models)
            if (const auto slash = model.find('/'); slash == 0 || slash + 1 >= model.size())
              return config::violation{"models", "\"" + model + "\" must read provider/model"};
          return std::nullopt;
        });
  return rows;
}

std::string default_parameters(const agent_config& from) {
  auto object = from.parameters_json.empty() ? nlohmann::json::object()
                                             : nlohmann::json::parse(from.parameters_json);
  if (from.temperature)
    object["temperature"] = *from.temperature;
  if (from.top_p)
    object["top_p"] = *from.top_p;
  if (from.max_tokens)
    object["max_tokens"] = *from.max_tokens;
  return object.empty() ? std::string{} : object.dump();
}

expected<msg::flight_route> route_to(rt::role_context& node, const std::string& agent,
                                     const std::string& model) {
  const auto slash = model.find('/');
  msg::flight_route route{model.substr(0, slash), model.substr(slash + 1)};
  // In a cluster another node may have the provider, now or later.
  if (node.cluster().clustered() || node.env().find("provider/" + route.provider))
    return route;
  const auto text = "agent " + agent + " asks provider \"" + route.provider
                    + "\", which no [provider." + route.provider + "] defines";
  const auto* place = node.config().place_of("agent." + config::key_text(agent) + ".models");
  return fail(errc::bad_config,
              place != nullptr ? to_string(config::diagnostic{*place, text}) : text);
}

/// The policy an agent names must be there; and without the cache nothing similar can be served.
expected<void> check_semantic(rt::role_context& node, const std::string& agent,
                              const agent_config& from) {
  if (from.semantic_cache.empty())
    return {};
  const auto& policies = node.config().all<semantic_config>("semantic");
  const bool known = std::any_of(policies.begin(), policies.end(), [&](const auto& policy) {
    return policy.first == from.semantic_cache;
  });
  std::string text;
  if (!known)
    text = "agent " + agent + " uses the semantic cache \"" + from.semantic_cache
           + "\", which no [semantic." + from.semantic_cache + "] defines";
  else if (!from.cache)
    text = "agent " + agent + " uses the semantic cache, but its response cache is off";
  else
    return {};
  const auto* place
    = node.config().place_of("agent." + config::key_text(agent) + ".semantic_cache");
  return fail(errc::bad_config,
              place != nullptr ? to_string(config::diagnostic{*place, text}) : text);
}

void start_pool(rt::role_context& node, const std::string& published, agent_definition definition,
                const pool_config& bounds) {
  auto& env = node.env();
  const auto contexts = [&](const char* result) {
    return &env.metrics().counter("skep_agent_contexts_total",
                                  "Requests by whether all of their context had been read before.",
                                  {{"agent", definition.name}, {"result", result}});
  };
  definition.contexts_reused = contexts("reused");
  definition.contexts_assembled = contexts("assembled");
  auto shared = std::make_shared<const agent_definition>(std::move(definition));
  const auto& agents = node.kind("agent", {});
  const auto& pools = node.kind("pool", {});
  rt::child_spec spec;
  spec.name = published;
  // The providers have breakers of their own; one here would stop an agent for its callers' sake.
  spec.guard.use_breaker = false;
  spec.start = [&env, &agents, &pools, shared, bounds] {
    auto start_agent = [&env, &agents, shared] { return env.spawn<agent>(agents, shared); };
    auto made = env.spawn<pool>(pools, shared->name, bounds, std::move(start_agent));
    caf::anon_send(made, msg::ack{}); // Warms up now instead of with the first call.
    return made;
  };
  node.supervise(std::move(spec));
}

expected<void> build_named(rt::role_context& node, const std::string& name,
                           const agent_config& from) {
  if (auto checked = check_semantic(node, name, from); !checked)
    return checked;
  agent_definition definition;
  definition.name = name;
  definition.instructions = from.instructions;
  definition.parameters = default_parameters(from);
  definition.deadline = from.deadline;
  definition.cache_ttl = from.cache_ttl;
  definition.cache_value_max = from.cache_value_max;
  definition.cache = from.cache && static_cast<bool>(node.env().find("cache"));
  definition.flight = node.env().find("flight");
  definition.semantic = from.semantic_cache;
  for (const auto& model : from.models) {
    auto route = route_to(node, name, model);
    if (!route)
      return fail(route.error());
    definition.routes.push_back(std::move(*route));
  }
  start_pool(node, "agent/" + name, std::move(definition), from.pool);
  return {};
}

/// "provider/NAME" but not "provider/NAME/0".
std::vector<std::string> provider_names(rt::role_context& node) {
  constexpr std::string_view prefix = "provider/";
  std::vector<std::string> names;
  for (const auto& full : node.env().directory().names(prefix))
    if (full.find('/', prefix.size()) == std::string::npos)
      names.push_back(full.substr(prefix.size()));
  return names;
}

expected<void> build(rt::role_context& node) {
  for (const auto& [name, from] : node.config().all<agent_config>("agent"))
    if (auto done = build_named(node, name, from); !done)
      return done;
  for (const auto& provider : provider_names(node)) {
    agent_definition definition;
    definition.name = "model/" + provider;
    definition.routes.push_back({provider, {}});
    definition.deadline = agent_config{}.deadline;
    definition.cache = static_cast<bool>(node.env().find("cache"));
    definition.flight = node.env().find("flight");
    start_pool(node, definition.name, definition, agent_config{}.pool);
  }
  return {};
}

} // namespace

rt::role agent_role() {
  rt::role made;
  made.name = "agent";
  made.declare = [](config::schema& accepted) {
    accepted.section("agent", config::cardinality::named, agent_table(),
                     "An agent: what clients name as the model.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
