#pragma once

#include "apis/chat/answer.hpp"

#include <deque>

namespace skep::actors {

/// One answer as it comes in, kept so that late waiters can read it from its beginning. Bounded:
/// beyond its bytes the oldest pieces go, and whoever has not read them by then cannot follow.
/// Pure. Not thread-safe.
class answer_log {
public:
  /// Keeps about `bytes_max` of pieces, and collects as much for the whole answer.
  explicit answer_log(std::size_t bytes_max);

  // -- Written as it comes ------------------------------------------------------------------------

  void open(const msg::chat_open& begin);
  void add(const msg::chat_chunk& piece);
  /// Lets the oldest pieces go down to this bound; the newest always stays, and an answer that is
  /// complete stays as it is.
  void trim(std::size_t bytes_max);
  void end(const msg::chat_end& last);
  /// The whole answer at once.
  void whole(msg::chat_reply reply);

  // -- Read ---------------------------------------------------------------------------------------

  /// Null until the answer has begun.
  const msg::chat_open* head() const {
    return head_ ? &*head_ : nullptr;
  }
  /// Pieces [first, next) are there; piece 0 was the answer's first one.
  std::uint64_t first() const {
    return first_;
  }
  std::uint64_t next() const {
    return first_ + pieces_.size();
  }
  const msg::chat_chunk& piece(std::uint64_t number) const {
    return pieces_[static_cast<std::size_t>(number - first_)];
  }
  /// Null until the answer is complete.
  const msg::chat_end* last() const {
    return last_ ? &*last_ : nullptr;
  }
  /// The whole answer, once complete; null when it came in pieces and is larger than the bound.
  const msg::chat_reply* reply() const {
    return reply_ ? &*reply_ : nullptr;
  }
  /// A whole answer becomes readable as pieces; without effect on one that came in pieces.
  void cut_into_pieces();
  /// What is kept, about.
  std::size_t bytes() const {
    return bytes_ + built_.bytes();
  }

private:
  std::size_t bytes_max_;
  answer_builder built_;
  std::optional<msg::chat_open> head_;
  std::deque<msg::chat_chunk> pieces_;
  std::uint64_t first_ = 0;
  std::size_t bytes_ = 0;
  std::optional<msg::chat_end> last_;
  std::optional<msg::chat_reply> reply_;
};

} // namespace skep::actors
