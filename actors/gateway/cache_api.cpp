// The gateway's answers about the response cache.
#include "actors/gateway/cache_request.hpp"
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/observer.hpp"
#include "actors/metric_names.hpp"
#include "apis/chat/cache_group.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "messages/semantic.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/telemetry/window_history.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace skep::actors {

namespace {

// Longer than the front waits for other nodes.
constexpr duration clear_deadline = 5s;

/// Under which agent's name the answers for a model name are kept: the agent's own, or for a
/// provider, with a model behind it or not, that of its pass-through agent. Empty when there is
/// neither.
std::string cached_as(model_router& router, const std::string& name) {
  constexpr std::string_view pass_through = "model/";
  if (router.has_agent(name))
    return name;
  auto provider = name.starts_with(pass_through) ? name.substr(pass_through.size()) : name;
  if (router.provider(provider))
    return std::string{pass_through} + provider;
  provider = name.substr(0, name.find('/'));
  return router.provider(provider) ? std::string{pass_through} + provider : std::string{};
}

} // namespace

/// Of this node: what its clients' requests found, and what its shards hold.
net::http_response gateway::cache_stats() {
  const auto all = env().metrics().collect();
  using status = msg::cache_status;
  const auto answered = [&](status how) {
    return std::llround(telemetry::sum_of(all, metric::gateway_cache, cache_word(how)));
  };
  const auto count = [&](const telemetry::metric_info& what) {
    return std::llround(telemetry::sum_of(all, what));
  };
  const auto misses = answered(status::miss);
  // Everything that needed no call of its own to a provider.
  const auto hits = answered(status::hit) + answered(status::shared) + answered(status::stale)
                    + answered(status::semantic);
  const auto share = [](long long part, long long whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  const auto plain_bytes = count(metric::cache_plain_bytes);
  const auto packed_bytes = count(metric::cache_packed_bytes);
  const nlohmann::json body{
    {"node", status_.name},
    {"enabled", static_cast<bool>(env().directory().find("cache"))},
    {"hits", answered(status::hit)},
    {"shared", answered(status::shared)},
    {"stale", answered(status::stale)},
    {"semantic", answered(status::semantic)},
    {"misses", misses},
    {"bypassed", answered(status::bypass)},
    {"hit_rate", share(hits, hits + misses)},
    {"cache_size", count(metric::cache_entries)},
    {"cache_bytes", count(metric::cache_bytes)},
    {"stored", count(metric::cache_stored)},
    {"evicted", count(metric::cache_evicted)},
    {"expired", count(metric::cache_expired)},
    {"refused", count(metric::cache_refused)},
    {"refusals", count(metric::cache_refusals)},
    {"leases", count(metric::cache_leases)},
    {"compression_ratio", packed_bytes > 0 ? share(plain_bytes, packed_bytes) : 1.0},
    {"second_level",
     {{"enabled", static_cast<bool>(env().directory().find("cache/redis"))},
      {"hits", count(metric::redis_hits)},
      {"misses", count(metric::redis_misses)},
      {"stored", count(metric::redis_stored)},
      {"failed", count(metric::redis_failed)}}},
  };
  return json_response(200, body.dump());
}

/// Forgets answers on all nodes of a cluster: every one, those of an agent, or one; answers when
/// that is done.
void gateway::clear_cache(const rt::call& c, const net::http_request& request) {
  const auto wish = read_cache_clear(request.body);
  if (!wish)
    return refuse(c, wish.error());
  const auto cache = env().find("cache");
  if (!cache)
    return answer(c, refusal(404, "this node has no cache: [cache] shards is 0", "not_found"));
  msg::cache_clear_request clear;
  nlohmann::json report{{"cleared", "all"}};
  if (!wish->agent.empty()) {
    const auto agent = cached_as(router_, wish->agent);
    if (agent.empty())
      return answer(c, refusal(404, "no agent or provider is called \"" + wish->agent + "\"",
                               "not_found", "agent"));
    clear.group = group_of(agent);
    report = {{"cleared", "agent"}, {"agent", agent}};
  } else if (wish->key) {
    clear.key = *wish->key;
    report = {{"cleared", "key"}, {"key", key_text(*wish->key)}};
  } else {
    clear.all = true;
  }
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + clear_deadline);
  // An answer that must go must not be served for other texts either; that nobody waits for.
  if (const auto semantic = wish->key ? env().find("semantic") : nullptr)
    tell(semantic, context, msg::semantic_revoke_request{*wish->key});
  // A gateway that ends fails the call through the responder.
  auto open_call = std::make_shared<rt::responder>(take(c));
  ask(cache, std::move(context), clear,
      [open_call, token = c.lease, body = report.dump()](const rt::answer& got) {
        if (!token)
          return;
        if (got.get<msg::ack>() != nullptr)
          token->reply(http_answer{json_response(200, body)});
        else
          token->fail(got.why);
      });
}

} // namespace skep::actors
