#pragma once

#include "apis/chat/provider_answer.hpp"
#include "messages/chat.hpp"
#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Answers of Anthropic's Messages API as those of OpenAI's chat completions, whole and streamed.
// What only Anthropic has goes where anthropic_request.hpp says.
namespace skep::actors {

/// A whole answer; errc::provider_failed when it is none. The API says no time: created is 0.
expected<msg::chat_reply> read_messages_reply(std::string_view json);

/// What Anthropic's stop_reason is here.
struct anthropic_stop {
  /// stop, length, tool_calls or content_filter.
  std::string_view finish_reason;
  /// JSON object of what the finish reason does not say; or empty.
  std::string rest;
};
/// Both arguments are JSON, empty for none. A reason nobody knows is "stop", and kept.
anthropic_stop read_stop(std::string_view stop_reason, std::string_view stop_sequence);

/// The tokens of an answer, put together from what its parts say: of a member said twice the later
/// value counts.
class anthropic_usage {
public:
  /// The members of a JSON object.
  void add(std::string_view object);
  msg::token_usage total() const;

private:
  std::uint64_t count(std::string_view name) const;

  std::vector<std::pair<std::string, std::string>> members_;
};

/// Reads the events of one streamed answer, in their order. Events and blocks nobody knows are
/// passed over or passed on, never an error. Its memory is bounded by the bytes of one block.
class anthropic_stream {
public:
  /// Reads the data of one event; errc::provider_failed when it is none, or passes a bound.
  expected<chunk_event> read(std::string_view data);

private:
  enum class block_kind : std::uint8_t { text, tool, thinking, other };

  struct block {
    std::uint64_t index = 0;
    block_kind kind = block_kind::other;
    // Of a tool or a thinking block: its number among the answer's.
    std::uint32_t number = 0;
    // tool: the input as the start had it; other: the whole start.
    std::string start;
    // other: the pieces of its input, put together; tool: whether any piece came.
    std::string input;
  };

  expected<void> start_block(std::string_view event, chunk_event& into);
  expected<void> add_delta(std::string_view event, chunk_event& into);
  void stop_block(std::string_view event, chunk_event& into);
  void start_thinking(block& begun, std::string_view type, std::string_view content,
                      chunk_event& into);
  void finish(std::string_view event, chunk_event& into);
  block* block_at(std::uint64_t index);

  anthropic_usage usage_;
  std::vector<block> open_blocks_;
  std::uint32_t tools_ = 0;
  std::uint32_t thoughts_ = 0;
};

} // namespace skep::actors
