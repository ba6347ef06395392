#include "actors/agent/role.hpp"

#include "actors/agent/agent.hpp"
#include "actors/agent/config.hpp"
#include "actors/common/names_under.hpp"
#include "actors/common/request_bounds.hpp"
#include "actors/gateway/config.hpp"
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

/// What the configuration says of a model; models it does not name have no known limits.
routed_model facts_of(rt::role_context& node, const std::string& model) {
  routed_model made;
  for (const auto& [name, from] : node.config().all<model_config>("model"))
    if (name == model) {
      made.context_tokens = from.context_tokens;
      made.input_price = from.input_price.value_or(-1);
      made.output_price = from.output_price.value_or(-1);
    }
  return made;
}

expected<routing_plan> plan_of(rt::role_context& node, const std::string& agent,
                               const agent_config& from) {
  routing_plan plan;
  plan.kind = from.routing;
  for (std::size_t n = 0; n < from.models.size(); ++n) {
    auto route = route_to(node, agent, from.models[n]);
    if (!route)
      return fail(route.error());
    auto model = facts_of(node, from.models[n]);
    model.route = std::move(*route);
    model.weight = from.weights.empty() ? 1 : from.weights[n];
    plan.models.push_back(std::move(model));
  }
  for (const auto& tier : from.tiers) {
    routing_tier made{tier.name, tier.score_max, {}};
    for (const auto& model : tier.models) {
      const auto at = std::find(from.models.begin(), from.models.end(), model);
      made.models.push_back(static_cast<std::size_t>(at - from.models.begin()));
    }
    plan.tiers.push_back(std::move(made));
  }
  return plan;
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

/// An agent's own bound, or the one that holds for every request; there is no third.
duration deadline_of(rt::role_context& node, milliseconds own) {
  return own.count() > 0 ? own : node.config().get<gateway_config>("gateway").request_timeout;
}

void start_pool(rt::role_context& node, const std::string& published, agent_definition definition,
                const pool_config& bounds) {
  auto& env = node.env();
  const auto contexts = [&](const char* result) {
    return &env.metrics().counter("skep_agent_contexts_total",
                                  "Requests by whether all of their context had been read before.",
                                  {{"agent", definition.name}, {"result", result}});
  };
  if (definition.plan.models.size() > 1)
    for (const auto& model : definition.plan.models)
      definition.routed.push_back(&env.metrics().counter(
        "skep_agent_routed_total", "Requests by the model an agent asked first.",
        {{"agent", definition.name}, {"model", model.route.provider + "/" + model.route.model}}));
  definition.contexts_reused = contexts("reused");
  definition.contexts_assembled = contexts("assembled");
  auto shared = std::make_shared<const agent_definition>(std::move(definition));
  const auto& agents = node.kind("agent", request_bounds());
  const auto& pools = node.kind("pool", request_bounds());
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
  definition.deadline = deadline_of(node, from.deadline);
  definition.cache_ttl = from.cache_ttl;
  definition.cache_value_max = from.cache_value_max;
  definition.cache = from.cache && static_cast<bool>(node.env().find("cache"));
  definition.flight = node.env().find("flight");
  definition.semantic = from.semantic_cache;
  if (auto planned = plan_of(node, name, from); planned)
    definition.plan = std::move(*planned);
  else
    return fail(planned.error());
  start_pool(node, "agent/" + name, std::move(definition), from.pool);
  return {};
}

expected<void> build(rt::role_context& node) {
  for (const auto& [name, from] : node.config().all<agent_config>("agent"))
    if (auto done = build_named(node, name, from); !done)
      return done;
  for (const auto& provider : names_under("provider/", node.env().directory().names("provider/"))) {
    agent_definition definition;
    definition.name = "model/" + provider;
    definition.plan.models.push_back({{provider, {}}});
    definition.deadline = deadline_of(node, agent_config{}.deadline);
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
    accepted.section("model", config::cardinality::named, model_table(),
                     "What routing knows of a model, named as agents name it.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
