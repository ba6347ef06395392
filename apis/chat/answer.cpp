#include "apis/chat/answer.hpp"

#include "apis/chat/provider_answer.hpp"
#include "apis/openai/native_response.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::size_t choice_bytes = 256;

/// Content that is a list of parts stands among the further members.
bool has_parts(const std::string& members) {
  return members.find("\"content\"") != std::string::npos
         && json::object{members}.at("content").starts_with('[');
}

std::string text_as_part(const std::string& text) {
  const auto part = json::object_writer{}.raw("type", R"("text")").text("text", text).object();
  return json::object_writer{}.raw("content", json::array_of({part})).object();
}

/// The members of both objects.
std::string joined(std::string one, std::string other) {
  if (one.empty() || other.empty())
    return one.empty() ? other : one;
  one.back() = ',';
  return one.append(other, 1);
}

/// The elements of a list, those that are objects with their place in it as `index`.
std::string numbered(std::string_view list) {
  std::vector<std::string> all;
  for (const auto each : json::elements_of(list).value_or(std::vector<std::string_view>{})) {
    if (!json::members_of(each)) {
      all.emplace_back(each);
      continue;
    }
    const json::object given{each};
    json::object_writer out;
    out.number("index", all.size());
    for (const auto& member : given.members())
      if (member.name != "index")
        out.raw(member.name, member.value);
    all.push_back(out.object());
  }
  return json::array_of(all);
}

/// The end of a piece that starts at `from`: never inside a UTF-8 character.
std::size_t piece_end(const std::string& text, std::size_t from) {
  auto to = std::min(text.size(), from + answer_player::piece_bytes);
  while (to < text.size() && to > from && (static_cast<unsigned char>(text[to]) & 0xC0u) == 0x80u)
    --to;
  return to > from ? to : std::min(text.size(), from + answer_player::piece_bytes);
}

} // namespace

answer_builder::answer_builder(std::size_t bytes_max) : bytes_max_(bytes_max) {}

void answer_builder::open(const msg::chat_open& begin) {
  head_ = begin;
  const auto native = std::exchange(head_.native, {});
  if (native.is(msg::native_api::messages))
    message_.emplace();
  add_native(native);
}

answer_builder::choice* answer_builder::choice_at(std::uint32_t index) {
  const auto found = std::find_if(choices_.begin(), choices_.end(),
                                  [index](const choice& each) { return each.index == index; });
  if (found != choices_.end())
    return &*found;
  if (choices_.size() == choices_max)
    return nullptr;
  bytes_ += choice_bytes;
  auto& fresh = choices_.emplace_back();
  fresh.index = index;
  return &fresh;
}

/// Without their events, Anthropic's message has what was collected so far.
void answer_builder::add_native(const msg::native_text& given) {
  if (given.is(msg::native_api::responses)) {
    if (const auto whole = response_in(given.text); !whole.empty()) {
      bytes_ += whole.size() - response_.size();
      response_ = whole;
    }
  } else if (message_) {
    bytes_ -= message_->bytes();
    message_->add(given.text);
    bytes_ += message_->bytes();
  }
}

bool answer_builder::merge(const msg::chat_chunk& piece) {
  add_native(piece.native);
  if (piece.only_native())
    return bytes_ <= bytes_max_;
  auto* const into = choice_at(piece.index);
  if (into == nullptr)
    return false;
  const auto before = into->bytes();
  bool fits = true;
  if (!into->content.empty() && has_parts(piece.delta_rest))
    fits = into->message.add(text_as_part(std::exchange(into->content, {})));
  into->content += piece.content;
  fits = fits && into->message.add(piece.delta_rest) && into->rest.add_last(piece.rest);
  for (const auto& call : piece.tool_calls)
    fits = fits && into->tool_calls.add(call);
  if (!piece.finish_reason.empty())
    into->finish_reason = piece.finish_reason;
  bytes_ += into->bytes() - before;
  return fits && bytes_ <= bytes_max_;
}

void answer_builder::add(const msg::chat_chunk& piece) {
  if (given_up_ || merge(piece))
    return;
  given_up_ = true;
  choices_.clear();
  message_.reset();
  response_.clear();
  bytes_ = 0;
}

