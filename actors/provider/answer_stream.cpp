#include "actors/provider/answer_stream.hpp"

#include "actors/provider/outcome.hpp"
#include "apis/chat/answer.hpp"
#include "apis/chat/native.hpp"
#include "apis/chat/tool_calls.hpp"
#include "messages/size.hpp"
#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"
#include "runtime/json/repair.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

/// The last event of a response has all of it.
std::size_t event_bytes_max(msg::native_api api, std::size_t body_max) {
  constexpr std::size_t most = std::size_t{4} << 20;
  return api == msg::native_api::responses ? std::max(most, body_max) : most;
}

// Some hundred times the preamble of any API; the Responses API repeats instructions and tools
// twice. What is longer is passed on as an answer that has begun, because it is not to be kept
// here.
std::size_t preamble_bytes_max(msg::native_api api) {
  return std::size_t{api == msg::native_api::responses ? 1024u : 64u} << 10;
}

/// Data that only keeps the connection awake: null, or a bare word such as "keepalive".
bool is_heartbeat(std::string_view data) {
  constexpr std::size_t word_bytes_max = 32;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return data.size() <= word_bytes_max && std::all_of(data.begin(), data.end(), [&](char c) {
           return is_letter(c) || c == '-' || c == '_';
         });
}

/// Whether any member says something: null and empty values do not.
bool has_value(const std::string& members) {
  constexpr std::array<std::string_view, 4> nothing{"null", R"("")", "[]", "{}"};
  if (members.empty())
    return false;
  const auto all = json::members_of(members).value_or(std::vector<json::member>{});
  return std::any_of(all.begin(), all.end(), [&](const json::member& each) {
    return std::find(nothing.begin(), nothing.end(), each.value) == nothing.end();
  });
}

/// Whether a client would see something of the piece besides that there is an answer.
bool begins(const msg::chat_chunk& piece) {
  return !piece.content.empty() || !piece.tool_calls.empty() || !piece.finish_reason.empty()
         || has_value(piece.delta_rest);
}

/// The members of both objects; of one that both have, that of the first.
std::string joined(const std::string& first, const std::string& second) {
  if (first.empty() || second.empty())
    return first.empty() ? second : first;
  const json::object known{first};
  const json::object more{second};
  auto all = known.members();
  for (const auto& each : more.members())
    if (!known.has(each.name))
      all.push_back(each);
  return json::object_of(all);
}

} // namespace

msg::token_usage estimated_usage(std::size_t prompt_bytes, std::size_t answer_bytes) {
  msg::token_usage usage;
  usage.prompt = (prompt_bytes + 3) / 4;
  usage.completion = (answer_bytes + 3) / 4;
  usage.estimated = true;
  return usage;
}

std::size_t prompt_bytes_of(const msg::chat_request& request) {
  std::size_t bytes = 0;
  for (const auto& message : request.messages)
    bytes += message.content.size() + message.rest.size() + text_bytes_of(message.tool_calls);
  return bytes;
}

std::size_t answer_bytes_of(const msg::chat_reply& reply) {
  std::size_t bytes = 0;
  for (const auto& choice : reply.choices)
    bytes += choice.content.size() + choice.message_rest.size() + text_bytes_of(choice.tool_calls);
  return bytes;
}

struct answer_stream::text_repair : json::stream_repair {};

answer_stream::answer_stream(std::unique_ptr<event_reader> reader, std::size_t body_max,
                             msg::native_api native)
  : reader_(std::move(reader)), parser_(event_bytes_max(native, body_max)), body_max_(body_max),
    native_(native) {
  head_.native.api = static_cast<std::uint8_t>(native);
}

answer_stream::~answer_stream() = default;

void answer_stream::push(std::string_view bytes) {
  if (state_ != phase::reading)
    return;
  if (first_byte_) {
    bytes = bytes.substr(std::min(bytes.find_first_not_of(white_space), bytes.size()));
    if (bytes.empty())
      return;
    first_byte_ = false;
    if (bytes.front() == '{' || bytes.front() == '[')
      body_.emplace(); // No line of an event begins so.
  }
  if (body_) {
    if (body_->size() + bytes.size() > body_max_)
      return fail(failure{errc::malformed, "the provider's answer is larger than answer_bytes"});
    *body_ += bytes;
    return;
  }
  const auto parsed = parser_.push(
    bytes, [this](const net::sse_event& event) { read_event(event.event, event.data); });
  if (!parsed)
    fail(failure{errc::provider_failed, "the provider's stream: " + parsed.error().detail});
}

void answer_stream::read_event(std::string_view name, std::string_view data) {
  data = trimmed(data, white_space);
  if (state_ != phase::reading || is_heartbeat(data))
    return;
  if (!repair_ || !repair_->holds()) {
    auto event = reader_->read(data);
    if (event || json::repaired(data) == data)
      return take(name, data, std::move(event));
  }
  if (!repair_)
    repair_ = std::make_unique<text_repair>();
  for (const auto& ready : repair_->add(data))
    take(name, ready, reader_->read(ready));
}

