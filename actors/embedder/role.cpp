#include "actors/embedder/role.hpp"

#include "actors/embedder/embedder.hpp"
#include "actors/names_under.hpp"
#include "runtime/cluster/cluster_port.hpp"

#include <string>

namespace skep::actors {

namespace {

/// In a cluster another node may have the provider as well: the route takes the call there when
/// this one is full or broken.
embedder::upstream upstream_of(rt::role_context& node, const std::string& provider) {
  auto& env = node.env();
  auto& cluster = node.cluster();
  return [&env, &cluster, name = "provider/" + provider] {
    auto found = env.find(name);
    return found || !cluster.clustered() ? found : cluster.route(name);
  };
}

expected<void> build(rt::role_context& node) {
  const auto& rules = node.config().get<embeddings_config>("embeddings");
  rt::mailbox_bounds bounds;
  bounds.messages_max = rules.calls_max; // A burst is for one actor.
  bounds.bytes_max = rules.held_max;
  const auto& kind = node.kind("embedder", bounds);
  auto& env = node.env();
  for (const auto& provider : names_under("provider/", node.env().directory().names("provider/"))) {
    rt::child_spec spec;
    spec.name = "embed/" + provider;
    spec.guard.use_breaker = false; // The provider behind it has one.
    spec.guard.in_flight_max = rules.calls_max;
    spec.start = [&env, &kind, provider, rules, ask = upstream_of(node, provider)] {
      return env.spawn<embedder>(kind, provider, rules, ask);
    };
    node.supervise(std::move(spec));
  }
  return {};
}

} // namespace

rt::role embedder_role() {
  rt::role made;
  made.name = "embedder";
  made.publishes = {{"embed/", rt::name_scope::cluster}};
  made.needs = {"provider"};
  made.declare = [](config::schema& accepted) {
    accepted.section("embeddings", config::cardinality::one, embeddings_table(),
                     "Requests for embeddings: how those of several callers share calls of a "
                     "provider, and when a late one is asked again.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
