#include "apis/chat/plain_words.hpp"

#include "apis/chat/tool_calls.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::actors {

namespace {

constexpr std::array<std::string_view, 3> cut_words{"model_length", "max_tokens",
                                                    "insufficient_system_resource"};

/// Mistral, proxies and DeepSeek have words of their own for an answer that was cut; Gemini says
/// why it was filtered. A turn that Anthropic paused is not over either.
std::string_view plain_finish(std::string_view said, std::string_view rest) {
  const bool paused = rest.find("\"pause_turn\"") != std::string_view::npos
                      && json::object{rest}.text("stop_reason") == "pause_turn";
  if (paused || std::find(cut_words.begin(), cut_words.end(), said) != cut_words.end())
    return "length";
  return said.starts_with("content_filter") ? "content_filter" : said;
}

std::vector<std::string_view> parts_of(std::string_view list) {
  return json::elements_of(list).value_or(std::vector<std::string_view>{});
}

/// A part's text, or that of the parts in it.
std::string words_in(const json::object& part, std::string_view name) {
  auto words = part.text(name);
  for (const auto inner : parts_of(part.at(name)))
    words += json::object{inner}.text("text");
  return words;
}

/// The members without those that have a place of their own now; the text goes before `content`.
void take_parts(std::string& content, std::string& rest) {
  const json::object members{rest};
  std::string text;
  std::string thought = members.text("reasoning_content");
  for (const auto each : parts_of(members.at("content"))) {
    const json::object part{each};
    text += part.text("text");
    thought += words_in(part, "thinking");
  }
  json::object_writer left;
  for (const auto& member : members.members())
    if (member.name != "content" && member.name != "reasoning_content")
      left.raw(member.name, member.value);
  if (!thought.empty())
    left.text("reasoning_content", thought);
  content.insert(0, text);
  rest = left.object_or_nothing();
}

template <class Said>
std::optional<Said> plain(const Said& said, std::string Said::*rest) {
  const auto finish = plain_finish(said.finish_reason, said.rest);
  const auto& given = said.*rest;
  const bool odd = given.find("\"content\"") != std::string::npos
                   || given.find("\"function_call\"") != std::string::npos;
  if (!odd && finish == said.finish_reason)
    return std::nullopt;
  auto made = said;
  made.finish_reason = finish;
  const json::object members{given};
  const json::object call{members.at("function_call")};
  // Some servers write an empty one where there is none.
  auto called = function_call(0, {}, call.text("name"), call.text("arguments"));
  if (made.tool_calls.empty() && (!called.name.empty() || !called.arguments.empty()))
    made.tool_calls.push_back(std::move(called));
  if (members.at("content").starts_with('['))
    take_parts(made.content, made.*rest);
  return made;
}

} // namespace

std::optional<msg::chat_choice> in_plain_words(const msg::chat_choice& said) {
  return plain(said, &msg::chat_choice::message_rest);
}

std::optional<msg::chat_chunk> in_plain_words(const msg::chat_chunk& said) {
  return plain(said, &msg::chat_chunk::delta_rest);
}

std::string reasoning_of(const json::object& message) {
  auto text = message.text("reasoning_content");
  return text.empty() ? message.text("reasoning") : text;
}

} // namespace skep::actors
