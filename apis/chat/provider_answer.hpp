#pragma once

#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the readers of all providers' answers have in common.
namespace skep::actors {

/// Choices of one answer, and the bound on their numbers: OpenAI's on n.
inline constexpr std::uint32_t choices_max = 128;
/// An answer's id, and its model: both stand in every frame of a stream.
inline constexpr std::size_t answer_name_bytes_max = 1024;

/// errc::provider_failed when an answer's id or model is longer than that.
tl::expected<void, failure> check_head(std::string_view id, std::string_view model);

/// All tokens: the provider's own sum, which counts thinking at some, or that of the other two.
std::uint64_t total_of(const msg::token_usage& usage);

/// What an error body says; empty where it says nothing.
struct provider_error {
  std::string message;
  std::string type;
  /// As text, also when it came as a number.
  std::string code;
  /// The member of the request at fault.
  std::string param{};
  /// It lists for which of its rules a filter refused the request (OpenRouter).
  bool has_reasons = false;
};

/// What one event of a provider's stream holds.
struct chunk_event {
  /// What the event says of the answer as a whole; members it does not have are empty.
  msg::chat_open open;
  std::vector<msg::chat_chunk> chunks;
  std::optional<msg::token_usage> usage;
  /// The provider reports an error instead.
  std::optional<provider_error> error;
  /// A client of the API sees something of the answer in it, whatever the pieces say.
  bool begins = false;
  /// Nothing of the answer follows.
  bool last = false;
};

/// errc::provider_failed with what is wrong with the answer.
tl::unexpected<failure> no_answer(std::string detail);

} // namespace skep::actors
