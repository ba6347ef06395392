#pragma once

#include "actors/agent/routing.hpp"
#include "apis/chat/cache_scope.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/identity.hpp"

#include <caf/actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace skep::telemetry {
class counter;
} // namespace skep::telemetry

namespace skep::actors {

/// What all instances of one agent share; never changes while the node runs.
struct agent_definition {
  std::string name;
  /// Put in front of every conversation as a system message; may be empty.
  std::string instructions;
  /// The models it may ask, and how it chooses among them.
  routing_plan plan;
  /// Canonical JSON object of default parameters; the request's own win. Empty for none.
  std::string parameters;
  /// The longest a call may take until its answer is there, or begins to stream; the caller's own
  /// deadline may be shorter. Zero: none of its own.
  duration deadline{};

  /// Calls by the model asked first, in the order of the plan; empty or one per model.
  std::vector<telemetry::counter*> routed;
  /// Keys the identity of its requests, for caches and calls in flight.
  identity_secret identity = identity_secret::well_known();
  /// Where answers come from.
  caf::actor flight;
  /// In which requests the response cache has a part.
  cache_scope cache = cache_scope::deterministic;
  /// How long an answer stays fresh; zero: as the cache's config says.
  std::chrono::milliseconds cache_ttl{0};
  /// Larger answers are not collected for the cache.
  std::size_t cache_value_max = 256 * 1024;
  /// The policy of the semantic cache to use; empty: none.
  std::string semantic;
  /// Requests whose parameters were assembled before, and those that were not; may be null.
  telemetry::counter* contexts_reused = nullptr;
  telemetry::counter* contexts_assembled = nullptr;
};

using agent_definition_ptr = std::shared_ptr<const agent_definition>;

} // namespace skep::actors
