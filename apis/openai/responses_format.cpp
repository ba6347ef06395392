#include "apis/openai/responses_format.hpp"

#include "apis/chat/plain_words.hpp"
#include "apis/chat/sse_frame.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/error_body.hpp"
#include "apis/openai/responses_parts.hpp"
#include "runtime/base/wall_clock.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

std::string hex_of(const std::string& id) {
  return id.substr(id.find('_') + 1);
}

/// Members of an object's text without its braces, each ready to stand behind another.
std::string members_in(const std::string& object) {
  return object.size() > 2 ? "," + object.substr(1, object.size() - 2) : std::string{};
}

std::vector<std::string> list_of(std::string_view array) {
  const auto elements = json::elements_of(array).value_or(std::vector<std::string_view>{});
  return {elements.begin(), elements.end()};
}

} // namespace

std::int64_t completion_time::seconds(std::int64_t earliest) {
  std::int64_t known = 0;
  const auto now = std::max(unix_seconds(), earliest);
  return at_.compare_exchange_strong(known, now) ? now : known;
}

response_writer::response_writer(response_head head) : head_(std::move(head)) {}

// -- the answer's pieces --------------------------------------------------------------------------

std::string response_writer::begin(const msg::chat_open& open) {
  if (!open.model.empty())
    head_.model = open.model;
  note_tier(open.rest);
  events_.clear();
  const auto now = "\"response\":" + object();
  event("response.created", now);
  event("response.in_progress", now);
  return std::exchange(events_, {});
}

std::string response_writer::add(const msg::chat_chunk& given) {
  const auto plain = in_plain_words(given);
  const auto& piece = plain ? *plain : given;
  events_.clear();
  if (piece.index != 0 || done_)
    return {};
  const json::object delta{piece.delta_rest};
  think(reasoning_of(delta));
  if (delta.has("thinking_blocks"))
    think_blocks(delta.at("thinking_blocks"));
  const json::object logprobs{json::object{piece.rest}.at("logprobs")};
  if (!piece.content.empty())
    say(part_kind::text, piece.content, logprobs.at("content"));
  if (const auto refusal = delta.text("refusal"); !refusal.empty())
    say(part_kind::refusal, refusal, {});
  for (const auto& call : piece.tool_calls)
    call_tool(call);
  if (!piece.finish_reason.empty())
    finish_reason_ = piece.finish_reason;
  return std::exchange(events_, {});
}

void response_writer::take(const msg::chat_reply& reply) {
  if (!reply.model.empty())
    head_.model = reply.model;
  note_tier(reply.rest);
  for (const auto& choice : reply.choices)
    add({choice.index, choice.content, choice.message_rest, choice.finish_reason, choice.rest,
         choice.tool_calls});
  finish(reply.usage);
  events_.clear();
}

std::string response_writer::end(const msg::token_usage& usage) {
  events_.clear();
  finish(usage);
  event("response." + status(), "\"response\":" + object());
  return std::exchange(events_, {});
}

std::string response_writer::fail(const failure& why, std::string_view param) {
  events_.clear();
  if (param.empty())
    param = why.param;
  const auto text = why.detail.empty() ? std::string{to_string(why.code)} : why.detail;
  const auto code = response_error_code(why.code);
  // The reference shows its members flat, the wire has them in an object, by which the official
  // clients know the event: both, then nobody depends on the one.
  json::object_writer shown;
  shown.text("code", code).text("message", text);
  shown.raw("param", param.empty() ? "null" : json::quoted(param));
  auto nested = shown;
  const auto members
    = shown.raw("error", nested.text("type", response_error_type(why.code)).object()).object();
  event("error", members.substr(1, members.size() - 2));
  json::object_writer error;
  error_ = error.text("code", code).text("message", text).object();
  done_ = true;
  event("response.failed", "\"response\":" + object());
  return std::exchange(events_, {});
}

void response_writer::finish(const msg::token_usage& usage) {
  begin_held_calls();
  if (items_.empty())
    part_for(item_for(item_kind::message), part_kind::text); // An answer without a word.
  done_ = true;
  for (auto& it : items_)
    if (it.open)
      close(it);
  usage_ = response_usage(usage);
  note_tier(usage.rest);
}

