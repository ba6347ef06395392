#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/node/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// "starting", "ready", "draining", "failed".
std::string_view word_of(rt::node_phase phase);

/// A named actor of this node behind a guard, and how it stands.
struct guard_state {
  std::string name;
  /// "ready", "busy" (at its bound), "restarting", "circuit_open", "recovering".
  std::string_view word;
};

/// All guarded actors of this node, by name.
std::vector<guard_state> guard_states(rt::environment& env);

} // namespace skep::actors
