#pragma once

#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/picker.hpp"

#include <memory>
#include <string>

namespace skep::actors {

/// One worker behind a balancer.
struct balancer_member {
  caf::actor handle;
  /// Relative speed or share.
  std::uint32_t weight = 1;
  std::uint32_t in_flight_max = 100'000;
};

/// Chooses a worker for each call in O(1) by weighted power of two choices on live in-flight counts
/// (runtime/flow/picker.hpp), on the sender's thread; the worker answers the caller directly. A
/// member whose guard would refuse is passed over. Control goes to the balancer's own mailbox.
class balancer : public rt::bounded_actor, public rt::settler {
public:
  balancer(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
           std::string name, std::vector<balancer_member> members);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void settled(const rt::outcome& how, std::uint64_t token) noexcept override;

  /// Calls in flight at a member; from any thread.
  std::uint32_t in_flight(std::size_t member) const;

protected:
  caf::behavior make_behavior() override;

private:
  std::optional<flow::picker::slot_index> pick() noexcept;

  const std::string name_;
  const std::vector<balancer_member> members_; // By slot index; fixed.
  flow::picker picker_;
  telemetry::counter& refused_;
  telemetry::counter& picks_;
};

} // namespace skep::actors
