#pragma once

#include "actors/agent/definition.hpp"
#include "apis/chat/context_cache.hpp"
#include "messages/context.hpp"
#include "messages/flight.hpp"
#include "runtime/flow/rng.hpp"

// The pure half of an agent: what it sends and what it may remember.
namespace skep::actors {

/// What the agent asks its flights for: instructions in front, parameters merged, the routes as the
/// agent's plan chooses them, and the cache's keys. `parameters` of the request must be a JSON
/// object or empty.
///
/// The key is a hash of tenant, agent, the route the plan has for it (whatever chance chose),
/// parameters (without user, metadata and what does not change the answer) and every message: equal
/// requests have equal keys on every node, whatever the order of their JSON members (XXH3, 128
/// bits). The semantic partition is the same without the last text.
msg::flight_request flight_for(const agent_definition& agent, const msg::chat_request& request,
                               const context& caller, context_cache& contexts, time_point now,
                               flow::rng& random);

} // namespace skep::actors
