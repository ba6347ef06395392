#include "actors/gateway/node_states.hpp"

#include "runtime/actor/guard.hpp"

namespace skep::actors {

namespace {

std::string_view state_of(const rt::guard& guarded) {
  if (!guarded.child())
    return "restarting";
  switch (guarded.state()) {
    case flow::breaker_state::open: return "circuit_open";
    case flow::breaker_state::half_open: return "recovering";
    case flow::breaker_state::closed: break;
  }
  return guarded.would_admit() ? "ready" : "busy";
}

} // namespace

std::string_view word_of(rt::node_phase phase) {
  switch (phase) {
    case rt::node_phase::starting: return "starting";
    case rt::node_phase::ready: return "ready";
    case rt::node_phase::draining: return "draining";
    case rt::node_phase::failed: return "failed";
  }
  return "unknown";
}

std::vector<guard_state> guard_states(rt::environment& env) {
  std::vector<guard_state> all;
  const auto& directory = env.directory();
  for (auto& name : directory.names("")) {
    const auto who = directory.find(name);
    const auto* guarded
      = dynamic_cast<const rt::guard*>(caf::actor_cast<caf::abstract_actor*>(who));
    if (guarded != nullptr)
      all.push_back({std::move(name), state_of(*guarded)});
  }
  return all;
}

} // namespace skep::actors
