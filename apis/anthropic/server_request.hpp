#pragma once

#include "apis/chat/chat_body.hpp"
#include "messages/chat.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Anthropic's Messages API as clients speak it to the gateway: their conversation in OpenAI's form,
// which skep uses inside. What OpenAI has no name for travels as anthropic_request.hpp says, so
// that a provider of Anthropic's gets back what the client wrote: thinking with its signatures, the
// bytes of tool inputs and schemas, cache_control, blocks of any type.
namespace skep::actors {

/// What the body of POST /v1/messages asks for.
struct messages_body {
  msg::chat_request request;
  /// The client asked for thinking. A client that did not is not shown what a reasoning model of
  /// another API thinks aloud.
  bool thinking = false;
  /// What shall end the answer: some servers tell which of them did.
  std::vector<std::string> stop_sequences;
};

/// Anthropic's code for a `thread` that cannot be served. Its clients obey it by sending the whole
/// conversation with each turn.
inline constexpr std::string_view thread_unsupported_code = "thread_unsupported_request";

/// What the body is for.
enum class messages_task : std::uint8_t {
  answer,
  /// To be counted: it needs no max_tokens.
  count,
};

/// Reads the body of POST /v1/messages. Members nobody knows are passed on. Errors name the member
/// as Anthropic's API does ("messages.0.role: …"), in the text and as `param`.
///
/// OpenAI's form has one place each for an assistant's thinking, content and tool calls, in this
/// order. A turn that thinks again after its text becomes two messages; text and thinking behind a
/// tool call go before it, since nothing may stand between a call and its result.
tl::expected<messages_body, api_error>
read_messages_body(std::string_view json, messages_task task = messages_task::answer);

} // namespace skep::actors
