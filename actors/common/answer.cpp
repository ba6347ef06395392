#include "actors/common/answer.hpp"

#include "actors/common/openai_json.hpp"
#include "messages/size.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

msg::chat_choice& choice_at(std::vector<msg::chat_choice>& choices, std::uint32_t index) {
  const auto found = std::find_if(choices.begin(), choices.end(),
                                  [index](const auto& c) { return c.index == index; });
  if (found != choices.end())
    return *found;
  auto& fresh = choices.emplace_back();
  fresh.index = index;
  return fresh;
}

/// The end of a piece that starts at `from`: never inside a UTF-8 character.
std::size_t piece_end(const std::string& text, std::size_t from) {
  auto to = std::min(text.size(), from + answer_player::piece_bytes);
  while (to < text.size() && to > from && (static_cast<unsigned char>(text[to]) & 0xC0u) == 0x80u)
    --to;
  return to > from ? to : std::min(text.size(), from + answer_player::piece_bytes);
}

} // namespace

answer_builder::answer_builder(std::size_t bytes_max) : bytes_left_(bytes_max) {}

void answer_builder::open(const msg::chat_open& begin) {
  reply_.id = begin.id;
  reply_.created = begin.created;
  reply_.model = begin.model;
  reply_.rest = begin.rest;
  reply_.origin = begin.origin;
}

void answer_builder::add(const msg::chat_chunk& piece) {
  const auto cost = bytes_of(piece);
  whole_ = whole_ && cost <= bytes_left_ && piece.delta_rest.empty() && piece.rest.empty();
  if (!whole_) {
    reply_.choices.clear();
    return;
  }
  bytes_left_ -= cost;
  auto& choice = choice_at(reply_.choices, piece.index);
  choice.content += piece.content;
  if (!piece.finish_reason.empty())
    choice.finish_reason = piece.finish_reason;
}

std::optional<msg::chat_reply> answer_builder::finish(const msg::chat_end& end) {
  if (!whole_)
    return std::nullopt;
  reply_.usage = end.usage;
  return std::exchange(reply_, {});
}

answer_player::answer_player(msg::chat_reply reply) : reply_(std::move(reply)) {}

msg::chat_open answer_player::open() const {
  return {reply_.id, reply_.created, reply_.model, reply_.rest, reply_.origin};
}

std::optional<msg::chat_chunk> answer_player::next() {
  if (choice_ == reply_.choices.size())
    return std::nullopt;
  const auto& choice = reply_.choices[choice_];
  msg::chat_chunk piece;
  piece.index = choice.index;
  const auto to = piece_end(choice.content, position_);
  piece.content = choice.content.substr(position_, to - position_);
  if (position_ == 0)
    piece.delta_rest = delta_members(choice.message_rest);
  position_ = to;
  if (position_ == choice.content.size()) {
    piece.finish_reason = choice.finish_reason;
    piece.rest = choice.rest;
    ++choice_;
    position_ = 0;
  }
  return piece;
}

msg::chat_end answer_player::end() const {
  return {reply_.usage, reply_.origin};
}

} // namespace skep::actors
