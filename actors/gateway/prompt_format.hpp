#pragma once

#include "apis/chat/answer_format.hpp"
#include "apis/openai/chat_json.hpp"
#include "messages/ids.hpp"
#include "runtime/base/clock.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

// POST /api/v1/agent/prompt: one message in, one text out (docs/performance-api.md).
namespace skep::actors {

/// The body of a prompt, read.
struct prompt_body {
  /// The agent or model it names; empty when it names none.
  std::string model;
  /// The member that named it, for errors: "agent" or "model".
  std::string named_by = "agent";
  std::string session_id;
  /// The rest of it as a chat, its model still to be set.
  msg::chat_request request;
};

/// Reads the body: {"message": TEXT, "agent" or "model"?, "session_id"?, "stream"?, …}; what it
/// does not know becomes a parameter of the chat, byte for byte.
tl::expected<prompt_body, api_error> read_prompt_body(std::string_view body);

/// What an answer to a prompt says beside the text.
struct prompt_answer {
  /// The agent; empty when a provider's model was asked without one.
  std::string agent;
  std::string request_id;
  /// Milliseconds since the request was read.
  std::function<std::int64_t()> age_ms;
};

/// Whole: {"response", "agent", "model", "finish_reason", "usage", "request_id", "cached",
/// "processing_ms"}. Streamed: {"delta": TEXT} per piece, then an event with all those members but
/// "response" and with "done": true, then [DONE].
std::unique_ptr<answer_format> prompt_format(prompt_answer about);

} // namespace skep::actors
