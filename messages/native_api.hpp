#pragma once

#include <cstdint>

namespace skep::msg {

/// An API of which a call carries what its speakers wrote, as it came, beside the typed reading.
/// Where both ends speak it, that is passed on, and nothing of it is lost.
enum class native_api : std::uint8_t {
  none = 0,
  /// OpenAI's chat completions.
  chat = 1,
  /// Anthropic's Messages.
  messages = 2,
  /// OpenAI's Responses.
  responses = 3,
};

/// What a request in an API's own words asks for.
enum class native_task : std::uint8_t {
  answer = 0,
  /// How many tokens the conversation has: a chat_reply without choices, whose native text says it.
  count_tokens = 1,
};

} // namespace skep::msg
