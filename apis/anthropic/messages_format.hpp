#pragma once

#include "apis/chat/answer_format.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// What the writer of an answer of Anthropic's Messages API needs to know of its request.
struct messages_wish {
  /// For errors in the middle of a stream.
  std::string request_id;
  /// The client asked for thinking: show that of models which sign nothing, too.
  bool thinking = false;
  /// To tell which of them ended the answer, where a server says so in a way of its own (vLLM).
  std::vector<std::string> stop_sequences;
  /// What message_start says of the prompt: nobody has counted it by then.
  std::uint64_t prompt_tokens = 0;
};

/// Anthropic's Messages API, whole and streamed. Of several choices the first is the answer. Blocks
/// stand as they came, thinking first in a whole answer. A tool's input that is no JSON object,
/// which a model cut short may leave, is {"INVALID_JSON": "the text"} in a whole answer; in a
/// stream it goes as it came. The prompt's tokens are known at a stream's end only: message_start
/// says what the wish says.
std::unique_ptr<answer_format> messages_format(messages_wish wish);

} // namespace skep::actors
