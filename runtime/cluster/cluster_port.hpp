#pragma once

#include "messages/cluster.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/cluster/membership.hpp"
#include "runtime/flow/slots.hpp"

#include <caf/actor.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skep::rt {

/// Who owns what at one moment; never changes once published.
struct cluster_state {
  /// Null: no view yet. A node without `[cluster]` has a view of number 0 with itself alone.
  view_ptr view;
  /// Owners of the slots by node_id(); empty owners without a view. Draining nodes own nothing.
  flow::slot_map slots;
  /// The map before this view, so that what moved can still be asked for; the same map at first.
  flow::slot_map before;
  /// Ours is in force: false means that what we own must not be served (no quorum, or we are not in
  /// the view).
  bool owning = false;

  /// The member with this node_id; null when it is none of this view.
  const msg::member* member_of(std::uint64_t id) const;
};

using cluster_state_ptr = std::shared_ptr<const cluster_state>;

/// What names a node in slot maps: the same on every machine, and over restarts.
std::uint64_t node_id(std::string_view name);

/// The cluster as the parts of a node see it. A node without `[cluster]` is a cluster of one.
/// Thread- safe.
class cluster_port {
public:
  virtual ~cluster_port() = default;

  /// False: a node without `[cluster]`.
  virtual bool clustered() const = 0;
  /// This node's name.
  virtual const std::string& self() const = 0;
  /// The newest state; never null. Costs one pointer copy under a spinlock.
  virtual cluster_state_ptr state() const = 0;
  /// Calls `fn` with every new state, on the link's thread, until the subscription is dropped; must
  /// be short.
  using subscription = std::shared_ptr<void>;
  virtual subscription on_change(std::function<void(const cluster_state_ptr&)> fn) = 0;

  /// A handle to the actor published as `name` at that very node; calls fail with errc::node_down
  /// while there is no session with it. For this node itself: the local actor.
  virtual caf::actor remote(const std::string& node, const std::string& name) = 0;
  /// A handle that finds a node which serves `name` for each call, this one first while it is not
  /// loaded; errc::unavailable when nobody serves it at the moment. Never null, one per name.
  virtual caf::actor route(const std::string& name) = 0;
  /// The nodes that serve a name now, this one first if it does.
  virtual std::vector<std::string> nodes_of(std::string_view name) const = 0;
  /// All names that begin with `prefix`, of this node and its peers, sorted, each once.
  virtual std::vector<std::string> names(std::string_view prefix) const = 0;

  /// Empty when all is well, else what is not: "no quorum: hears 0 of 2 other seeds".
  virtual std::string trouble() const = 0;
  /// Members, view, links as JSON, for GET /cluster.
  virtual std::string describe() const = 0;
  /// Asks a node (perhaps this one) to leave in good order; errc::not_found when it is no peer.
  virtual expected<void> drain(const std::string& node) = 0;
};

} // namespace skep::rt
