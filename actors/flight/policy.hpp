#pragma once

#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <string>
#include <string_view>

// The pure half of a flight: what it may keep, try again and answer.
namespace skep::actors {

/// The answer is a text that ended by itself: not cut, filtered, refused or paused, no tool call.
/// `parameters` are the request's, JSON: they name its stop sequences.
bool may_store(const msg::chat_reply& reply, std::string_view parameters);

/// The failure says something about the provider asked, so another one may do better.
bool another_may_answer(const failure& why);
/// A provider was not asked, because it does not speak the only API that says the request.
bool is_unreadable(const failure& why);

/// The same request would be refused again, by whatever provider it was.
bool is_deterministic(const failure& why);

/// The one who leads a flight is gone, as opposed to: its call failed.
bool leader_is_gone(const failure& why);

/// What an answer cost, in prompt tokens: a completion token costs about four of them with the
/// large providers. At least 1.
std::uint64_t cost_of(const msg::token_usage& usage);

/// The text of an answer's first choice.
const std::string& text_of(const msg::chat_reply& reply);

} // namespace skep::actors
