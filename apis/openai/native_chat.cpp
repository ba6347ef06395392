#include "apis/openai/native_chat.hpp"

#include "apis/chat/native.hpp"
#include "apis/chat/native_body.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace skep::actors {

namespace {

constexpr std::string_view done = "[DONE]";

bool is_number(std::string_view value) {
  return !value.empty() && value.front() >= '0' && value.front() <= '9';
}

bool is_regular_call(std::string_view raw, bool streamed) {
  const json::object call{raw};
  if (streamed && !is_number(call.at("index")))
    return false;
  const auto arguments = json::object{call.at("function")}.at("arguments");
  return arguments.empty() || arguments.starts_with('"');
}

/// No list has nothing irregular.
template <class Check>
bool all_of(std::string_view list, const Check& check) {
  const auto elements = json::elements_of(list).value_or(std::vector<std::string_view>{});
  return std::all_of(elements.begin(), elements.end(), check);
}

bool is_regular_choice(std::string_view raw) {
  const json::object choice{raw};
  if (!is_number(choice.at("index")))
    return false;
  const auto delta = choice.at("delta");
  const json::object message{delta.empty() ? choice.at("message") : delta};
  return all_of(message.at("tool_calls"),
                [&](std::string_view call) { return is_regular_call(call, !delta.empty()); });
}

} // namespace

bool is_regular_chat(std::string_view json) {
  const auto choices = json::object{json}.at("choices");
  return choices.starts_with('[') && all_of(choices, is_regular_choice);
}

bool is_regular_piece(std::string_view json, const std::vector<msg::chat_chunk>& read) {
  // One choice that says its index, and calls no tool: most events, which are not taken apart
  // again.
  if (read.size() == 1 && read.front().tool_calls.empty()
      && json.find("\"index\"") != std::string_view::npos
      && json.find("\"tool_calls\"") == std::string_view::npos)
    return true;
  return is_regular_chat(json) && has_own_numbers(json, read);
}

bool has_own_numbers(std::string_view json, const std::vector<msg::chat_chunk>& read) {
  std::vector<std::uint64_t> numbers;
  for (const auto& piece : read)
    for (const auto& call : piece.tool_calls)
      numbers.push_back(call.index);
  if (numbers.empty())
    return true;
  auto next = numbers.begin();
  const json::object event{json};
  return all_of(event.at("choices"), [&](std::string_view choice) {
    const json::object delta{json::object{choice}.at("delta")};
    return all_of(delta.at("tool_calls"), [&](std::string_view call) {
      return next == numbers.end() || json::object{call}.count("index") == *next++;
    });
  });
}

std::string native_chat_body(const msg::native_request& given, std::string_view model, bool stream,
                             bool stream_usage) {
  constexpr std::string_view options = "stream_options";
  const json::object sent{given.body};
  const auto asked = sent.at(options);
  if (!stream || !stream_usage) {
    auto body = native_body_for(given, sent, model, stream, {});
    return asked.empty() ? body : json::object_without(body, {options});
  }
  if (json::object{asked}.at("include_usage") == "true")
    return native_body_for(given, sent, model, stream, {});
  const auto wanted = json::object_with(asked.empty() ? "{}" : asked, "include_usage", "true");
  return native_body_for(given, sent, model, stream, {{std::string{options}, wanted}});
}

native_chat_stream::native_chat_stream(std::string id, bool include_usage)
  : id_(std::move(id)), id_member_("\"id\":" + json::quoted(id_)), include_usage_(include_usage) {}

/// Nothing of the event needs a look; most events are so, and are not taken apart.
bool native_chat_stream::is_plain(std::string_view data) const {
  constexpr std::string_view usage = "\"usage\"";
  constexpr std::string_view none = ":null";
  const auto at = data.find(usage);
  const bool silent
    = at == std::string_view::npos || data.substr(at + usage.size()).starts_with(none);
  return silent && data.find(id_member_) != std::string_view::npos;
}

std::string native_chat_stream::pass(std::string_view frames) {
  std::string out;
  for (native_frames each{frames}; each.next();) {
    if (each.data() == done)
      continue;
    if (is_plain(each.data()))
      out += each.frame();
    else if (const auto event = pass_event(each.data()); !event.empty())
      out += native_frame(each.event(), event);
  }
  return out;
}

std::string native_chat_stream::pass_event(std::string_view data) {
  const json::object event{data};
  const bool no_choices = event.at("choices") == "[]";
  if (event.at("usage").starts_with('{')) {
    if (no_choices && !include_usage_)
      return {};
    told_usage_ = true;
  }
  const auto id = event.text("id");
  // Some servers send an event about the prompt before the answer, which has no id yet.
  if (id == id_ || (id.empty() && no_choices))
    return std::string{data};
  return json::object_with(data, "id", json::quoted(id_));
}

} // namespace skep::actors
