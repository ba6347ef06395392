#pragma once

#include "messages/chat.hpp"

namespace skep::actors {

/// The request without the members that only other APIs have (the vocabulary of
/// anthropic_request.hpp: thinking and its blocks, reasoning_content, cache_control, is_error,
/// top_k): OpenAI itself refuses what it does not know. They steer caches, or how an answer came
/// about; what was said stays. Everything else keeps its bytes and its order.
msg::chat_request without_extensions(msg::chat_request request);

} // namespace skep::actors
