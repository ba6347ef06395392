#pragma once

#include "messages/chat.hpp"
#include "runtime/json/object.hpp"

#include <optional>
#include <string>

namespace skep::actors {

/// What servers say each in their own way, in the one word that all APIs but the chat's have for
/// it: a content of parts becomes a text and `reasoning_content` (Mistral), a `function_call` of
/// the older form a tool call, a finish reason of a server's own the API's (`length`, too, for a
/// turn that is paused). Nothing when the piece is in plain words already. Any thread.
std::optional<msg::chat_choice> in_plain_words(const msg::chat_choice& said);
std::optional<msg::chat_chunk> in_plain_words(const msg::chat_chunk& said);

/// What the model thinks aloud, which goes by two names; empty when it does not.
std::string reasoning_of(const json::object& message);

} // namespace skep::actors