/// The tier that served the answer takes the place of the one that was asked for.
void response_writer::note_tier(std::string_view members) {
  const auto tier = json::object{members}.text("service_tier");
  if (tier.empty())
    return;
  const json::object asked{head_.echo};
  json::object_writer echo;
  for (const auto& member : asked.members())
    if (member.name != "service_tier")
      echo.raw(member.name, member.value);
  head_.echo = echo.text("service_tier", tier).object();
}

// -- items ----------------------------------------------------------------------------------------

void response_writer::think(std::string_view text) {
  if (text.empty())
    return;
  auto& it = item_for(item_kind::reasoning);
  const bool summary = head_.rules.summary;
  auto& p = part_for(it, summary ? part_kind::summary : part_kind::reasoning);
  p.text += text;
  event(summary ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta",
        place_of(it, it.parts.size() - 1) + ",\"delta\":" + json::quoted(text));
}

/// Pieces of one number belong together, as anthropic_request.hpp has it; whole blocks have none.
void response_writer::think_blocks(std::string_view blocks) {
  std::uint64_t position = 0;
  for (const auto& raw : list_of(blocks)) {
    const json::object block{raw};
    const auto number = block.has("index") ? block.count("index") : position;
    ++position;
    const auto known = thoughts_at_.find(number);
    auto& it = known != thoughts_at_.end() ? items_[known->second] : item_for(item_kind::reasoning);
    if (known == thoughts_at_.end())
      thoughts_at_.emplace(number, items_.size() - 1);
    auto& t = it.thoughts[number];
    t.type = block.text("type");
    t.thinking += block.text("thinking");
    t.signature += block.text("signature");
    if (t.type != "thinking") {
      json::object_writer whole;
      for (const auto& member : block.members())
        if (member.name != "index")
          whole.raw(member.name, member.value);
      t.whole = whole.object();
    }
  }
}

void response_writer::say(part_kind kind, std::string_view text, std::string_view logprobs) {
  auto& it = item_for(item_kind::message);
  auto& p = part_for(it, kind);
  p.text += text;
  const auto place = place_of(it, it.parts.size() - 1);
  if (kind == part_kind::refusal)
    return event("response.refusal.delta", place + ",\"delta\":" + json::quoted(text));
  auto fresh = list_of(logprobs);
  std::transform(fresh.begin(), fresh.end(), fresh.begin(), whole_logprob);
  event("response.output_text.delta",
        place + ",\"delta\":" + json::quoted(text) + ",\"logprobs\":" + json::array_of(fresh));
  std::move(fresh.begin(), fresh.end(), std::back_inserter(p.logprobs));
}

void response_writer::call_tool(const msg::tool_call& piece) {
  if (suppressed_.contains(piece.index))
    return;
  if (const auto known = calls_at_.find(piece.index); known != calls_at_.end())
    return add_arguments(items_[known->second], piece.arguments);
  hold(piece);
  if (!held_.at(piece.index).name.empty())
    begin_call(held_.extract(piece.index).mapped());
}

/// An item says the name of its call when it begins, so a call without one has to wait.
void response_writer::hold(const msg::tool_call& piece) {
  auto& held = held_[piece.index];
  held.index = piece.index;
  for (const auto member : {&msg::tool_call::id, &msg::tool_call::type, &msg::tool_call::name})
    if (!(piece.*member).empty())
      held.*member = piece.*member;
  held.arguments += piece.arguments;
}

/// Calls that never got a name.
void response_writer::begin_held_calls() {
  for (const auto& [index, call] : std::exchange(held_, {}))
    begin_call(call);
}

void response_writer::add_arguments(item& it, const std::string& piece) {
  if (piece.empty())
    return;
  it.arguments += piece;
  event(it.custom ? "response.custom_tool_call_input.delta"
                  : "response.function_call_arguments.delta",
        place_of(it) + ",\"delta\":" + json::quoted(piece));
}

/// Calls stay open until the end: nobody says that the pieces of one come before the next one's.
void response_writer::begin_call(const msg::tool_call& first) {
  if (const auto& allowed = head_.rules.allowed; allowed && !allowed->contains(first.name)) {
    suppressed_.insert(first.index);
    return;
  }
  close_open_talk();
  item made;
  made.kind = item_kind::call;
  made.custom = first.type == "custom";
  made.id = (made.custom ? "ctc_" : "fc_") + hex_of(head_.id) + std::to_string(items_.size());
  made.call_id = call_ids_.unique(first.id, "call_" + hex_of(head_.id), first.index);
  made.name = first.name;
  calls_at_.emplace(first.index, items_.size());
  items_.push_back(std::move(made));
  auto& it = items_.back();
  event("response.output_item.added",
        "\"output_index\":" + std::to_string(items_.size() - 1) + ",\"item\":" + item_json(it));
  add_arguments(it, first.arguments);
}

