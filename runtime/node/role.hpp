#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/actor/name_family.hpp"
#include "runtime/actor/supervisor.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/config/document.hpp"
#include "runtime/config/schema.hpp"
#include "runtime/node/http_endpoint.hpp"
#include "runtime/node/status.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skep::net {
class http_client;
} // namespace skep::net

namespace skep::rt {

class cluster_port;
class node;

/// What a role may do while its part of the node is built. Lives for the duration of build() and of
/// the functions given to when_built().
class role_context {
public:
  virtual ~role_context() = default;

  virtual environment& env() = 0;
  virtual const config::document& config() = 0;
  virtual node_status& status() = 0;
  /// The node's one fetch thread.
  virtual net::http_client& fetch() = 0;
  /// The cluster this node belongs to, or a cluster of one.
  virtual cluster_port& cluster() = 0;
  /// A kind that lives as long as the node; the same name gives the same kind.
  virtual const actor_kind& kind(const std::string& name, const mailbox_bounds& bounds) = 0;

  /// How many of the client connections wanted the process has file descriptors for, everything
  /// else left in peace; says so in the log when these are not all.
  virtual std::uint64_t client_connections(std::uint64_t wanted) = 0;

  /// Starts a child under this role's supervisor and publishes its guard under the spec's name.
  /// Throws what the spec's start throws, and std::logic_error for a name that no family of the
  /// role covers.
  virtual caf::actor supervise(child_spec spec) = 0;
  /// Publishes an address that no supervisor keeps. Throws as supervise() does.
  virtual void publish(std::string name, caf::actor who) = 0;
  /// Serves an endpoint, where the node has a role that lets HTTP clients in. The node does not
  /// start when the path is none, or somebody else's.
  virtual void serve(http_endpoint what) = 0;
  /// What the roles serve; all of it once they are built.
  virtual const std::vector<http_endpoint>& endpoints() const = 0;
  /// Runs when all roles are built, before the node is ready: the place to let clients in. A
  /// failure keeps the node from starting. It starts and publishes nothing.
  virtual void when_built(std::function<expected<void>(role_context&)> fn) = 0;
  /// Runs when the drain begins, in the reverse order of registration; must not block.
  virtual void on_drain(std::function<void()> fn) = 0;
  /// The drain waits (up to its deadline) until every check says true.
  virtual void drained_when(std::function<bool()> check) = 0;
  /// Runs when the node stops, after the drain and before the actors end.
  virtual void on_stop(std::function<void()> fn) = 0;
};

/// One kind of actor as the node knows it: what it publishes, what it needs, which options it has
/// and how it is built from them. The node knows no kind by name.
struct role {
  std::string name;
  /// The families of all names it may publish.
  std::vector<name_family> publishes;
  /// The names of roles whose actors it looks up while it is built; they are built before it.
  std::vector<std::string> needs;
  /// Adds the role's sections to what a configuration may have.
  std::function<void(config::schema&)> declare;
  /// Starts what the configuration asks for; a failure keeps the node from starting.
  std::function<expected<void>(role_context&)> build;

  /// Whether one of its families covers the name.
  bool covers(std::string_view published) const {
    return std::any_of(publishes.begin(), publishes.end(),
                       [&](const name_family& each) { return each.covers(published); });
  }
};

} // namespace skep::rt
