#pragma once

#include "actors/balancer/member_health.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/affinity.hpp"
#include "runtime/flow/picker.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// One worker behind a balancer.
struct balancer_member {
  caf::actor handle;
  /// Relative speed or share.
  std::uint32_t weight = 1;
  std::uint32_t in_flight_max = 100'000;
  /// What affinity knows it by, the same on every node and after every start; 0: its number.
  std::uint64_t id = 0;
};

/// Which calls go to the same worker.
enum class affinity_kind : std::uint8_t {
  none,
  /// Those whose conversations begin alike: the worker has the prompt's beginning in its cache.
  prefix,
  /// Those of one session (the x-session-id header).
  session,
};

/// How a balancer keeps calls together.
struct affinity_rules {
  affinity_kind kind = affinity_kind::none;
  /// How much of a conversation's beginning counts.
  std::size_t prefix_bytes = 1024;
  /// How far above the mean load a worker may be for it; at least 1.
  double load_factor = 1.25;
};

/// Chooses a worker for each call in O(1) by weighted power of two choices on live in-flight counts
/// (runtime/flow/picker.hpp), on the sender's thread; the worker answers the caller directly. A
/// member whose guard would refuse is passed over. With affinity, calls that belong together go to
/// the same worker while it is not overloaded (runtime/flow/affinity.hpp, O(members)); when all
/// are, the two choices decide. Members that fail more than the others are ejected for a while, and
/// those that come back begin with a small share (member_health.hpp); that is decided on the
/// balancer's own thread, where control goes, too.
class balancer : public rt::bounded_actor, public rt::settler {
public:
  balancer(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
           std::string name, std::vector<balancer_member> members, affinity_rules rules = {},
           const health_rules& health = {});

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void settled(const rt::outcome& how, std::uint64_t token) noexcept override;

  /// Calls in flight at a member; from any thread.
  std::uint32_t in_flight(std::size_t member) const;

protected:
  caf::behavior make_behavior() override;

private:
  using slot_index = flow::picker::slot_index;

  /// What the call has in common with those it belongs to; nothing when it belongs to none.
  std::optional<std::uint64_t> affinity_key(const caf::mailbox_element& what) const noexcept;
  std::optional<slot_index> pick_for(const caf::mailbox_element& what) noexcept;
  std::optional<slot_index> pick() noexcept;
  /// The member's guard would take a call; notes it when not.
  bool admits(slot_index slot) noexcept;
  /// Has the health looked at on the balancer's own thread.
  void wake() noexcept;
  void look();
  telemetry::counter& affine_picks(std::string_view result);

  const std::string name_;
  const std::vector<balancer_member> members_; // By slot index; fixed.
  const affinity_rules rules_;
  flow::picker picker_;
  flow::affinity affinity_;
  std::unique_ptr<member_health> health_;
  std::optional<std::uint64_t> look_timer_;
  telemetry::counter& refused_;
  telemetry::counter& picks_;
  // Null without affinity.
  telemetry::counter* kept_ = nullptr;
  telemetry::counter* spilled_ = nullptr;
};

} // namespace skep::actors
