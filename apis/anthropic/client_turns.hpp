#pragma once

#include "messages/chat.hpp"
#include "runtime/base/expected.hpp"

#include <string>
#include <vector>

namespace skep::actors {

/// A conversation as Anthropic's Messages API has it.
struct anthropic_turns {
  /// JSON: a text, or a list of text blocks; empty when there are no instructions.
  std::string system;
  /// JSON: the list of turns, user and assistant by turns.
  std::string messages;
  /// The last turn answers tool calls which a model made without (signed) thinking blocks: a model
  /// told to think with a budget refuses such a conversation.
  bool answers_unsigned_calls = false;
};

/// Whether the ids of all calls are such as Anthropic's API takes.
bool has_own_ids(const std::vector<msg::chat_message>& messages);

/// Instructions are taken out of the conversation wherever they stand, and turns of one role that
/// follow each other become one. errc::bad_request, naming the member, for what has no place there.
expected<anthropic_turns> anthropic_turns_of(const std::vector<msg::chat_message>& messages);

} // namespace skep::actors
