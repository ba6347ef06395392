#include "apis/anthropic/messages_format.hpp"

#include "apis/anthropic/error_body.hpp"
#include "apis/anthropic/messages_stream.hpp"
#include "apis/anthropic/native_message.hpp"
#include "apis/chat/native.hpp"
#include "apis/chat/plain_words.hpp"
#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::actors {

namespace {

/// "chatcmpl-1" becomes "msg_chatcmpl-1", so that the id can be found in the provider's books.
std::string message_id(const std::string& id) {
  return id.starts_with("msg_") ? id : "msg_" + id;
}

/// The objects of a list; what else stands in it is nothing we can show.
std::vector<std::string_view> entries(const json::object& in, std::string_view name) {
  auto found = json::elements_of(in.at(name)).value_or(std::vector<std::string_view>{});
  std::erase_if(found, [](std::string_view each) { return !each.starts_with('{'); });
  return found;
}

// -- usage ----------------------------------------------------------------------------------------

/// Anthropic counts what its cache read and wrote apart from the rest of the prompt.
std::string usage_object(const msg::token_usage& usage) {
  const json::object details{usage.rest};
  const auto written = details.count("cache_creation_input_tokens");
  const auto apart = usage.cached_prompt + written;
  json::object_writer out;
  out.number("input_tokens", usage.prompt - std::min(usage.prompt, apart))
    .number("cache_creation_input_tokens", written)
    .number("cache_read_input_tokens", usage.cached_prompt)
    .number("output_tokens", usage.completion);
  for (const auto* name : {"cache_creation", "server_tool_use", "service_tier"})
    out.raw(name, details.at(name));
  return out.object();
}

// -- how it ended ---------------------------------------------------------------------------------

struct stop {
  std::string reason; // JSON, as the other one.
  std::string sequence = "null";
};

std::string_view reason_of(std::string_view finish_reason, bool calls_tools) {
  if (finish_reason == "length")
    return "max_tokens";
  if (finish_reason == "content_filter")
    return "refusal";
  // Some servers say "stop" behind a tool call, too.
  if (calls_tools || finish_reason == "tool_calls" || finish_reason == "function_call")
    return "tool_use";
  return "end_turn";
}

/// Anthropic's reasons are lower-case words with underscores.
bool is_word(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
}

stop stop_of(std::string_view finish_reason, const json::object& rest, bool calls_tools,
             const std::vector<std::string>& sequences) {
  stop read{json::quoted(reason_of(finish_reason, calls_tools))};
  // Anthropic's own word for what finish_reason cannot say; with vLLM the sequence that was hit.
  const auto said = rest.text("stop_reason");
  const bool is_sequence
    = !said.empty()
      && (!is_word(said) || std::find(sequences.begin(), sequences.end(), said) != sequences.end());
  if (!said.empty() && !is_sequence)
    read.reason = json::quoted(said);
  if (rest.at("stop_sequence").starts_with('"'))
    read.sequence = rest.at("stop_sequence");
  else if (is_sequence)
    read.sequence = json::quoted(said);
  if (read.sequence != "null" && finish_reason == "stop")
    read.reason = R"("stop_sequence")";
  return read;
}

// -- whole answers --------------------------------------------------------------------------------

std::string text_block(std::string_view text) {
  return json::object_writer{}.raw("type", R"("text")").text("text", text).object();
}

/// The arguments as they came where they are an object; what they are otherwise, said openly.
std::string input_of(const std::string& arguments) {
  if (is_blank(arguments))
    return "{}";
  if (json::members_of(arguments) && json::is_valid(arguments))
    return arguments;
  return json::object_writer{}.text("INVALID_JSON", arguments).object();
}

std::string tool_use_block(const msg::tool_call& call, const std::string& id) {
  return json::object_writer{}
    .raw("type", R"("tool_use")")
    .text("id", id)
    .text("name", call.name)
    .raw("input", input_of(call.arguments))
    .object();
}

std::vector<std::string> blocks_of(const msg::chat_choice& choice, const json::object& rest,
                                   std::string_view answer_id, bool show_reasoning) {
  std::vector<std::string> blocks;
  for (const auto raw : entries(rest, "thinking_blocks"))
    if (auto block = json::object_without(raw, {"index"}); !block.empty())
      blocks.push_back(std::move(block));
  const auto reasoning = reasoning_of(rest);
  if (blocks.empty() && show_reasoning && !reasoning.empty())
    blocks.push_back(json::object_writer{}
                       .raw("type", R"("thinking")")
                       .text("thinking", reasoning)
                       .raw("signature", R"("")")
                       .object());
  for (const auto raw : entries(rest, "content_blocks"))
    blocks.emplace_back(raw);
  for (const auto& text : {choice.content, rest.text("refusal")})
    if (!text.empty())
      blocks.push_back(text_block(text));
  call_ids ids;
  for (const auto& call : choice.tool_calls)
    blocks.push_back(
      tool_use_block(call, ids.unique(call.id, made_up_call_prefix(answer_id), call.index)));
  return blocks;
}

json::object_writer message_head(const std::string& id, const std::string& model) {
  json::object_writer out;
  out.text("id", message_id(id))
    .raw("type", R"("message")")
    .raw("role", R"("assistant")")
    .text("model", model);
  return out;
}

/// What of the answer's further members the API has.
void add_own_members(json::object_writer& out, const std::string& rest) {
  const json::object given{rest};
  for (const auto* name : {"container", "context_management"})
    out.raw(name, given.at(name));
}

// -- the format -----------------------------------------------------------------------------------

class messages_answer final : public answer_format {
public:
  explicit messages_answer(messages_wish wish) : wish_(std::move(wish)) {}

