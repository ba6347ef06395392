#include "apis/anthropic/native_message.hpp"

#include "apis/anthropic/messages_stream.hpp"
#include "apis/chat/native.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace skep::actors {

namespace {

// -- a message of its events ----------------------------------------------------------------------

// Of a block and of an entry: node, place, allocations.
constexpr std::size_t node_bytes = 192;

/// What was cut in the middle is no JSON; it is kept as text.
std::string input_of(const std::string& text) {
  if (text.empty())
    return "{}";
  return json::is_valid(text) ? text : json::quoted(text);
}

/// The object with the other one's members over its own.
std::string overlaid(std::string object, std::string_view with) {
  const json::object over{with};
  for (const auto& member : over.members())
    object = json::object_with(object, member.name, member.value);
  return object;
}

// -- events of a message --------------------------------------------------------------------------

/// Members of a block that come in deltas, and how.
struct streamed_member {
  std::string_view member;
  std::string_view delta_type;
  std::string_view delta_member;
  std::string_view nothing;
};
constexpr std::array streamed_members{
  streamed_member{"thinking", "thinking_delta", "thinking", R"("")"},
  streamed_member{"signature", "signature_delta", "signature", R"("")"},
  streamed_member{"citations", "citations_delta", "citation", "[]"},
  streamed_member{"text", "text_delta", "text", R"("")"},
  streamed_member{"input", "input_json_delta", "partial_json", "{}"},
};

bool is_streamed(std::string_view block_type) {
  constexpr std::array<std::string_view, 4> types{"text", "thinking", "tool_use",
                                                  "server_tool_use"};
  return std::find(types.begin(), types.end(), block_type) != types.end();
}

std::string event_of(std::string_view type, std::uint64_t index, std::string_view member,
                     std::string_view value) {
  return messages_event(
    type,
    json::object_writer{}.text("type", type).number("index", index).raw(member, value).object());
}

std::string delta_event(std::uint64_t index, const streamed_member& how, std::string_view value) {
  const auto delta
    = json::object_writer{}.text("type", how.delta_type).raw(how.delta_member, value).object();
  return event_of("content_block_delta", index, "delta", delta);
}

std::string deltas_of(std::uint64_t index, const streamed_member& how, std::string_view value) {
  if (value == how.nothing)
    return {};
  if (how.member == "input")
    return delta_event(index, how, json::quoted(value));
  if (how.member != "citations")
    return delta_event(index, how, value);
  std::string events;
  for (const auto each : json::elements_of(value).value_or(std::vector<std::string_view>{}))
    events += delta_event(index, how, each);
  return events;
}

std::string block_events(std::uint64_t index, std::string_view raw) {
  const json::object block{raw};
  std::string start{raw};
  std::string deltas;
  if (is_streamed(block.text("type")))
    for (const auto& each : streamed_members)
      if (const auto value = block.at(each.member); !value.empty()) {
        start = json::object_with(start, each.member, each.nothing);
        deltas += deltas_of(index, each, value);
      }
  return event_of("content_block_start", index, "content_block", start) + deltas
         + messages_event("content_block_stop", json::object_writer{}
                                                  .raw("type", R"("content_block_stop")")
                                                  .number("index", index)
                                                  .object());
}

std::string or_null(std::string_view value) {
  return value.empty() ? "null" : std::string{value};
}

} // namespace

void message_builder::add(std::string_view text) {
  if (text.starts_with('{')) {
    message_ = text;
    bytes_ = message_.size();
    return;
  }
  for (native_frames each{text}; each.next();)
    add_event(each.data());
}

void message_builder::add_event(std::string_view data) {
  const json::object event{data};
  const auto type = event.text("type");
  if (type == "message_start") {
    message_ = event.at("message");
    bytes_ += message_.size();
  } else if (type == "content_block_start") {
    const auto start = event.at("content_block");
    blocks_[event.count("index")].start = start;
    bytes_ += start.size() + node_bytes;
  } else if (type == "content_block_delta") {
    if (const auto found = blocks_.find(event.count("index")); found != blocks_.end())
      add_delta(found->second, event.at("delta"));
  } else if (type == "message_delta") {
    finish(data);
  }
}

