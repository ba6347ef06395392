#pragma once

#include "runtime/actor/guard.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/flow/affinity.hpp"
#include "runtime/flow/picker.hpp"

#include <caf/actor_proxy.hpp>

#include <optional>
#include <string>
#include <vector>

namespace skep::rt {

/// Rules of all routes of a node.
struct route_config {
  /// Calls at work here up to which this node takes its own calls itself.
  std::uint32_t local_in_flight_max = 256;
  /// Calls of this node at work at one other node, per name.
  std::uint32_t remote_in_flight_max = 100'000;
  /// Nodes that may serve one name.
  std::uint32_t nodes_max = 128;
  /// What a caller is told when nobody serves the name.
  std::chrono::milliseconds retry_after{250};
};

/// The address of a name wherever it is served: chooses a node for each call in O(1) on the
/// sender's thread. Calls of a session stay at their node (rendezvous with bounded loads), others
/// stay here while this node has room, else go by power of two choices on live in-flight counts. A
/// call whose node is lost or full before the first part of an answer is run again elsewhere, while
/// its context says replayable. Thread-safe.
class route final : public caf::actor_proxy, public settler, public hop {
public:
  route(caf::actor_config& config, environment& env, std::weak_ptr<wire_port> port,
        std::string name, route_config rules);
  ~route() override;

  static caf::actor make(environment& env, const std::shared_ptr<wire_port>& port, std::string name,
                         const route_config& rules);
  static route& of(const caf::actor& handle);

  /// Who serves the name here; null when nobody does.
  void set_local(caf::actor who, std::uint64_t node_id);
  /// A session with a node that serves the name.
  void add(const wire_session_ptr& session, std::uint64_t node_id, std::uint32_t weight);
  void remove(const std::string& node);
  /// A node that drains gets no more calls.
  void enable(const std::string& node, bool on);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override;
  void settled(const outcome& how, std::uint64_t token) noexcept override;
  void ended(std::uint64_t token) noexcept override;
  void again(caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried,
             const failure& why) override;

private:
  using slot_index = flow::picker::slot_index;
  struct member {
    wire_session_ptr session;
    caf::actor local;
  };

  void place(slot_index slot, member who);
  member at(slot_index slot) const;
  std::optional<slot_index> find_slot(const std::string& node) const;
  bool usable(slot_index slot, const std::vector<std::uint32_t>& tried) const;
  std::optional<slot_index> choose(const call& c, const std::vector<std::uint32_t>& tried);
  std::optional<slot_index> choose_any(const std::vector<std::uint32_t>& tried);
  void send_to(slot_index slot, caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried);
  void deliver(caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried,
               const failure& otherwise);

  environment& env_;
  const std::weak_ptr<wire_port> port_;
  const std::string name_;
  const route_config rules_;
  flow::picker picker_;
  flow::affinity affinity_;
  telemetry::counter& picked_local_;
  telemetry::counter& picked_remote_;
  telemetry::counter& refused_;
  telemetry::counter& run_again_;

  mutable spinlock lock_; // Guards what follows.
  std::vector<member> members_;
  std::optional<slot_index> local_slot_;
};

} // namespace skep::rt
