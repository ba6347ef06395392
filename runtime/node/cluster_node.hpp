#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/cluster/cluster.hpp"
#include "runtime/cluster/wire_types.hpp"
#include "runtime/node/cluster_options.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skep::net {
class http_client;
class node_link;
} // namespace skep::net

namespace skep::rt {

/// The cluster part of a node put together: sockets, membership, remote handles.
class cluster_node {
public:
  /// Everything it needs of the node; all of it must outlive it.
  struct parts {
    environment& env;
    net::http_client& fetch;
    std::string node;
    /// A peer or a person asks this node to drain; on any thread.
    std::function<void()> on_drain_request;
    /// shared_fingerprint() of its configuration.
    std::uint64_t identity = 0;
    /// Of its roles.
    std::vector<name_family> families;
  };

  cluster_node(const parts& from, const cluster_options& options);
  ~cluster_node();

  cluster& port() {
    return cluster_;
  }
  /// Opens the sockets and greets the seeds; once, when every local name is published.
  expected<void> start();
  /// Says goodbye and closes the sockets.
  void stop();

private:
  std::unique_ptr<membership> make_membership(const msg::member& self, membership_events events);
  void export_link();

  const parts from_;
  const cluster_options options_;
  const std::uint64_t incarnation_;
  wire_types types_;
  std::unique_ptr<ballot_store> ballots_;
  cluster cluster_;
  std::unique_ptr<net::node_link> link_;
  std::vector<telemetry::registration> metrics_;
};

} // namespace skep::rt