msg::chat_choice answer_builder::whole(choice&& from) {
  msg::chat_choice made;
  made.index = from.index;
  made.content = std::move(from.content);
  made.tool_calls = from.tool_calls.take();
  made.content_null = made.content.empty() && !from.message.has("content")
                      && (!made.tool_calls.empty() || from.message.has("function_call"));
  made.finish_reason = std::move(from.finish_reason);
  made.message_rest = from.message.text();
  made.rest = from.rest.text();
  return made;
}

std::optional<msg::chat_reply> answer_builder::finish(const msg::chat_end& end) {
  if (given_up_)
    return std::nullopt;
  msg::chat_reply reply;
  reply.id = std::move(head_.id);
  reply.created = head_.created;
  reply.model = std::move(head_.model);
  reply.rest = std::move(head_.rest);
  reply.origin = std::move(head_.origin);
  reply.usage = end.usage;
  if (auto message = message_ ? message_->message() : std::nullopt)
    reply.native = {static_cast<std::uint8_t>(msg::native_api::messages), std::move(*message)};
  else if (!response_.empty())
    reply.native = {static_cast<std::uint8_t>(msg::native_api::responses), std::move(response_)};
  message_.reset();
  std::sort(choices_.begin(), choices_.end(),
            [](const choice& a, const choice& b) { return a.index < b.index; });
  for (auto& each : choices_)
    reply.choices.push_back(whole(std::move(each)));
  choices_.clear();
  bytes_ = 0;
  return reply;
}

std::string delta_members(const std::string& message_rest) {
  if (message_rest.find("\"thinking_blocks\"") == std::string::npos)
    return message_rest;
  const json::object given{message_rest};
  json::object_writer out;
  for (const auto& member : given.members()) {
    const bool blocks = member.name == "thinking_blocks" && member.value.starts_with('[');
    out.raw(member.name, blocks ? numbered(member.value) : std::string{member.value});
  }
  return out.object_or_nothing();
}

answer_player::answer_player(msg::chat_reply reply) : reply_(std::move(reply)) {
  if (reply_.native.is(msg::native_api::chat))
    reply_.native = {};
}

msg::chat_open answer_player::open() const {
  return {reply_.id,   reply_.created, reply_.model,
          reply_.rest, reply_.origin,  {reply_.native.api, {}}};
}

/// Members come before the text, tool calls behind it.
void answer_player::begin(const msg::chat_choice& choice) {
  begun_ = true;
  const auto all = delta_members(choice.message_rest);
  const json::object members{all};
  json::object_writer early;
  json::object_writer late;
  for (const auto& each : members.members()) {
    const bool call = each.name == "function_call";
    (call && each.value != "null" ? late : early).raw(each.name, each.value);
  }
  early_ = early.object_or_nothing();
  late_ = late.object_or_nothing();
}

std::optional<msg::chat_chunk> answer_player::next() {
  if (choice_ == reply_.choices.size()) {
    if (reply_.native.text.empty() || std::exchange(native_played_, true))
      return std::nullopt;
    msg::chat_chunk as_it_came;
    as_it_came.native = std::move(reply_.native);
    return as_it_came;
  }
  const auto& choice = reply_.choices[choice_];
  msg::chat_chunk piece;
  piece.index = choice.index;
  if (!begun_) {
    begin(choice);
    piece.delta_rest = std::exchange(early_, {});
    // Parts have a piece of their own: both are called content.
    if (!choice.content.empty() && has_parts(piece.delta_rest))
      return piece;
  }
  const auto to = piece_end(choice.content, position_);
  piece.content = choice.content.substr(position_, to - position_);
  position_ = to;
  if (position_ == choice.content.size()) {
    piece.delta_rest = joined(std::move(piece.delta_rest), std::exchange(late_, {}));
    piece.tool_calls = choice.tool_calls;
    piece.finish_reason = choice.finish_reason;
    piece.rest = choice.rest;
    ++choice_;
    position_ = 0;
    begun_ = false;
  }
  return piece;
}

msg::chat_end answer_player::end() const {
  return {reply_.usage, reply_.origin};
}

} // namespace skep::actors
