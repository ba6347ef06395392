#pragma once

#include "apis/openai/chat_json.hpp"

#include <string>

// Messages and deltas as tests write them, in OpenAI's JSON, read as a provider's answer is.
namespace skep::test {

/// A piece of a stream whose delta has these members (a JSON object).
inline msg::chat_chunk piece_of(const std::string& delta, actors::chunk_reader reader = {}) {
  return reader.read(R"({"choices":[{"delta":)" + delta + "}]}").value().chunks.at(0);
}

/// Gives a choice the members of a message (a JSON object, or nothing), its text excepted.
inline void take_members(msg::chat_choice& into, const std::string& message) {
  const auto members = message.empty() ? "{}" : message;
  auto read = actors::read_chat_reply(R"({"choices":[{"message":)" + members + "}]}").value();
  into.message_rest = std::move(read.choices.at(0).message_rest);
  into.tool_calls = std::move(read.choices.at(0).tool_calls);
}

} // namespace skep::test
