#pragma once

#include "messages/chat.hpp"

#include <string>
#include <string_view>

namespace skep::actors {

/// The request without the members that only other APIs have (the vocabulary of
/// client_request.hpp: thinking and its blocks, reasoning_content, cache_control, is_error,
/// top_k): OpenAI itself refuses what it does not know. They steer caches, or how an answer came
/// about; what was said stays. Everything else keeps its bytes and its order. The budget of
/// `thinking` is `reasoning_effort` for models that reason, unless an effort is given: low below
/// 4,096 tokens, high from 16,384 on.
msg::chat_request without_extensions(msg::chat_request request);

/// The parameters with what only Anthropic's API names so in OpenAI's words: the format and the
/// effort of `output_config` (the format once was a member of its own, `output_format`) are
/// `response_format` and `reasoning_effort`, unless these are given, and its other members are left
/// out; `service_tier` "standard_only" is "default". A schema is strict where it keeps OpenAI's
/// rules for strict ones: every property required, no others, at most 120,000 bytes.
std::string in_openai_words(std::string_view parameters);
/// The parameters with `max_tokens` as `max_completion_tokens`, unless that is given as well.
std::string with_newer_bound(const std::string& parameters);
/// Whether in_openai_words() may change the parameters: a quick look, true more often than needed.
bool has_anthropic_words(std::string_view parameters);

} // namespace skep::actors