/// The event's text goes with its first piece, or by itself; as long as the answer has not begun,
/// with the head.
void answer_stream::attach(std::string_view name, std::string_view data, chunk_event& event) {
  if (native_ == msg::native_api::none || !reader_->passes(data, event))
    return;
  auto frame = native_frame(name, data);
  const auto api = static_cast<std::uint8_t>(native_);
  for (auto& piece : event.chunks)
    piece.native.api = api; // Its text says what they say.
  begun_ = begun_ || event.begins;
  const auto first = begun_ ? event.chunks.begin()
                            : std::find_if(event.chunks.begin(), event.chunks.end(), begins);
  if (!begun_ && first == event.chunks.end()) {
    preamble_bytes_ += frame.size();
    begun_ = preamble_bytes_ > preamble_bytes_max(native_);
    head_.native.text += frame;
    return;
  }
  auto& with = first == event.chunks.end() ? event.chunks.emplace_back() : *first;
  with.native = {api, std::move(frame)};
}

void answer_stream::take(std::string_view name, std::string_view data,
                         expected<chunk_event> event) {
  if (state_ != phase::reading)
    return;
  if (!event) {
    fail(event.error());
    return;
  }
  if (event->error) {
    auto why = failure_of_error(*event->error);
    keep_body(why, native_, std::string{data});
    fail(std::move(why));
    return;
  }
  if (!begun_)
    gather_head(std::move(event->open));
  attach(name, data, *event);
  for (auto& piece : event->chunks)
    add(std::move(piece));
  if (event->usage)
    usage_ = std::move(event->usage);
  if (event->last)
    ended();
}

/// Some servers name the answer in its second event only, with the first piece at the latest.
void answer_stream::gather_head(msg::chat_open from) {
  if (head_.id.empty())
    head_.id = std::move(from.id);
  if (head_.created == 0)
    head_.created = from.created;
  if (head_.model.empty())
    head_.model = std::move(from.model);
  const auto before = head_.rest.size();
  head_.rest = joined(head_.rest, from.rest);
  preamble_bytes_ += head_.rest.size() - before;
}

void answer_stream::add(msg::chat_chunk piece) {
  if (piece.only_native()) {
    chunks_.push_back(std::move(piece));
    return;
  }
  note(piece);
  if (!begun_) {
    begun_ = begins(piece);
    if (!begun_ && piece.delta_rest.empty() && piece.rest.empty())
      return; // A role, which the client's first piece has anyway.
    preamble_bytes_ += bytes_of(piece);
    begun_ = begun_ || preamble_bytes_ > preamble_bytes_max(native_);
  }
  chunks_.push_back(std::move(piece));
}

void answer_stream::play(msg::chat_reply reply) {
  if (reply.usage.prompt > 0 || reply.usage.completion > 0)
    usage_ = reply.usage;
  answer_player player{std::move(reply)};
  gather_head(player.open());
  while (auto piece = player.next())
    add(std::move(*piece));
  ended();
}

void answer_stream::ended() {
  if (state_ != phase::reading)
    return;
  if (!begun_)
    fail(failure{errc::stream_cut, "the provider's stream ended before its answer began"});
  else
    state_ = phase::whole;
}

/// Keeps the books on the piece's choice, which finishes once.
void answer_stream::note(msg::chat_chunk& piece) {
  answer_bytes_ += piece.content.size() + piece.delta_rest.size() + text_bytes_of(piece.tool_calls);
  auto mark = std::find_if(choices_.begin(), choices_.end(),
                           [&](const choice_mark& m) { return m.index == piece.index; });
  if (mark == choices_.end()) {
    if (choices_.size() == choices_max) {
      fail(failure{errc::provider_failed, "the provider's stream has too many choices"});
      return;
    }
    mark = choices_.insert(mark, {piece.index, false});
  }
  if (mark->finished && !piece.finish_reason.empty()) {
    piece.finish_reason.clear();
    if (native_ == msg::native_api::chat)
      piece.native = {}; // It goes out in our words, without the reason.
  }
  mark->finished = mark->finished || !piece.finish_reason.empty();
}

bool answer_stream::all_finished() const {
  return !choices_.empty()
         && std::all_of(choices_.begin(), choices_.end(),
                        [](const choice_mark& m) { return m.finished; });
}

bool answer_stream::finished() const {
  return all_finished() && reader_->finish_is_enough();
}

/// Nothing follows the event that waits for its other half.
void answer_stream::read_last() {
  if (const auto last = repair_ ? repair_->finish() : std::nullopt)
    take({}, *last, reader_->read(*last));
}

void answer_stream::close() {
  read_last();
  if (state_ != phase::reading)
    return;
  if (finished())
    state_ = phase::whole;
  else
    fail(failure{errc::stream_cut, "the provider's stream ended before its answer did"});
}

void answer_stream::fail(failure why) {
  read_last();
  if (state_ != phase::reading)
    return;
  state_ = phase::failed;
  why_ = std::move(why);
}

std::optional<msg::chat_open> answer_stream::take_open() {
  if (!begun_ || std::exchange(opened_, true))
    return std::nullopt;
  return std::move(head_);
}

msg::chat_chunk answer_stream::take_chunk() {
  auto piece = std::move(chunks_.front());
  chunks_.pop_front();
  return piece;
}

msg::token_usage answer_stream::usage(std::size_t prompt_bytes) const {
  auto usage = estimated_usage(prompt_bytes, answer_bytes_);
  // As of a whole answer: nothing that was counted is no count.
  if (!usage_ || (usage_->prompt == 0 && usage_->completion == 0))
    return usage;
  const auto written = usage.completion;
  usage = *usage_;
  if (usage.estimated) // The count of an answer that had only begun.
    usage.completion = std::max(usage.completion, written);
  return usage;
}

} // namespace skep::actors