  std::string whole(const msg::chat_reply& reply) override;
  std::string open(const msg::chat_open& begin) override;
  std::string chunk(const msg::chat_chunk& piece) override;
  std::string end(const msg::token_usage& usage) override;
  std::string failed(const failure& why, std::string_view param) override;

private:
  void add_members(const json::object& delta);
  std::string as_it_came(std::string_view text);

  const messages_wish wish_;
  bool native_ = false; // The provider's own events go to the client.
  std::string id_;
  std::string rest_;
  std::optional<std::uint32_t> choice_;
  block_stream blocks_;
  bool thinks_in_blocks_ = false;
  std::string finish_reason_;
  std::string stop_rest_;
};

/// The answer as the provider wrote it, under this id; empty when it came in another API.
std::string native_message(const msg::chat_reply& reply) {
  if (!reply.native.is(msg::native_api::messages) || reply.native.text.empty())
    return {};
  return with_id(reply.native.text, reply.id);
}

std::string messages_answer::whole(const msg::chat_reply& reply) {
  if (auto message = native_message(reply); !message.empty())
    return message;
  static const msg::chat_choice nothing;
  const auto& given = reply.choices.empty() ? nothing : reply.choices.front();
  const auto plain = in_plain_words(given);
  const auto& choice = plain ? *plain : given;
  const json::object rest{choice.message_rest};
  const auto blocks = blocks_of(choice, rest, reply.id, wish_.thinking);
  const auto ended = stop_of(choice.finish_reason, json::object{choice.rest},
                             !choice.tool_calls.empty(), wish_.stop_sequences);
  auto out = message_head(reply.id, reply.model);
  out.raw("content", json::array_of(blocks))
    .raw("stop_reason", ended.reason)
    .raw("stop_sequence", ended.sequence)
    .raw("usage", usage_object(reply.usage));
  add_own_members(out, reply.rest);
  return out.object();
}

std::string messages_answer::open(const msg::chat_open& begin) {
  id_ = begin.id;
  rest_ = begin.rest;
  native_ = begin.native.is(msg::native_api::messages);
  if (native_)
    return as_it_came(begin.native.text);
  msg::token_usage begun;
  begun.prompt = wish_.prompt_tokens;
  auto message = message_head(begin.id, begin.model);
  message.raw("content", "[]")
    .raw("stop_reason", "null")
    .raw("stop_sequence", "null")
    .raw("usage", usage_object(begun));
  return messages_event("message_start", json::object_writer{}
                                           .raw("type", R"("message_start")")
                                           .raw("message", message.object())
                                           .object());
}

/// The events with the answer's own id: a stored answer's is that of another one.
std::string messages_answer::as_it_came(std::string_view text) {
  if (text.starts_with('{'))
    return with_message_id(message_events(text), id_);
  constexpr std::string_view beginning = R"("message_start")";
  return text.find(beginning) == std::string_view::npos ? std::string{text}
                                                        : with_message_id(text, id_);
}

std::string messages_answer::chunk(const msg::chat_chunk& given) {
  if (native_)
    return as_it_came(given.native.text);
  if (given.only_native())
    return {};
  const auto plain = in_plain_words(given);
  const auto& piece = plain ? *plain : given;
  if (!choice_)
    choice_ = piece.index;
  if (*choice_ != piece.index)
    return {};
  const json::object delta{piece.delta_rest};
  add_members(delta);
  blocks_.add_text(piece.content);
  if (!piece.delta_rest.empty())
    blocks_.add_text(delta.text("refusal"));
  for (const auto& call : piece.tool_calls)
    blocks_.add_call(call, id_);
  if (!piece.finish_reason.empty())
    finish_reason_ = piece.finish_reason;
  if (!piece.rest.empty())
    stop_rest_ = piece.rest;
  return blocks_.take();
}

/// What stands before text: thinking, and blocks only Anthropic has.
void messages_answer::add_members(const json::object& delta) {
  if (delta.members().empty())
    return;
  for (const auto raw : entries(delta, "thinking_blocks")) {
    thinks_in_blocks_ = true;
    blocks_.add_thinking(raw);
  }
  if (!thinks_in_blocks_ && wish_.thinking)
    if (const auto text = reasoning_of(delta); !text.empty())
      blocks_.add_thinking(json::object_writer{}.text("thinking", text).object());
  for (const auto raw : entries(delta, "content_blocks"))
    blocks_.add_block(raw);
}

std::string messages_answer::end(const msg::token_usage& usage) {
  if (native_)
    return {}; // The provider's last event has come.
  blocks_.end();
  const auto ended
    = stop_of(finish_reason_, json::object{stop_rest_}, blocks_.has_calls(), wish_.stop_sequences);
  json::object_writer delta;
  delta.raw("stop_reason", ended.reason).raw("stop_sequence", ended.sequence);
  add_own_members(delta, rest_);
  const auto last = json::object_writer{}
                      .raw("type", R"("message_delta")")
                      .raw("delta", delta.object())
                      .raw("usage", usage_object(usage))
                      .object();
  return blocks_.take() + messages_event("message_delta", last)
         + messages_event("message_stop", R"({"type":"message_stop"})");
}

std::string messages_answer::failed(const failure& why, std::string_view) {
  // An event of the provider's own says more (its details), but skep's key is not the client's.
  if (why.provider_api == msg::native_api::messages && why.code != errc::provider_auth_failed)
    return messages_event("error", why.provider_body);
  return messages_event("error", messages_error_body(why, wish_.request_id));
}

} // namespace

std::unique_ptr<answer_format> messages_format(messages_wish wish) {
  return std::make_unique<messages_answer>(std::move(wish));
}

} // namespace skep::actors
