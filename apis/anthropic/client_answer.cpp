#include "apis/anthropic/client_answer.hpp"

#include "apis/chat/tool_calls.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>

namespace skep::actors {

namespace {

/// An answer's blocks, sorted into the members of OpenAI's message.
struct sorted_blocks {
  std::string text;
  std::string reasoning;
  std::vector<std::string> thinking;
  std::vector<msg::tool_call> calls;
  std::vector<std::string> others;

  void add(std::string_view raw) {
    const json::object block{raw};
    const auto type = block.text("type");
    if (type == "text") {
      text += block.text("text");
    } else if (type == "tool_use") {
      add_call(block);
    } else if (type == "thinking" || type == "redacted_thinking") {
      reasoning += block.text("thinking");
      thinking.emplace_back(raw);
    } else if (!type.empty()) {
      others.emplace_back(raw);
    }
  }

  std::string message_rest() const {
    json::object_writer rest;
    if (!reasoning.empty())
      rest.text("reasoning_content", reasoning);
    if (!thinking.empty())
      rest.raw("thinking_blocks", json::array_of(thinking));
    if (!others.empty())
      rest.raw("content_blocks", json::array_of(others));
    return rest.object_or_nothing();
  }

private:
  void add_call(const json::object& block) {
    const auto input = block.at("input");
    calls.push_back(function_call(static_cast<std::uint32_t>(calls.size()), block.text("id"),
                                  block.text("name"), std::string{input.empty() ? "{}" : input}));
  }
};

} // namespace

anthropic_stop read_stop(std::string_view stop_reason, std::string_view stop_sequence) {
  json::object_writer rest;
  rest.raw("stop_sequence", stop_sequence);
  const auto reason = json::string_of(stop_reason).value_or("end_turn");
  if (reason == "end_turn" || reason == "stop_sequence")
    return {"stop", rest.object_or_nothing()};
  if (reason == "max_tokens")
    return {"length", rest.object_or_nothing()};
  if (reason == "tool_use")
    return {"tool_calls", rest.object_or_nothing()};
  if (reason == "refusal")
    return {"content_filter", rest.object_or_nothing()};
  rest.raw("stop_reason", stop_reason);
  const bool full = reason == "model_context_window_exceeded";
  return {full ? "length" : "stop", rest.object()};
}

// -- usage ----------------------------------------------------------------------------------------

void anthropic_usage::add(std::string_view object) {
  // Anthropic has about ten; what is beyond is no usage.
  constexpr std::size_t members_max = 64;
  const json::object given{object};
  for (const auto& member : given.members()) {
    if (member.value == "null")
      continue;
    const auto known = std::find_if(members_.begin(), members_.end(),
                                    [&](const auto& each) { return each.first == member.name; });
    if (known != members_.end())
      known->second = member.value;
    else if (members_.size() < members_max)
      members_.emplace_back(member.name, member.value);
  }
}

std::uint64_t anthropic_usage::count(std::string_view name) const {
  json::object_writer all;
  for (const auto& [each, value] : members_)
    if (each == name)
      all.raw(each, value);
  return json::object{all.object()}.count(name);
}

msg::token_usage anthropic_usage::total() const {
  msg::token_usage usage;
  usage.cached_prompt = count("cache_read_input_tokens");
  usage.prompt = count("input_tokens") + usage.cached_prompt + count("cache_creation_input_tokens");
  usage.completion = count("output_tokens");
  constexpr std::array counted{"input_tokens", "output_tokens", "cache_read_input_tokens"};
  json::object_writer rest;
  for (const auto& [name, value] : members_)
    if (std::find(counted.begin(), counted.end(), name) == counted.end())
      rest.raw(name, value);
  usage.rest = rest.object_or_nothing();
  return usage;
}

// -- whole answers --------------------------------------------------------------------------------

expected<msg::chat_reply> read_messages_reply(std::string_view text) {
  if (auto sane = json::check(text); !sane)
    return no_answer("the provider's answer is no JSON we can read: " + sane.error().detail);
  const json::object body{text};
  const auto blocks = json::elements_of(body.at("content"));
  if (!blocks || body.text("type") != "message")
    return no_answer("the provider's answer is no message with a list of content");
  msg::chat_reply reply;
  reply.id = body.text("id");
  reply.model = body.text("model");
  if (auto fits = check_head(reply.id, reply.model); !fits)
    return fail(fits.error());
  sorted_blocks sorted;
  for (const auto block : *blocks)
    sorted.add(block);
  auto stop = read_stop(body.at("stop_reason"), body.at("stop_sequence"));
  auto& choice = reply.choices.emplace_back();
  choice.content = std::move(sorted.text);
  choice.content_null = choice.content.empty() && !sorted.calls.empty();
  choice.finish_reason = stop.finish_reason;
  choice.message_rest = sorted.message_rest();
  choice.tool_calls = std::move(sorted.calls);
  choice.rest = std::move(stop.rest);
  anthropic_usage usage;
  usage.add(body.at("usage"));
  reply.usage = usage.total();
  reply.rest = json::object_without(
    text, {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"});
  return reply;
}

} // namespace skep::actors
