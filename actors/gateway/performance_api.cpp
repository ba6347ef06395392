// The gateway's performance API: /api/v1/performance/{metrics,agent-pool,health-detailed}.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/health.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/node_states.hpp"
#include "actors/gateway/performance_json.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace skep::actors {

namespace {

using nlohmann::json;

// Percentiles and shares of fewer requests than these are chance.
constexpr std::uint64_t judged_min = 20;

node_facts facts_of(rt::environment& env, const rt::node_status& status) {
  node_facts facts;
  facts.name = status.name;
  facts.uptime_seconds = std::chrono::duration<double>(env.now() - status.started_at).count();
  facts.has_cache = static_cast<bool>(env.directory().find("cache"));
  facts.has_second_level = static_cast<bool>(env.directory().find("cache/redis"));
  return facts;
}

std::vector<indicator> indicators_of(const performance_view& view, const slo_config& slo) {
  const auto& of = view.lately;
  const auto& times = of.response_time;
  const auto& system = view.system;
  const bool enough = of.judged() >= judged_min;
  const auto quantile
    = [&](double p) { return rounded(static_cast<double>(times.quantile(p)) / 1e6, 3); };
  const auto share = [&](std::uint64_t part) {
    return rounded(
      telemetry::percent_of(static_cast<double>(part), static_cast<double>(of.judged())), 2);
  };
  const auto memory = telemetry::percent_of(static_cast<double>(system.memory_used),
                                            static_cast<double>(system.memory_total));
  const bool counted = times.count() >= judged_min;
  return {
    graded("response_time_p50_ms", quantile(0.5), slo.latency_p50_ms, counted),
    graded("response_time_p95_ms", quantile(0.95), slo.latency_p95_ms, counted),
    graded("response_time_p99_ms", quantile(0.99), slo.latency_p99_ms, counted),
    graded("success_percent", share(of.succeeded), slo.success_percent, enough),
    graded("error_percent", share(of.failed + of.timed_out), slo.error_percent, enough),
    graded("cpu_percent", rounded(system.cpu.process_percent, 2), slo.cpu_percent,
           system.cpu_seconds > 0),
    graded("memory_percent", rounded(memory, 2), slo.memory_percent, system.memory_total > 0),
  };
}

health health_of_guard(std::string_view word) {
  return word == "ready" ? health::healthy : health::degraded;
}

json indicators_json(const std::vector<indicator>& all) {
  json made = json::object();
  for (const auto& each : all)
    made[each.name] = {{"value", each.value},
                       {"grade", each.judged ? json(word_of(each.grade)) : json(nullptr)},
                       {"excellent", each.bands.excellent},
                       {"target", each.bands.target},
                       {"action", each.bands.action}};
  return made;
}

json components_json(const std::vector<component_health>& all) {
  json made = json::object();
  for (const auto& each : all) {
    made[each.name] = {{"status", word_of(each.status)}};
    if (!each.reason.empty())
      made[each.name]["reason"] = each.reason;
  }
  return made;
}

} // namespace

net::http_response gateway::performance_metrics() {
  return json_response(200, metrics_json(facts_of(env(), status_), monitor_->view(now())).dump());
}

net::http_response gateway::agent_pool() {
  return json_response(200, pools_json(facts_of(env(), status_), monitor_->view(now())).dump());
}

std::vector<component_health> gateway::component_states() {
  std::vector<component_health> all;
  const auto phase = status_.phase.load();
  const bool ready = phase == rt::node_phase::ready;
  all.push_back({"node", ready ? health::healthy : health::unhealthy,
                 ready ? std::string{} : "is " + std::string{word_of(phase)}});
  const auto trouble = cluster_.trouble();
  if (cluster_.clustered())
    all.push_back({"cluster", trouble.empty() ? health::healthy : health::degraded, trouble});
  for (auto& guarded : guard_states(env())) {
    const auto status = health_of_guard(guarded.word);
    all.push_back({std::move(guarded.name), status,
                   status == health::healthy ? std::string{} : std::string{guarded.word}});
  }
  judge_providers(all);
  return all;
}

net::http_response gateway::health_detailed() {
  const auto view = monitor_->view(now());
  const auto facts = facts_of(env(), status_);
  const auto components = component_states();
  const auto indicators = indicators_of(view, options_->slo);
  const auto found = judge(components, indicators);
  auto providers = providers_json(view);
  for (const auto& guarded : guard_states(env()))
    if (constexpr std::string_view prefix = "provider/"; guarded.name.starts_with(prefix))
      if (const auto name = guarded.name.substr(prefix.size()); providers.contains(name))
        providers[name]["state"] = guarded.word;
  const json body{{"status", word_of(found.status)},
                  {"node", facts.name},
                  {"uptime_seconds", rounded(facts.uptime_seconds, 1)},
                  {"reasons", found.reasons},
                  {"components", components_json(components)},
                  {"cache", cache_json(facts, view)},
                  {"providers", std::move(providers)},
                  {"indicators", indicators_json(indicators)}};
  return json_response(found.status == health::unhealthy ? 503 : 200, body.dump());
}

} // namespace skep::actors
