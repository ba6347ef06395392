#include "actors/provider/answer_stream.hpp"

#include "actors/common/tool_calls.hpp"
#include "actors/provider/outcome.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::size_t event_bytes_max = std::size_t{4} << 20;

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

answer_stream::answer_stream(std::unique_ptr<event_reader> reader)
  : reader_(std::move(reader)), parser_(event_bytes_max) {}

void answer_stream::push(std::string_view bytes) {
  if (state_ != phase::reading)
    return;
  const auto parsed
    = parser_.push(bytes, [this](const net::sse_event& event) { read_event(event.data); });
  if (!parsed)
    fail(failure{errc::provider_failed, "the provider's stream: " + parsed.error().detail});
}

void answer_stream::read_event(std::string_view data) {
  if (state_ != phase::reading)
    return;
  auto event = reader_->read(data);
  if (!event) {
    fail(event.error());
    return;
  }
  if (event->error) {
    fail(failure_of_error(*event->error));
    return;
  }
  if ((event->opens || !event->chunks.empty()) && !std::exchange(opened_, true))
    open_ = std::move(event->open);
  for (auto& piece : event->chunks) {
    note(piece);
    chunks_.push_back(std::move(piece));
  }
  if (event->usage)
    usage_ = std::move(event->usage);
  if (event->last)
    ended();
}

void answer_stream::ended() {
  if (opened_)
    state_ = phase::whole;
  else
    fail(failure{errc::stream_cut, "the provider's stream ended before its answer began"});
}

void answer_stream::note(const msg::chat_chunk& piece) {
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
  mark->finished = mark->finished || !piece.finish_reason.empty();
}

void answer_stream::close() {
  if (state_ != phase::reading)
    return;
  const bool finished = std::all_of(choices_.begin(), choices_.end(),
                                    [](const choice_mark& m) { return m.finished; });
  if (finished && !choices_.empty() && reader_->finish_is_enough())
    state_ = phase::whole;
  else
    fail(failure{errc::stream_cut, "the provider's stream ended before its answer did"});
}

void answer_stream::fail(failure why) {
  if (state_ != phase::reading)
    return;
  state_ = phase::failed;
  why_ = std::move(why);
}

std::optional<msg::chat_open> answer_stream::take_open() {
  return std::exchange(open_, std::nullopt);
}

msg::chat_chunk answer_stream::take_chunk() {
  auto piece = std::move(chunks_.front());
  chunks_.pop_front();
  return piece;
}

msg::token_usage answer_stream::usage(std::size_t prompt_bytes) const {
  auto usage = estimated_usage(prompt_bytes, answer_bytes_);
  if (!usage_)
    return usage;
  const auto written = usage.completion;
  usage = *usage_;
  if (usage.estimated) // The count of an answer that had only begun.
    usage.completion = std::max(usage.completion, written);
  return usage;
}

} // namespace skep::actors
