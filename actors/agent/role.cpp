#include "actors/agent/role.hpp"

#include "actors/agent/agent.hpp"
#include "actors/agent/config.hpp"
#include "actors/gateway/config.hpp"
#include "actors/names_under.hpp"
#include "actors/pool/pool.hpp"
#include "actors/provider/config.hpp"
#include "actors/request_bounds.hpp"
#include "actors/semantic/config.hpp"
#include "messages/core.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/config/diagnostic.hpp"
#include "runtime/config/option.hpp"
#include "runtime/node/cluster_options.hpp"
#include "runtime/node/identity_options.hpp"

#include <caf/send.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <set>

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

msg::flight_route route_to(const std::string& model) {
  const auto slash = model.find('/');
  return {model.substr(0, slash), model.substr(slash + 1)};
}

template <class T>
bool has_entry(const config::document& doc, const char* section, const std::string& name) {
  if (!doc.has(section))
    return false;
  const auto& all = doc.all<T>(section);
  return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.first == name; });
}

/// What agents name must be there. In a cluster another node may have a provider, now or later.
std::vector<config::violation> check_agents(const config::document& doc,
                                            const std::set<std::string>& provided) {
  const bool alone = doc.get<rt::cluster_options>("cluster").name.empty();
  std::vector<config::violation> found;
  for (const auto& [name, from] : doc.all<agent_config>("agent")) {
    const auto path = "agent." + config::key_text(name);
    for (const auto& model : from.models)
      if (const auto provider = route_to(model).provider;
          alone && !has_entry<provider_config>(doc, "provider", provider)
          && !provided.contains("provider/" + provider))
        found.push_back({path + ".models", "agent " + name + " asks provider \"" + provider
                                             + "\", which no [provider." + provider + "] defines"});
    if (from.semantic_cache.empty())
      continue;
    if (!has_entry<semantic_config>(doc, "semantic", from.semantic_cache))
      found.push_back({path + ".semantic_cache", "agent " + name + " uses the semantic cache \""
                                                   + from.semantic_cache + "\", which no [semantic."
                                                   + from.semantic_cache + "] defines"});
    else if (from.cache == cache_scope::off)
      found.push_back(
        {path + ".semantic_cache",
         "agent " + name + " uses the semantic cache, but its response cache is off"});
  }
  return found;
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

routing_plan plan_of(rt::role_context& node, const agent_config& from) {
  routing_plan plan;
  plan.kind = from.routing;
  for (std::size_t n = 0; n < from.models.size(); ++n) {
    auto model = facts_of(node, from.models[n]);
    model.route = route_to(from.models[n]);
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

/// An agent's own bound, or the one that holds for every request; there is no third.
duration deadline_of(rt::role_context& node, milliseconds own) {
  return own.count() > 0 ? own : node.config().get<gateway_config>("gateway").request_timeout;
}

/// Without a cache nothing is shared.
cache_scope scope_of(rt::role_context& node, cache_scope wanted) {
  return node.env().find("cache") ? wanted : cache_scope::off;
}

/// Another node's provider is shared as the default has it.
cache_scope provider_scope(rt::role_context& node, const std::string& provider) {
  for (const auto& [name, from] : node.config().all<provider_config>("provider"))
    if (name == provider)
      return from.cache;
  return cache_scope::deterministic;
}

void start_pool(rt::role_context& node, const std::string& published, agent_definition definition,
                pool_config bounds) {
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
  if (definition.cache == cache_scope::off)
    bounds.overflow_max = 0; // Every call is one of its own.
  auto shared = std::make_shared<const agent_definition>(std::move(definition));
  auto waiting = request_bounds();
  waiting.messages_max = 4'000'000; // Bounded by the pools' overflow_max.
  const auto& agents = node.kind("agent", waiting);
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

void build_named(rt::role_context& node, const std::string& name, const agent_config& from,
                 const identity_secret& identity) {
  agent_definition definition;
  definition.name = name;
  definition.identity = identity;
  definition.instructions = from.instructions;
  definition.parameters = default_parameters(from);
  definition.deadline = deadline_of(node, from.deadline);
  definition.cache_ttl = from.cache_ttl;
  definition.cache_value_max = from.cache_value_max;
  definition.cache = scope_of(node, from.cache);
  definition.flight = node.env().find("flight");
  definition.semantic = from.semantic_cache;
  definition.plan = plan_of(node, from);
  start_pool(node, "agent/" + name, std::move(definition), from.pool);
}

expected<void> build(rt::role_context& node) {
  const auto identity = rt::load_identity(node.config());
  if (!identity)
    return fail(identity.error());
  for (const auto& [name, from] : node.config().all<agent_config>("agent"))
    build_named(node, name, from, *identity);
  for (const auto& provider : names_under("provider/", node.env().directory().names("provider/"))) {
    agent_definition definition;
    definition.name = "model/" + provider;
    definition.identity = *identity;
    definition.plan.models.push_back({{provider, {}}});
    definition.deadline = deadline_of(node, agent_config{}.deadline);
    definition.cache = scope_of(node, provider_scope(node, provider));
    definition.flight = node.env().find("flight");
    start_pool(node, definition.name, definition, agent_config{}.pool);
  }
  return {};
}

} // namespace

rt::role agent_role() {
  rt::role made;
  made.name = "agent";
  made.publishes = {{"agent/", rt::name_scope::cluster}, {"model/", rt::name_scope::cluster}};
  made.needs = {"provider", "cache", "flight"};
  made.declare = [](config::schema& accepted) {
    accepted.section("agent", config::cardinality::named, agent_table(),
                     "An agent: what clients name as the model.");
    accepted.section("model", config::cardinality::named, model_table(),
                     "What routing knows of a model, named as agents name it.");
    accepted.rule([provided = accepted.provided()](const config::document& doc) {
      return check_agents(doc, *provided);
    });
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
