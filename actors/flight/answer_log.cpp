#include "actors/flight/answer_log.hpp"

#include "messages/size.hpp"

#include <utility>

namespace skep::actors {

answer_log::answer_log(std::size_t bytes_max) : bytes_max_(bytes_max), built_(bytes_max) {}

void answer_log::open(const msg::chat_open& begin) {
  head_ = begin;
  built_.open(begin);
}

void answer_log::add(const msg::chat_chunk& piece) {
  built_.add(piece);
  bytes_ += bytes_of(piece);
  pieces_.push_back(piece);
  trim(bytes_max_);
}

void answer_log::trim(std::size_t bytes_max) {
  while (!last_ && bytes_ > bytes_max && pieces_.size() > 1) {
    bytes_ -= bytes_of(pieces_.front());
    pieces_.pop_front();
    ++first_;
  }
}

void answer_log::end(const msg::chat_end& last) {
  last_ = last;
  reply_ = built_.finish(last);
  bytes_ += reply_ ? bytes_of(*reply_) : 0;
}

void answer_log::whole(msg::chat_reply reply) {
  bytes_ += bytes_of(reply);
  reply_ = std::move(reply);
}

void answer_log::cut_into_pieces() {
  if (!reply_ || head_)
    return;
  answer_player player{*reply_};
  head_ = player.open();
  while (auto piece = player.next()) {
    bytes_ += bytes_of(*piece);
    pieces_.push_back(std::move(*piece));
  }
  last_ = player.end();
}

} // namespace skep::actors
