#pragma once

#include "apis/openai/chat_json.hpp"
#include "messages/chat.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// OpenAI's older text completions as JSON: each prompt is a chat of one message of the user.
namespace skep::actors {

/// More prompts than this in one request are refused: each is a call of its own.
inline constexpr std::size_t completion_prompts_max = 64;

/// What the body of POST /v1/completions asks for.
struct completions_body {
  std::vector<std::string> prompts;
  /// The chat of each prompt but for its message.
  msg::chat_request request;
  /// Answers per prompt.
  std::uint32_t choices = 1;
  /// Each text begins with its prompt.
  bool echo = false;
  /// stream_options.include_usage.
  bool include_usage = false;
};

/// Reads the body of POST /v1/completions. Refused, by name: what a chat cannot do (suffix,
/// logprobs, best_of above n, prompts of tokens) and several prompts in one stream.
tl::expected<completions_body, api_error> read_completions_body(std::string_view json);

/// The chat that completes one of the prompts.
msg::chat_request completion_chat(const completions_body& body, std::size_t prompt);

/// The replies to all prompts, in their order, as one: choice c of prompt p has the index
/// p * choices + c. Tokens and attempts are summed up; details of usage are kept only of a single
/// one. The origin is that of a cache hit only when every reply was one.
msg::chat_reply merged_completions(std::vector<msg::chat_reply> replies, std::uint32_t choices);

} // namespace skep::actors
