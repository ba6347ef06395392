#pragma once

#include "actors/agent/definition.hpp"
#include "messages/failure.hpp"

#include <string>
#include <string_view>

// The pure half of an agent: what it sends and what it may remember.
namespace skep::actors {

/// The request as `route` gets it: instructions in front, parameters merged, the route's model.
/// `parameters` of the request must be a JSON object or empty; anything else is passed on as it is.
msg::chat_request prompt_for(const agent_definition& agent, const agent_route& route,
                             const msg::chat_request& request);

/// The key of a request as it goes to the agent's first route: tenant, model, parameters (without
/// user, metadata and what does not change the answer), every message. Equal requests have equal
/// keys, whatever the order of their JSON members (XXH3, 128 bits).
msg::cache_key cache_key_of(std::string_view tenant, const std::string& agent,
                            const agent_route& route, const msg::chat_request& prompt);

/// Whole answers that ended by themselves: no cut, no filter, no tool call.
bool may_store(const msg::chat_reply& reply);

/// The failure says something about the provider asked, so another one may do better.
bool another_may_answer(const failure& why);

} // namespace skep::actors
