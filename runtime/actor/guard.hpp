#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/actor/lease.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/flow/gate.hpp"

#include <caf/actor.hpp>
#include <caf/actor_proxy.hpp>

#include <string>

namespace skep::telemetry {
class counter;
class gauge;
class registry;
} // namespace skep::telemetry

namespace skep::rt {

/// A child that can say beforehand whether it would take one more call. Thread-safe.
class load_hint {
public:
  virtual ~load_hint() = default;
  virtual bool has_room() const noexcept = 0;
};

/// What one guard admits. Without a breaker and a limit only absence, drain, the deadline, the
/// in-flight bound and a spent quota are checked.
struct guard_config : flow::gate_config {
  /// What a refused caller is told while the child restarts.
  std::chrono::milliseconds absent_retry_after{100};
};

/// An address that survives its child's restarts, and the gate of what is behind it: deadline,
/// bulkhead, quota hold, circuit breaker (flow::gate). Admission runs on the sender's thread;
/// replies bypass the guard, their outcome reaches it through the call's lease. Monitors and links
/// see it end only when the child is retired for good. Thread-safe.
class guard final : public caf::actor_proxy, public settler {
public:
  guard(caf::actor_config& config, environment& env, std::string name, guard_config rules);
  ~guard() override;

  static caf::actor make(environment& env, std::string name, const guard_config& rules);
  /// The guard behind a handle that make() gave.
  static guard& of(const caf::actor& handle);

  /// From now on `child` gets the calls.
  void put(caf::actor child);
  /// There is nobody behind it for the moment; callers hear errc::unavailable.
  void absent();
  /// Refuses new calls while those admitted go on (drain), or takes calls again.
  void set_draining(bool draining);
  /// The child will not come back: monitors and links fire.
  void retire(const caf::error& reason);

  flow::breaker_state state() const;
  /// A call would be admitted right now; a hint for balancers.
  bool would_admit() const;
  std::uint32_t in_flight() const;
  /// The calls that may be at work at present.
  std::uint32_t limit() const;
  caf::actor child() const;

  // -- caf ----------------------------------------------------------------------------------------
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override;

  // -- settler ------------------------------------------------------------------------------------
  void settled(const outcome& how, std::uint64_t token) noexcept override;

private:
  struct meters {
    meters(telemetry::registry& m, const std::string& name, const guard_config& rules);
    telemetry::counter& refused_by(flow::gate_step step) const;

    telemetry::counter& refused_absent;
    telemetry::counter& refused_late;
    telemetry::counter& refused_full;
    telemetry::counter& refused_quota;
    telemetry::counter& refused_circuit;
    telemetry::gauge& state;
    telemetry::gauge& in_flight;
    // Only those who have an adaptive limit show one.
    telemetry::counter* refused_limit = nullptr;
    telemetry::gauge* limit = nullptr;
  };
  /// Why a call finds nobody behind the guard.
  enum class absence : std::uint8_t { none, restarting, draining, retired };

  absence absent_for() const;
  void show(time_point now);
  failure refusal(absence why) const;
  failure refusal(const flow::gate_answer& why) const;

  environment& env_;
  const std::string name_;
  const guard_config rules_;
  meters meters_;
  mutable spinlock lock_; // Guards everything below.
  caf::actor child_;
  const load_hint* hint_ = nullptr; // Of the child, when it gives one.
  flow::gate gate_;
  bool draining_ = false;
  bool retired_ = false;
};

/// The actor behind the handle would take a call right now, as far as its guard knows; true without
/// a guard. A hint for those who choose among several. From any thread.
bool would_admit(const caf::actor& who);

} // namespace skep::rt