response_writer::item& response_writer::item_for(item_kind kind) {
  if (!items_.empty() && items_.back().kind == kind && items_.back().open)
    return items_.back();
  return open_item(kind);
}

response_writer::item& response_writer::open_item(item_kind kind) {
  close_open_talk();
  item made;
  made.kind = kind;
  made.id = (kind == item_kind::reasoning ? "rs_" : "msg_") + hex_of(head_.id)
            + std::to_string(items_.size());
  talk_at_ = items_.size();
  items_.push_back(std::move(made));
  event("response.output_item.added", "\"output_index\":" + std::to_string(items_.size() - 1)
                                        + ",\"item\":" + item_json(items_.back()));
  return items_.back();
}

/// The item's last part when it is of this kind, else a new one.
response_writer::part& response_writer::part_for(item& in, part_kind kind) {
  if (!in.parts.empty() && in.parts.back().kind == kind)
    return in.parts.back();
  if (!in.parts.empty())
    close_part(in, in.parts.size() - 1);
  in.parts.push_back({kind, {}, {}});
  event(kind == part_kind::summary ? "response.reasoning_summary_part.added"
                                   : "response.content_part.added",
        place_of(in, in.parts.size() - 1) + ",\"part\":" + part_json(in.parts.back()));
  return in.parts.back();
}

/// Something else begins: what was thought or said before is whole.
void response_writer::close_open_talk() {
  if (talk_at_ && items_[*talk_at_].open)
    close(items_[*talk_at_]);
}

void response_writer::close(item& it) {
  // Some providers say nothing for a function without arguments; clients parse what they get.
  if (it.kind == item_kind::call && !it.custom && it.arguments.empty())
    add_arguments(it, "{}");
  it.open = false;
  if (it.kind == item_kind::call)
    close_call(it);
  else if (!it.parts.empty())
    close_part(it, it.parts.size() - 1);
  const auto index = static_cast<std::size_t>(&it - items_.data());
  event("response.output_item.done",
        "\"output_index\":" + std::to_string(index) + ",\"item\":" + item_json(it));
}

void response_writer::close_call(const item& it) {
  const auto text = json::quoted(it.arguments);
  if (it.custom)
    return event("response.custom_tool_call_input.done", place_of(it) + ",\"input\":" + text);
  const auto known = head_.rules.spaced.find(it.name);
  const auto& name = known == head_.rules.spaced.end() ? it.name : known->second.second;
  event("response.function_call_arguments.done",
        place_of(it) + ",\"name\":" + json::quoted(name) + ",\"arguments\":" + text);
}

void response_writer::close_part(const item& it, std::size_t index) {
  const auto& p = it.parts[index];
  const auto place = place_of(it, index);
  const auto text = json::quoted(p.text);
  switch (p.kind) {
    case part_kind::reasoning:
      event("response.reasoning_text.done", place + ",\"text\":" + text);
      break;
    case part_kind::summary:
      event("response.reasoning_summary_text.done", place + ",\"text\":" + text);
      break;
    case part_kind::text:
      event("response.output_text.done",
            place + ",\"text\":" + text + ",\"logprobs\":" + json::array_of(p.logprobs));
      break;
    case part_kind::refusal: event("response.refusal.done", place + ",\"refusal\":" + text); break;
  }
  event(p.kind == part_kind::summary ? "response.reasoning_summary_part.done"
                                     : "response.content_part.done",
        place + ",\"part\":" + part_json(p));
}

// -- JSON -----------------------------------------------------------------------------------------

/// `members` without braces, as they stand behind type and sequence_number.
void response_writer::event(std::string_view type, std::string_view members) {
  events_ += "event: ";
  events_ += type;
  events_ += "\ndata: ";
  const auto from = events_.size();
  events_ += "{\"type\":\"";
  events_ += type;
  events_ += "\",\"sequence_number\":" + std::to_string(sequence_++) + ",";
  events_ += members;
  events_ += '}';
  end_frame(events_, from);
}

std::string response_writer::place_of(const item& it) const {
  const auto index = static_cast<std::size_t>(&it - items_.data());
  return "\"item_id\":\"" + it.id + "\",\"output_index\":" + std::to_string(index);
}

