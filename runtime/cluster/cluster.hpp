#pragma once

// tidy: allow size, the cluster is one class with three faces: port, link events, names

#include "runtime/actor/environment.hpp"
#include "runtime/actor/handoff.hpp"
#include "runtime/actor/name_family.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/cluster/failure_detector.hpp"
#include "runtime/cluster/route.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/net/link_core.hpp"
#include "runtime/telemetry/registry.hpp"

#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

namespace skep::rt {

/// What the cluster part of a node needs to know.
struct cluster_rules {
  std::string cluster;
  std::string back_end = "static";
  msg::member self;
  /// Other nodes to greet: name and address.
  std::vector<std::pair<std::string, std::string>> seeds;
  /// What the node's roles publish; names outside of these belong to their node.
  std::vector<name_family> families;
  /// Copies of each slot, the owner's included.
  std::uint32_t copies = 2;
  route_config routes;
  failure_detector_config detector;
};

/// A node's part of the cluster above the link: sessions become remote handles and names, silence
/// becomes a lost node, views become slot owners. Driven by a link core's events, so that it runs
/// the same on sockets and in a simulation. The events and post() tasks come on the link's thread;
/// everything of cluster_port and name_resolver is thread-safe.
class cluster final : public cluster_port, public net::link_events, public name_resolver {
public:
  /// Runs a task on the link's thread soon.
  using poster = std::function<void(std::function<void(net::link_core&)>)>;
  /// Makes the membership that tells its views to these events.
  using membership_maker
    = std::function<std::unique_ptr<membership>(const msg::member& self, membership_events)>;

  /// `env` and `types` must outlive it.
  cluster(environment& env, const wire_types& types, cluster_rules rules);
  ~cluster() override;

  /// Begins: greets the seeds. Once, on the link's thread, when every local name is published.
  /// `address` is where peers reach us.
  void start(const std::string& address, net::link_core& core, poster post,
             const membership_maker& make, time_point now);
  /// From any thread: we are leaving; peers send no new calls, what we own gets other owners.
  void leave();
  /// We own nothing any more (or there is nobody to take over), and no call of a peer is at work.
  bool has_left() const;
  /// What to do when a peer or a person asks this node to drain; set before start.
  void on_drain_request(std::function<void()> fn) {
    drain_requested_ = std::move(fn);
  }
  /// Our process ends: out of the membership now. On the link's thread, before the link goes.
  void leave_membership();
  /// Ends every session's handles; nothing of the link may be called afterwards. On the thread that
  /// has stopped the link.
  void stop();
  wire_port& port() {
    return *port_;
  }

  // -- cluster_port -------------------------------------------------------------------------------
  bool clustered() const override {
    return true;
  }
  const std::string& self() const override {
    return rules_.self.name;
  }
  cluster_state_ptr state() const override;
  subscription on_change(std::function<void(const cluster_state_ptr&)> fn) override;
  caf::actor remote(const std::string& node, const std::string& name) override;
  caf::actor route(const std::string& name) override;
  std::vector<std::string> nodes_of(std::string_view name) const override;
  std::vector<std::string> names(std::string_view prefix) const override;
  std::string trouble() const override;
  std::string describe() const override;
  expected<void> drain(const std::string& node) override;

  // -- name_resolver ------------------------------------------------------------------------------
  caf::actor find(std::string_view name) override;

  // -- net::link_events ---------------------------------------------------------------------------
  void peer_up(const net::link_peer_info& peer) override;
  void peer_down(const net::link_peer_info& peer, const failure& why) override;
  void frame_begins() override {
    batch_.emplace(env_.system());
  }
  void frame_ends() override {
    batch_.reset();
  }
  void message_came(const net::link_peer_info& peer, std::string_view bytes) override;
  void beat_came(const net::link_peer_info& peer, std::string_view state,
                 std::optional<time_point> echoed_at) override;
  std::string beat_state() override;
  void refused(const msg::node_refusal& why, const std::string& peer, bool by_us) override;
  void ticked(time_point now) override;

private:
  /// A node there is a session with.
  struct peer_node {
    net::link_peer_info info;
    wire_session_ptr session;
    std::vector<std::string> names;
    bool draining = false;
  };
  struct subscriber {
    std::function<void(const cluster_state_ptr&)> fn;
  };

  void system_message(wire_session& from, std::uint32_t tag, std::string_view payload);
  void announced(const std::string& node, std::vector<std::string> names);
  void view_installed(const view_ptr& view);
  void publish(cluster_state next);
  void show_owning(time_point now);
  void close_lost(time_point now);
  void refresh_links(time_point now);
  void greet_early_peers(time_point now);
  void introduce(const msg::node_hello& hello, time_point now);
  bool is_shared(std::string_view name) const;
  void set_names(const std::string& node, std::vector<std::string> names);
  void fill_route(const std::string& name, const caf::actor& handle);
  wire_session_ptr session_of(const std::string& node) const;

  environment& env_;
  cluster_rules rules_;
  const std::shared_ptr<wire_port> port_;
  std::function<void()> drain_requested_;
  poster post_;

  // The link's thread only.
  net::link_core* core_ = nullptr;
  std::unique_ptr<membership> members_;
  failure_detector detector_;
  std::optional<wake_batch> batch_;

  mutable std::shared_mutex mutex_; // Guards what follows.
  std::map<std::string, peer_node, std::less<>> peers_;
  std::map<std::string, caf::actor, std::less<>> routes_;
  std::vector<std::weak_ptr<subscriber>> subscribers_;
  std::map<std::string, double> phi_;
  std::vector<net::link_peer_stats> links_;
  std::string standing_ = "starting";
  std::map<std::string, std::string> refusals_;
  bool leaving_ = false;

  mutable spinlock state_lock_; // Guards state_.
  cluster_state_ptr state_;

  telemetry::gauge& members_gauge_;
  telemetry::gauge& view_gauge_;
  telemetry::gauge& quorum_gauge_;
  telemetry::gauge& slots_gauge_;
  telemetry::counter& lost_peers_;
  std::vector<telemetry::registration> metrics_;
};

} // namespace skep::rt
