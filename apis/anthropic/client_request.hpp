#pragma once

#include "messages/chat.hpp"
#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// A conversation in OpenAI's form, which skep uses inside, as the body of Anthropic's Messages API.
//
// The vocabulary for what only Anthropic has, shared with the server side, which reads and writes
// the same API towards clients. All of it stands in the members that skep passes on untouched, so a
// client of the OpenAI API may use it, too:
//
//   cache_control     of a content part, a message (its last block), a tool call (its `extra`), an
//                     entry of `tools`: as it came.
//   caller            of a tool call (its `extra`): which of Anthropic's tools called it.
//   thinking_blocks   of an assistant message, in requests and whole answers: a list of Anthropic's
//                     thinking and redacted_thinking blocks as they came. They stand before text
//                     and tool calls. In a stream each delta has pieces of them with the block's
//                     number among the answer's thinking blocks, from 0: {"index":0,"type":
//                     "thinking","thinking":"…"}, at the block's end {"index":0,"type":"thinking",
//                     "signature":"…"}; a redacted block comes whole. Pieces of one index are put
//                     together by joining `thinking`, and `signature`.
//   reasoning_content the text of the thinking blocks, or of a reasoning model that signs nothing.
//                     Where thinking_blocks stand beside it, it says the same once more: readers of
//                     thinking_blocks pass it over. It is not sent to Anthropic's API, which takes
//                     signed blocks only.
//   content_blocks    of an answer's message, or of a stream's delta: blocks of other types
//                     (server_tool_use, web_search_tool_result, …), whole, as they came. In
//                     requests such blocks are content parts of their own type (document, …), at
//                     their place.
//   is_error          of a message with role tool: that of its tool_result block.
//   stop_reason       of a choice (its `rest`), only where finish_reason cannot say it: pause_turn,
//                     model_context_window_exceeded. end_turn and stop_sequence are "stop",
//                     max_tokens "length", tool_use "tool_calls", refusal "content_filter".
//   stop_sequence     of a choice (its `rest`): the one that ended the answer.
//
// usage.rest keeps Anthropic's usage members (cache_creation_input_tokens, cache_creation,
// server_tool_use, service_tier) under their names; usage.prompt counts all of input_tokens,
// cache_read_input_tokens and cache_creation_input_tokens, usage.cached_prompt the second of them.
//
// Parameters: what OpenAI has a name for stands in OpenAI's form; everything else (top_k, thinking,
// output_config, container, mcp_servers, context_management, …) under Anthropic's name and is
// passed on. An entry of `tools` whose type is not "function" is one of Anthropic's own and is
// passed on; members beside `function` (cache_control, defer_loading, …) go along with it.
namespace skep::actors {

/// How reasoning_effort is said to Anthropic's API.
enum class anthropic_reasoning : std::uint8_t {
  /// thinking of type enabled with a budget of tokens: models before Opus 4.7.
  budget,
  /// thinking of type adaptive and output_config.effort: Opus 4.6, Sonnet 4.6 and later.
  adaptive,
};

/// What the translation needs to know besides the request.
struct anthropic_options {
  /// max_tokens of a request that names none; the API demands one.
  std::uint32_t max_tokens = 4096;
  anthropic_reasoning reasoning = anthropic_reasoning::budget;
};

/// max_tokens for a request that names none: as much as the model is known to write at once, of
/// later Claudes 32,000, which each of them can; 8,192 of a model we do not know.
std::uint32_t max_tokens_of(std::string_view model);

/// The body of POST /v1/messages. errc::bad_request, naming the parameter, for what this API cannot
/// do and leaving out would change the answer (n above 1, logprobs, penalties, …).
expected<std::string> write_messages_request(const msg::chat_request& request,
                                             const anthropic_options& options);

} // namespace skep::actors
