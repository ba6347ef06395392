#include "actors/provider/role.hpp"

#include "actors/balancer/balancer.hpp"
#include "actors/provider/config.hpp"
#include "actors/provider/http_connector.hpp"
#include "actors/provider/simulated_connector.hpp"
#include "actors/request_bounds.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/flow/rendezvous.hpp"
#include "runtime/net/http_client.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

std::string without_slash(std::string url) {
  while (url.ends_with('/'))
    url.pop_back();
  return url;
}

/// What the guard of one base URL admits.
upstream_options route_of(const provider_config& from) {
  upstream_options route;
  route.in_flight_max = from.in_flight_max;
  route.limit = from.limit;
  route.quota = from.quota;
  route.breaker = from.breaker;
  return route;
}

std::vector<std::string> addresses_of(const provider_config& from) {
  if (!from.base_urls.empty())
    return from.base_urls;
  if (from.base_url != own_address)
    return {from.base_url};
  return {from.kind == provider_kind::anthropic ? "https://api.anthropic.com/v1"
                                                : "https://api.openai.com/v1"};
}

/// One connector with its guard; `url` is empty for simulated ones.
caf::actor start_connector(rt::role_context& node, const std::string& published,
                           const std::string& provider, const std::string& url,
                           const std::shared_ptr<const provider_config>& options) {
  rt::mailbox_bounds bounds;
  bounds.messages_max = std::max(1024u, options->in_flight_max);
  bounds.bytes_max = std::size_t{256} << 20;
  // A kind of its own per provider: its bounds follow from the provider's options.
  const auto& kind = node.kind("provider/" + provider, bounds);
  auto& env = node.env();
  auto& fetch = node.fetch();
  rt::child_spec spec;
  spec.name = published;
  spec.guard = guard_of(route_of(*options));
  if (options->kind == provider_kind::simulated) {
    spec.start = [&env, &kind, provider, options] {
      return env.spawn<simulated_connector>(kind, provider, options);
    };
  } else {
    fetch.name_pool(url);
    spec.start = [&env, &kind, &fetch, provider, url, options] {
      return env.spawn<http_connector>(kind, provider, without_slash(url), options, fetch);
    };
  }
  return node.supervise(std::move(spec));
}

affinity_rules affinity_of(const provider_config& from) {
  affinity_rules rules;
  switch (from.affinity) {
    case provider_affinity::none: rules.kind = affinity_kind::none; break;
    case provider_affinity::prefix: rules.kind = affinity_kind::prefix; break;
    case provider_affinity::session: rules.kind = affinity_kind::session; break;
  }
  rules.prefix_bytes = from.affinity_prefix;
  rules.load_factor = from.affinity_load;
  return rules;
}

health_rules health_of(const provider_config& from) {
  return {from.outlier.enabled, rules_of(from.outlier), rules_of(from.slow_start)};
}

/// By its address, so that every node sends a conversation to the same server, and one that is
/// taken out of the list moves no other's conversations. The same address again is another worker.
std::uint64_t id_of(const std::vector<std::string>& urls, std::size_t n) {
  const auto end = urls.begin() + static_cast<std::ptrdiff_t>(n);
  const auto before = std::count(urls.begin(), end, urls[n]);
  return flow::mix(fnv1a(without_slash(urls[n])), static_cast<std::uint64_t>(before)) | 1;
}

void build_one(rt::role_context& node, const std::string& name, const provider_config& from) {
  const auto options = std::make_shared<const provider_config>(from);
  const auto published = "provider/" + name;
  const auto addresses = addresses_of(from);
  if (addresses.size() == 1) {
    start_connector(node, published, name, addresses.front(), options);
    return;
  }
  std::vector<balancer_member> members;
  for (std::size_t n = 0; n < from.base_urls.size(); ++n) {
    const auto member = published + "/" + std::to_string(n);
    start_connector(node, member, name, from.base_urls[n], options);
    members.push_back({node.env().find(member), from.weights.empty() ? 1 : from.weights[n],
                       from.in_flight_max, id_of(from.base_urls, n)});
  }
  const auto& kind = node.kind("balancer", request_bounds());
  auto& env = node.env();
  rt::child_spec spec;
  spec.name = published;
  spec.guard.use_breaker = false; // Its members have one each.
  spec.start
    = [&env, &kind, published, members, rules = affinity_of(from), health = health_of(from)] {
        return env.spawn<balancer>(kind, published, members, rules, health);
      };
  node.supervise(std::move(spec));
}

expected<void> build(rt::role_context& node) {
  for (const auto& [name, from] : node.config().all<provider_config>("provider"))
    build_one(node, name, from);
  return {};
}

} // namespace

rt::role provider_role() {
  rt::role made;
  made.name = "provider";
  made.publishes = {{"provider/", rt::name_scope::cluster}};
  made.declare = [](config::schema& accepted) {
    accepted.section("provider", config::cardinality::named, provider_table(),
                     "Where answers come from.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
