#include "apis/openai/completions_format.hpp"

#include "apis/chat/plain_words.hpp"
#include "apis/chat/sse_frame.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/error_body.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

/// "chatcmpl-1" becomes "cmpl-1".
std::string completion_id(std::string_view id) {
  constexpr std::string_view chat = "chatcmpl-";
  if (id.starts_with("cmpl-"))
    return std::string{id};
  return "cmpl-" + std::string{id.starts_with(chat) ? id.substr(chat.size()) : id};
}

std::string usage_object(const msg::token_usage& usage) {
  const json::object rest{usage.rest};
  const json::object details{rest.at("prompt_tokens_details")};
  json::object_writer cached;
  cached.number("cached_tokens", usage.cached_prompt);
  for (const auto& member : details.members())
    if (member.name != "cached_tokens")
      cached.raw(member.name, member.value);
  json::object_writer out;
  out.number("prompt_tokens", usage.prompt)
    .number("completion_tokens", usage.completion)
    .number("total_tokens", total_of(usage))
    .raw("prompt_tokens_details", cached.object());
  for (const auto& member : rest.members())
    if (member.name != "prompt_tokens_details" && member.name != "total_tokens")
      out.raw(member.name, member.value);
  return out.object();
}

/// What a chat said in words: a refusal is text, too.
std::string refusal_of(const std::string& members) {
  return members.empty() ? std::string{} : json::object{members}.text("refusal");
}

std::string choice_object(std::string_view text, std::uint32_t index, std::string_view finish) {
  return json::object_writer{}
    .text("text", text)
    .number("index", index)
    .raw("logprobs", "null")
    .raw("finish_reason", finish.empty() ? std::string{"null"} : json::quoted(finish))
    .object();
}

class completions_answer final : public answer_format {
public:
  explicit completions_answer(completions_wish wish) : wish_(std::move(wish)) {}

  std::string whole(const msg::chat_reply& reply) override;
  std::string open(const msg::chat_open& begin) override;
  std::string chunk(const msg::chat_chunk& piece) override;
  std::string end(const msg::token_usage& usage) override;
  std::string failed(const failure& why, std::string_view param) override;

private:
  std::string prompt_of(std::uint32_t index);
  /// One object of the stream, as a frame.
  std::string frame(const std::string& choices, std::string_view usage);

  const completions_wish wish_;
  msg::chat_open begin_;
  // Choices whose prompt was written.
  std::vector<std::uint32_t> echoed_;
};

json::object_writer head_of(const std::string& id, std::int64_t created, const std::string& model) {
  json::object_writer out;
  out.text("id", completion_id(id))
    .raw("object", R"("text_completion")")
    .raw("created", std::to_string(created))
    .text("model", model);
  return out;
}

void add_rest(json::object_writer& out, const std::string& rest) {
  const json::object given{rest};
  for (const auto& member : given.members())
    out.raw(member.name, member.value);
}

/// The prompt a choice begins with; empty when none was to be echoed, or it was.
std::string completions_answer::prompt_of(std::uint32_t index) {
  const auto prompt = index / std::max(1u, wish_.choices);
  if (prompt >= wish_.echoed.size()
      || std::find(echoed_.begin(), echoed_.end(), index) != echoed_.end())
    return {};
  echoed_.push_back(index);
  return wish_.echoed[prompt];
}

std::string completions_answer::whole(const msg::chat_reply& reply) {
  std::vector<std::string> choices;
  for (const auto& given : reply.choices) {
    const auto plain = in_plain_words(given);
    const auto& each = plain ? *plain : given;
    choices.push_back(
      choice_object(prompt_of(each.index) + each.content + refusal_of(each.message_rest),
                    each.index, each.finish_reason));
  }
  auto out = head_of(reply.id, reply.created, reply.model);
  out.raw("choices", json::array_of(choices)).raw("usage", usage_object(reply.usage));
  add_rest(out, reply.rest);
  return out.object();
}

std::string completions_answer::open(const msg::chat_open& begin) {
  begin_ = begin;
  return {};
}

std::string completions_answer::frame(const std::string& choices, std::string_view usage) {
  auto out = head_of(begin_.id, begin_.created, begin_.model);
  out.raw("choices", choices).raw("usage", usage);
  add_rest(out, begin_.rest);
  begin_.rest = repeated_members(begin_.rest);
  return data_frame(out.object());
}

std::string completions_answer::chunk(const msg::chat_chunk& given) {
  if (given.only_native())
    return {};
  const auto plain = in_plain_words(given);
  const auto& piece = plain ? *plain : given;
  const auto text = prompt_of(piece.index) + piece.content + refusal_of(piece.delta_rest);
  if (text.empty() && piece.finish_reason.empty())
    return {}; // A role, or what a text completion has no words for.
  return frame("[" + choice_object(text, piece.index, piece.finish_reason) + "]",
               wish_.include_usage ? "null" : "");
}

std::string completions_answer::end(const msg::token_usage& usage) {
  auto last = wish_.include_usage ? frame("[]", usage_object(usage)) : std::string{};
  return last + "data: [DONE]\n\n";
}

std::string completions_answer::failed(const failure& why, std::string_view param) {
  return data_frame(error_body(why, param));
}

} // namespace

std::unique_ptr<answer_format> completions_format(completions_wish wish) {
  return std::make_unique<completions_answer>(std::move(wish));
}

} // namespace skep::actors