std::string response_writer::place_of(const item& it, std::size_t content_index) const {
  const bool summary = it.parts[content_index].kind == part_kind::summary;
  return place_of(it) + (summary ? ",\"summary_index\":" : ",\"content_index\":")
         + std::to_string(content_index);
}

std::string response_writer::part_json(const part& p) const {
  json::object_writer made;
  switch (p.kind) {
    case part_kind::reasoning: made.text("type", "reasoning_text").text("text", p.text); break;
    case part_kind::summary: made.text("type", "summary_text").text("text", p.text); break;
    case part_kind::refusal: made.text("type", "refusal").text("refusal", p.text); break;
    case part_kind::text:
      made.text("type", "output_text").text("text", p.text).raw("annotations", "[]");
      made.raw("logprobs", json::array_of(p.logprobs));
      break;
  }
  return made.object();
}

std::string response_writer::item_json(const item& it) const {
  std::vector<std::string> parts;
  for (const auto& p : it.parts)
    parts.push_back(part_json(p));
  // What was cut off is the last thing; everything before it is whole.
  const bool last = &it == &items_.back();
  const auto* state = it.open ? done_ ? "incomplete" : "in_progress"
                      : last && done_ && status() == "incomplete" ? "incomplete"
                                                                  : "completed";
  json::object_writer made;
  made.text("id", it.id);
  switch (it.kind) {
    case item_kind::reasoning:
      made.text("type", "reasoning");
      made.raw("summary", head_.rules.summary ? json::array_of(parts) : "[]");
      made.raw("content", head_.rules.summary ? "[]" : json::array_of(parts));
      if (!it.open && !it.thoughts.empty())
        made.text("encrypted_content", thoughts_json(it));
      break;
    case item_kind::message:
      made.text("type", "message").text("role", "assistant").raw("content", json::array_of(parts));
      break;
    case item_kind::call: return call_json(it, state);
  }
  return made.text("status", state).object();
}

/// A function of a namespace gets its names back.
std::string response_writer::call_json(const item& it, std::string_view state) const {
  json::object_writer into;
  into.text("id", it.id)
    .text("type", it.custom ? "custom_tool_call" : "function_call")
    .text("call_id", it.call_id);
  const auto known = head_.rules.spaced.find(it.name);
  if (known == head_.rules.spaced.end())
    into.text("name", it.name);
  else
    into.text("namespace", known->second.first).text("name", known->second.second);
  into.text(it.custom ? "input" : "arguments", it.arguments);
  return into.text("status", state).object();
}

std::string response_writer::thoughts_json(const item& it) const {
  std::vector<std::string> blocks;
  for (const auto& [number, t] : it.thoughts) {
    json::object_writer block;
    block.text("type", t.type).text("thinking", t.thinking).text("signature", t.signature);
    blocks.push_back(t.whole.empty() ? block.object() : t.whole);
  }
  return json::array_of(blocks);
}

std::string response_writer::status() const {
  if (!error_.empty())
    return "failed";
  if (!done_)
    return "in_progress";
  const bool cut = finish_reason_ == "length" || finish_reason_ == "content_filter";
  return cut ? "incomplete" : "completed";
}

std::vector<std::string> response_writer::items() const {
  std::vector<std::string> made;
  for (const auto& it : items_)
    made.push_back(item_json(it));
  return made;
}

std::string response_writer::object() const {
  const auto state = status();
  const auto* why = finish_reason_ == "length" ? R"({"reason":"max_output_tokens"})"
                                               : R"({"reason":"content_filter"})";
  json::object_writer made;
  made.text("id", head_.id).text("object", "response");
  made.raw("created_at", std::to_string(head_.created)).text("status", state);
  made.raw("completed_at",
           state == "completed" ? std::to_string(head_.completed->seconds(head_.created)) : "null");
  made.raw("background", "false").raw("error", error_.empty() ? "null" : error_);
  made.raw("incomplete_details", state == "incomplete" ? why : "null");
  made.text("model", head_.model);
  made.raw("output", json::array_of(done_ ? items() : std::vector<std::string>{}));
  made.raw("usage", usage_.empty() ? "null" : usage_);
  auto text = made.object();
  text.insert(text.size() - 1, members_in(head_.echo));
  return text;
}

} // namespace skep::actors
