#pragma once

#include "runtime/actor/directory.hpp"
#include "runtime/actor/timers.hpp"

#include <caf/actor_system.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace skep::telemetry {
class registry;
} // namespace skep::telemetry

namespace skep::rt {

class bounded_actor;

/// Puts a handle behind codec and socket (`node.force_wire`).
class wire {
public:
  virtual ~wire() = default;
  /// A handle that sends everything over the wire to `target`.
  virtual caf::actor wrap(const caf::actor& target) = 0;
};

/// Knows names beyond this node's directory (the cluster). Thread-safe.
class name_resolver {
public:
  virtual ~name_resolver() = default;
  /// Who serves the name, here or elsewhere; null when nobody does.
  virtual caf::actor find(std::string_view name) = 0;
  /// All names that begin with `prefix`, sorted, each once.
  virtual std::vector<std::string> names(std::string_view prefix) const = 0;
};

/// What every actor of a node shares: the actor system, time, names and metrics. Outlives all of
/// them. Thread-safe.
class environment {
public:
  environment(caf::actor_system& system, timers& clock, telemetry::registry& metrics)
    : system_(system), timers_(clock), metrics_(metrics) {}

  caf::actor_system& system() {
    return system_;
  }
  rt::timers& timers() {
    return timers_;
  }
  rt::directory& directory() {
    return directory_;
  }
  telemetry::registry& metrics() {
    return metrics_;
  }
  time_point now() const noexcept {
    return timers_.now();
  }

  /// Sends every hop through `w` from now on; null ends it. Set before actors are wired.
  void use_wire(std::shared_ptr<wire> w) {
    wire_ = std::move(w);
  }
  /// How actors reach `target`: the handle itself, or the wire in front of it.
  caf::actor reach(const caf::actor& target) const {
    return wire_ && target ? wire_->wrap(target) : target;
  }
  /// Names are looked up through `resolver` from now on; null ends it. Set before actors are wired;
  /// it must outlive them.
  void use_resolver(name_resolver* resolver) {
    resolver_ = resolver;
  }
  /// The named actor as others reach it; a null handle when there is none.
  caf::actor find(std::string_view name) const {
    return resolver_ != nullptr ? resolver_->find(name) : reach(directory_.find(name));
  }
  /// Names of this node and, in a cluster, of its peers.
  std::vector<std::string> names(std::string_view prefix) const {
    return resolver_ != nullptr ? resolver_->names(prefix) : directory_.names(prefix);
  }

  /// Starts an actor of class A, constructed as A(config, *this, args…). Its behaviour is built
  /// with its first message; the caller owns its end.
  template <class A, class... Ts>
  caf::actor spawn(Ts&&... args) {
    return caf::actor_cast<caf::actor>(
      system_.spawn<A, caf::lazy_init + caf::hidden>(std::ref(*this), std::forward<Ts>(args)...));
  }

  /// Bounded actors that have begun and not ended.
  long live_actors() const noexcept {
    return live_actors_.load(std::memory_order_relaxed);
  }

private:
  friend class bounded_actor;

  std::atomic<long> live_actors_{0};
  caf::actor_system& system_;
  rt::timers& timers_;
  telemetry::registry& metrics_;
  rt::directory directory_;
  std::shared_ptr<wire> wire_;
  name_resolver* resolver_ = nullptr;
};

} // namespace skep::rt