void message_builder::add_delta(block& to, std::string_view raw) {
  const json::object delta{raw};
  if (delta.text("type") == "citations_delta") {
    to.citations.emplace_back(delta.at("citation"));
    bytes_ += to.citations.back().size() + node_bytes;
    return;
  }
  for (const auto& member : delta.members()) {
    if (member.name == "type")
      continue;
    auto text = json::string_of(member.value).value_or("");
    auto& all = to.texts[member.name == "partial_json" ? "input" : member.name];
    bytes_ += text.size() + (all.empty() ? node_bytes : 0);
    all += text;
  }
}

std::string message_builder::whole(const block& from) {
  auto made = from.start;
  const json::object start{from.start};
  for (const auto& [name, text] : from.texts)
    made = json::object_with(
      made, name, name == "input" ? input_of(text) : json::quoted(start.text(name) + text));
  if (from.citations.empty())
    return made;
  std::vector<std::string> all;
  for (const auto known :
       json::elements_of(start.at("citations")).value_or(std::vector<std::string_view>{}))
    all.emplace_back(known);
  all.insert(all.end(), from.citations.begin(), from.citations.end());
  return json::object_with(made, "citations", json::array_of(all));
}

/// Counts in the last event are those of the whole answer.
void message_builder::finish(std::string_view data) {
  const json::object event{data};
  message_ = overlaid(std::move(message_), event.at("delta"));
  const auto usage = overlaid(std::string{json::object{message_}.at("usage")}, event.at("usage"));
  if (!usage.empty())
    message_ = json::object_with(message_, "usage", usage);
  for (const auto& member : event.members())
    if (member.name != "type" && member.name != "delta" && member.name != "usage")
      message_ = json::object_with(message_, member.name, member.value);
  bytes_ += data.size();
}

std::optional<std::string> message_builder::message() const {
  if (message_.empty())
    return std::nullopt;
  if (blocks_.empty())
    return message_;
  std::vector<std::string> content;
  content.reserve(blocks_.size());
  for (const auto& [index, each] : blocks_)
    content.push_back(whole(each));
  return json::object_with(message_, "content", json::array_of(content));
}

std::string message_events(std::string_view message) {
  const json::object whole{message};
  auto start = json::object_with(message, "content", "[]");
  for (const auto* name : {"stop_reason", "stop_sequence"})
    start = json::object_with(start, name, "null");
  auto events = messages_event(
    "message_start",
    json::object_writer{}.raw("type", R"("message_start")").raw("message", start).object());
  std::uint64_t index = 0;
  for (const auto block :
       json::elements_of(whole.at("content")).value_or(std::vector<std::string_view>{}))
    events += block_events(index++, block);
  json::object_writer delta;
  for (const auto* name : {"stop_reason", "stop_sequence"})
    delta.raw(name, or_null(whole.at(name)));
  for (const auto* name : {"container", "stop_details"})
    delta.raw(name, whole.at(name));
  const auto last = json::object_writer{}
                      .raw("type", R"("message_delta")")
                      .raw("delta", delta.object())
                      .raw("usage", whole.at("usage"))
                      .object();
  return events + messages_event("message_delta", last)
         + messages_event("message_stop", R"({"type":"message_stop"})");
}

std::string with_message_id(std::string_view frames, std::string_view id) {
  std::string out;
  for (native_frames each{frames}; each.next();) {
    const json::object event{each.data()};
    const auto message = event.at("message");
    if (event.text("type") != "message_start" || json::object{message}.text("id") == id) {
      out += each.frame();
      continue;
    }
    out += native_frame(each.event(),
                        json::object_with(each.data(), "message", with_id(message, id)));
  }
  return out;
}

} // namespace skep::actors
