// The gateway's answers about the response cache.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "runtime/telemetry/registry.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace skep::actors {

namespace {

// Longer than the front waits for other nodes.
constexpr duration clear_deadline = 5s;

/// The sum of a metric's series, of those with this label value when one is given.
double sum_of(const std::vector<telemetry::family_snapshot>& all, std::string_view name,
              std::string_view value = {}) {
  double sum = 0;
  for (const auto& family : all) {
    if (family.name != name)
      continue;
    for (const auto& series : family.series) {
      const bool wanted = value.empty()
                          || std::any_of(series.labels.begin(), series.labels.end(),
                                         [&](const auto& label) { return label.second == value; });
      if (const auto* total = std::get_if<std::uint64_t>(&series.value); wanted && total != nullptr)
        sum += static_cast<double>(*total);
      if (const auto* gauge = std::get_if<std::int64_t>(&series.value); wanted && gauge != nullptr)
        sum += static_cast<double>(*gauge);
    }
  }
  return sum;
}

} // namespace

/// Of this node: what its clients' requests found, and what its shards hold.
net::http_response gateway::cache_stats() {
  const auto all = env().metrics().collect();
  const auto hits = sum_of(all, "skep_gateway_cache_total", "hit");
  const auto misses = sum_of(all, "skep_gateway_cache_total", "miss");
  const auto count = [&](const char* name) { return std::llround(sum_of(all, name)); };
  const nlohmann::json body{
    {"node", status_.name},
    {"enabled", static_cast<bool>(env().directory().find("cache"))},
    {"hits", std::llround(hits)},
    {"misses", std::llround(misses)},
    {"hit_rate", hits + misses > 0 ? hits / (hits + misses) : 0.0},
    {"cache_size", count("skep_cache_entries")},
    {"cache_bytes", count("skep_cache_bytes")},
    {"stored", count("skep_cache_stored_total")},
    {"evicted", count("skep_cache_evicted_total")},
    {"expired", count("skep_cache_expired_total")},
    {"refused", count("skep_cache_refused_total")},
  };
  return json_response(200, body.dump());
}

/// Forgets every cached answer, on all nodes of a cluster; answers when that is done.
void gateway::clear_cache(const rt::call& c, const net::http_request& request) {
  const auto body = nlohmann::json::parse(request.body, nullptr, false);
  const bool nothing_said = request.body.empty() || (body.is_object() && body.empty());
  if (!nothing_said)
    return refuse(
      c, failure{errc::bad_request, "the whole cache is cleared: the body must be empty or {}"});
  const auto cache = env().find("cache");
  if (!cache)
    return answer(c, refusal(404, "this node has no cache: [cache] shards is 0", "not_found"));
  msg::cache_clear_request clear;
  clear.all = true;
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + clear_deadline);
  // A gateway that ends fails the call through the responder.
  auto open_call = std::make_shared<rt::responder>(take(c));
  ask(cache, std::move(context), clear, [open_call, token = c.lease](const rt::answer& got) {
    if (!token)
      return;
    if (got.get<msg::ack>() != nullptr)
      token->reply(http_answer{json_response(200, R"({"cleared":"all"})")});
    else
      token->fail(got.why);
  });
}

} // namespace skep::actors
