#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <deque>
#include <thread>

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
  explicit real_system(std::size_t threads = 2)
    : clock(true), env(system, clock, metrics), system(configure(threads)) {}
  ~real_system() {
    for (const auto& who : adopted)
      caf::anon_send_exit(who, caf::exit_reason::kill);
    adopted.clear();
    env.directory().clear();
    eventually([this] { return env.live_actors() == 0; });
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

  // Actors may end as late as in the system's destructor, so what they use stands before it.
  caf::actor_system_config config;
  telemetry::registry metrics;
  rt::timers clock;
  rt::environment env;
  caf::actor_system system;
  std::deque<caf::actor> adopted;
};

} // namespace skep::test
