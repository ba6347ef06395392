#pragma once

#include "messages/chat.hpp"

#include <vector>

namespace skep::actors {

/// Whether in_openai_parts() may change the conversation: a quick look, true more often than
/// needed.
bool has_foreign_parts(const std::vector<msg::chat_message>& messages);

/// The conversation with parts that chat completions have. Anthropic's `document` is a file, or a
/// text where it holds nothing but text; `search_result` is a text. A tool's message takes text
/// only: what else a tool returned stands in a user's message behind those of the same turn.
/// Everything else keeps its bytes and its order.
std::vector<msg::chat_message> in_openai_parts(std::vector<msg::chat_message> messages);

} // namespace skep::actors
