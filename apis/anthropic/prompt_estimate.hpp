#pragma once

#include "messages/chat.hpp"

#include <cstdint>

namespace skep::actors {

/// About as many tokens as a model reads for this request: one per four bytes of its messages and
/// tools, and at most 1,500 for an image or a document that comes as bytes.
std::uint64_t estimated_prompt_tokens(const msg::chat_request& request);

} // namespace skep::actors
