#include "actors/gateway/role.hpp"

#include "actors/gateway/config.hpp"
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_listener.hpp"
#include "actors/provider/config.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/node/cluster_options.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

std::vector<caf::actor> start_gateways(rt::role_context& node,
                                       const std::shared_ptr<const gateway_config>& options,
                                       const std::shared_ptr<performance_monitor>& monitor) {
  rt::mailbox_bounds bounds;
  bounds.messages_max = static_cast<std::uint32_t>(options->requests_max);
  bounds.bytes_max = options->bodies_max;
  const auto& kind = node.kind("gateway", bounds);
  auto& env = node.env();
  auto& status = node.status();
  auto& cluster = node.cluster();
  std::vector<caf::actor> gateways;
  for (std::uint32_t n = 0; n < options->threads; ++n) {
    rt::child_spec spec;
    spec.name = "gateway/" + std::to_string(n);
    // It judges nobody: what fails behind it has breakers of its own. The listener bounds what is
    // at work; only probes may come on top of that.
    spec.guard.use_breaker = false;
    spec.guard.in_flight_max = static_cast<std::uint32_t>(options->requests_max) * 2;
    spec.start = [&env, &kind, options, &status, &cluster, monitor] {
      return env.spawn<gateway>(kind, options, status, std::ref(cluster), monitor);
    };
    gateways.push_back(node.supervise(std::move(spec)));
  }
  return gateways;
}

/// When every kind of actor is there, so that no client finds half of a node; and the first to
/// drain.
expected<void> let_clients_in(rt::role_context& node,
                              const std::shared_ptr<http_listener>& listener) {
  if (auto done = listener->open(); !done)
    return done;
  node.status().endpoint = listener->endpoint();
  node.status().operations_endpoint = listener->operations_endpoint();
  if (const auto& where = node.status().operations_endpoint; !where.empty())
    log::info("operations are served at http://{}", where);
  node.on_drain([listener] { listener->drain(); });
  node.drained_when([listener] { return listener->drained(); });
  node.on_stop([listener] { listener->close(); });
  return {};
}

expected<void> build(rt::role_context& node) {
  auto configured = node.config().get<gateway_config>("gateway");
  configured.connections_max = node.client_connections(configured.connections_max);
  const auto options = std::make_shared<const gateway_config>(std::move(configured));
  const auto operations = node.config().get<admin_config>("admin");
  auto& env = node.env();
  // What the node writes, it writes below its working directory, unless told otherwise.
  const auto monitor = std::make_shared<performance_monitor>(env.metrics(), ".", env.now());
  monitor->sample(env.now());
  auto gateways = start_gateways(node, options, monitor);
  node.when_built(
    [=, gateways = std::move(gateways)](rt::role_context& built) mutable -> expected<void> {
      const auto endpoints = endpoint_table::make(built.endpoints());
      if (!endpoints)
        return fail(endpoints.error());
      const auto listener = std::make_shared<http_listener>(
        http_listener::house{built.env(), built.status(), built.cluster(), *endpoints}, options,
        operations, std::move(gateways), monitor);
      return let_clients_in(built, listener);
    });
  return {};
}

bool defines(const config::document& doc, const std::string& provider) {
  if (!doc.has("provider"))
    return false;
  const auto& all = doc.all<provider_config>("provider");
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& each) { return each.first == provider; });
}

/// The provider may be another node's, and an open port may be meant: both are said, not refused.
std::vector<config::violation> doubts(const config::document& doc) {
  std::vector<config::violation> found;
  const auto& options = doc.get<gateway_config>("gateway");
  const auto& provider = options.default_provider;
  const bool alone = doc.get<rt::cluster_options>("cluster").name.empty();
  if (alone && !provider.empty() && !defines(doc, provider))
    found.push_back({"gateway.default_provider", "no [provider." + provider
                                                   + "] defines the default provider; model names "
                                                     "nobody else has are 404"});
  const auto address = split_listen(options.listen)->first; // The options' check has read it.
  if (options.keys.empty() && !is_loopback(address))
    found.push_back({"gateway.listen", "listens at " + address
                                         + " without any [[gateway.key]]: whoever reaches it may "
                                           "use and steer this node"});
  return found;
}

} // namespace

rt::role gateway_role() {
  rt::role made;
  made.name = "gateway";
  made.publishes = {{"gateway/"}};
  made.declare = [](config::schema& accepted) {
    accepted.section("gateway", config::cardinality::one, gateway_table(),
                     "Where HTTP clients come in.");
    accepted.section("admin", config::cardinality::one, admin_table(),
                     "A listener of its own for what operates the node.");
    accepted.rule([](const config::document& doc) {
      return check_access(doc.get<gateway_config>("gateway"), doc.get<admin_config>("admin"));
    });
    accepted.advice(doubts);
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
