#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/actor/mailbox.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <deque>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace skep::test {

/// Waits until `done()` for at most ten seconds; says whether it came to be.
template <class Predicate>
bool eventually(Predicate done) {
  const auto deadline = clock::now() + 10s;
  while (!done()) {
    if (clock::now() > deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// An environment with real threads and real time, as a node has it.
struct real_system {
  explicit real_system(std::size_t threads = 2) : clock(true), env(system, clock, metrics) {
    new (&system) caf::actor_system(configure(threads));
  }
  /// A fixture whose actors use members declared behind this one calls stop() first.
  ~real_system() {
    stop();
  }
  real_system(const real_system&) = delete;
  real_system& operator=(const real_system&) = delete;

  /// Ends every actor and joins the scheduler's threads: once it returns, no actor's code runs any
  /// more, so whatever the actors used may go. Metrics and environment stay. Idempotent.
  void stop() {
    if (std::exchange(stopped, true))
      return;
    for (const auto& who : adopted)
      caf::anon_send_exit(who, caf::exit_reason::kill);
    adopted.clear();
    env.directory().clear();
    eventually([this] { return env.live_actors() == 0; });
    env.use_wire(nullptr);
    clock.stop(); // No thread wakes an actor from here on.
    system.~actor_system();
  }

  /// A kind of actor that outlives the actors.
  const rt::actor_kind& kind(const std::string& name, const rt::mailbox_bounds& bounds = {}) {
    return kinds.emplace_back(metrics, name, bounds);
  }

  caf::actor adopt(caf::actor who) {
    adopted.push_back(who);
    return who;
  }

  caf::actor_system_config& configure(std::size_t threads) {
    config.set("scheduler.policy", caf::atom("sharing"));
    config.set("scheduler.max-threads", threads);
    config.set("scheduler.max-throughput", std::size_t{100});
    return config;
  }

  caf::actor_system_config config;
  telemetry::registry metrics;
  std::deque<rt::actor_kind> kinds;
  rt::timers clock;
  rt::environment env;
  // Its lifetime ends in stop(), before that of the parts above.
  union {
    caf::actor_system system;
  };
  bool stopped = false;
  std::deque<caf::actor> adopted;
};

} // namespace skep::test
