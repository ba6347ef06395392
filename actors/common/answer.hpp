#pragma once

#include "messages/chat.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// From whole answers to streams and back, so that one cache entry serves both.
namespace skep::actors {

/// Collects a stream into the reply it amounts to.
class answer_builder {
public:
  /// Answers larger than `bytes_max` are given up.
  explicit answer_builder(std::size_t bytes_max);

  void open(const msg::chat_open& begin);
  void add(const msg::chat_chunk& piece);
  /// The whole reply; nothing when it was given up or cannot be put together from its pieces
  /// (members other than text in the deltas).
  std::optional<msg::chat_reply> finish(const msg::chat_end& end);

private:
  msg::chat_reply reply_;
  std::size_t bytes_left_;
  bool whole_ = true;
};

/// Plays a whole answer as a stream, piece by piece.
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
  msg::chat_reply reply_;
  std::size_t choice_ = 0;
  std::size_t position_ = 0;
};

} // namespace skep::actors
