#include "actors/gateway/role.hpp"

#include "actors/gateway/config.hpp"
#include "actors/gateway/door.hpp"
#include "actors/gateway/gateway.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/cluster_port.hpp"

namespace skep::actors {

namespace {

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
    // It judges nobody: what fails behind it has breakers of its own. The door bounds what is at
    // work; only probes may come on top of that.
    spec.guard.use_breaker = false;
    spec.guard.in_flight_max = static_cast<std::uint32_t>(options->requests_max) * 2;
    spec.start = [&env, &kind, options, &status, &cluster, monitor] {
      return env.spawn<gateway>(kind, options, status, std::ref(cluster), monitor);
    };
    gateways.push_back(node.supervise(std::move(spec)));
  }
  return gateways;
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
  const auto way_in
    = std::make_shared<door>(door::house{env, node.status(), node.cluster()}, options, operations,
                             start_gateways(node, options, monitor), monitor);
  if (auto done = way_in->open(); !done)
    return done;
  node.status().endpoint = way_in->endpoint();
  if (const auto where = way_in->operations_endpoint(); !where.empty())
    log::info("operations are served at http://{}", where);
  node.on_drain([way_in] { way_in->drain(); });
  node.drained_when([way_in] { return way_in->drained(); });
  node.on_stop([way_in] { way_in->close(); });
  return {};
}

} // namespace

rt::role gateway_role() {
  rt::role made;
  made.name = "gateway";
  made.declare = [](config::schema& accepted) {
    accepted.section("gateway", config::cardinality::one, gateway_table(),
                     "The door for HTTP clients.");
    accepted.section("admin", config::cardinality::one, admin_table(),
                     "A door of its own for what operates the node.");
    accepted.rule([](const config::document& doc) {
      return check_access(doc.get<gateway_config>("gateway"), doc.get<admin_config>("admin"));
    });
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
