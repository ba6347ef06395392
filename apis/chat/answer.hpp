#pragma once

#include "apis/anthropic/native_message.hpp"
#include "apis/chat/merged_object.hpp"
#include "apis/chat/merged_tool_calls.hpp"
#include "messages/chat.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// From whole answers to streams and back, so that one cache entry serves both.
namespace skep::actors {

/// Collects a stream into the reply it amounts to: every member of its pieces, as merged_object
/// and merged_tool_calls put them together, and the message that Anthropic's events amount to, of
/// which the typed members lack something. Costs as much as the pieces are long.
class answer_builder {
public:
  /// Answers that take more memory than `bytes_max` are given up.
  explicit answer_builder(std::size_t bytes_max);

  void open(const msg::chat_open& begin);
  void add(const msg::chat_chunk& piece);
  /// The whole reply; nothing when it was given up.
  std::optional<msg::chat_reply> finish(const msg::chat_end& end);
  /// Memory of what was collected, about; never above the bound.
  std::size_t bytes() const {
    return bytes_;
  }

private:
  struct choice {
    std::uint32_t index = 0;
    std::string content;
    std::string finish_reason;
    merged_object message;
    merged_object rest;
    merged_tool_calls tool_calls;

    std::size_t bytes() const {
      return content.size() + message.bytes() + rest.bytes() + tool_calls.bytes();
    }
  };

  bool merge(const msg::chat_chunk& piece);
  void add_native(const msg::native_text& given);
  choice* choice_at(std::uint32_t index);
  static msg::chat_choice whole(choice&& from);

  const std::size_t bytes_max_;
  msg::chat_open head_;
  std::vector<choice> choices_;
  std::optional<message_builder> message_; // While what comes is Anthropic's.
  std::string response_;                   // The whole one, as the Responses API has it.
  std::size_t bytes_ = 0;
  bool given_up_ = false;
};

/// The members of a whole message as those of one delta: thinking blocks get their index.
std::string delta_members(const std::string& message_rest);

/// Plays a whole answer as a stream, piece by piece: of each choice its members and the beginning
/// of its text, the rest of the text, and with the last piece its tool calls and how it ended. What
/// clients of the Messages and the Responses API have natively comes behind all of them, as one
/// piece; for those of chat completions the others say it all.
class answer_player {
public:
  /// Text is cut into pieces of about this size, at UTF-8 character boundaries.
  static constexpr std::size_t piece_bytes = 1024;

  explicit answer_player(msg::chat_reply reply);

  msg::chat_open open() const;
  /// The next piece; nothing when all have been played.
  std::optional<msg::chat_chunk> next();
  msg::chat_end end() const;

private:
  void begin(const msg::chat_choice& choice);

  msg::chat_reply reply_;
  std::size_t choice_ = 0;
  std::size_t position_ = 0;
  bool begun_ = false;
  bool native_played_ = false;
  // Of the choice at work: what is played before and behind its text.
  std::string early_;
  std::string late_;
};

} // namespace skep::actors
