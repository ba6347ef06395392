#pragma once

#include "messages/chat.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

// How hard a request looks, from its outside alone; pure.
namespace skep::actors {

/// The score of what is hardest; 0 is a greeting.
inline constexpr std::uint32_t complexity_max = 100;

/// A score from signs that are cheap to read: how long the conversation is, how many turns and
/// tools it has, code, images and schemas in it, words that ask for reasoning in its last user
/// message (English), and the effort the request asks for. It is a rule of thumb that never reads
/// meaning: the same request always has the same score, and a wrong one costs money or quality,
/// never an answer. docs/model-routing.md has the table.
std::uint32_t complexity_of(const std::vector<msg::chat_message>& messages,
                            std::string_view parameters);

/// About one token per four bytes of what a model has to read; images and other parts count by
/// their text. For choosing a model, not for bills.
std::uint64_t prompt_tokens_estimate(const std::vector<msg::chat_message>& messages,
                                     std::string_view parameters);

} // namespace skep::actors
