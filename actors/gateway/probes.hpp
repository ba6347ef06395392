#pragma once

#include "actors/gateway/endpoints.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/net/http_message.hpp"
#include "runtime/node/status.hpp"

namespace skep::actors {

/// The answers to an orchestrator's probes. They ask no actor, so they come from the connection's
/// thread however busy the gateways are. Thread-safe.
class probes {
public:
  probes(rt::environment& env, const rt::node_status& status, const rt::cluster_port& cluster)
    : env_(env), status_(status), cluster_(cluster) {}

  /// `what` is a probe. Names of the node and its parts are for `admin` only.
  net::http_response answer(endpoint what, bool admin) const;

private:
  net::http_response ready(bool admin) const;

  rt::environment& env_;
  const rt::node_status& status_;
  const rt::cluster_port& cluster_;
};

} // namespace skep::actors
