#include "apis/openai/completions_json.hpp"

#include "apis/chat/request_body.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace skep::actors {

namespace {

// Prompts that an answer repeats, all together.
constexpr std::uint64_t echo_bytes_max = std::uint64_t{16} << 20;

using check = tl::expected<void, api_error>;

// Taken up here; everything else is a parameter of the chat.
constexpr std::array own_members{"model", "prompt", "stream",   "stream_options",
                                 "echo",  "suffix", "logprobs", "best_of"};

std::optional<std::uint32_t> whole_number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool all = read.ec == std::errc{} && read.ptr == digits.data() + digits.size();
  return all ? std::optional{value} : std::nullopt;
}

check read_prompts(const json::object& body, completions_body& into) {
  const auto prompt = body.at("prompt");
  if (auto text = json::string_of(prompt)) {
    into.prompts.push_back(std::move(*text));
    return {};
  }
  const auto list = json::elements_of(prompt);
  if (!list || list->empty())
    return bad_request("prompt is required: a string, or a list of strings", "prompt");
  if (list->size() > completion_prompts_max)
    return bad_request("prompt has more than " + std::to_string(completion_prompts_max) + " items",
                       "prompt");
  for (const auto each : *list) {
    auto text = json::string_of(each);
    if (!text)
      return bad_request("prompt must be text: prompts of tokens are not supported", "prompt");
    into.prompts.push_back(std::move(*text));
  }
  return {};
}

check take_stream(const json::object& body, completions_body& into) {
  const auto wish = read_stream(body);
  if (!wish)
    return tl::make_unexpected(wish.error());
  into.request.stream = wish->stream;
  into.include_usage = wish->include_usage;
  if (into.request.stream && into.prompts.size() > 1)
    return bad_request("a stream completes one prompt: send several requests, or leave stream out",
                       "prompt");
  return {};
}

/// The prompt stands before each of its answers.
check read_echo(const json::object& body, completions_body& into) {
  const auto echo = read_flag(body, "echo");
  if (!echo)
    return tl::make_unexpected(echo.error());
  into.echo = *echo;
  if (!into.echo)
    return {};
  std::uint64_t bytes = 0;
  for (const auto& prompt : into.prompts)
    bytes += prompt.size() * into.choices;
  if (bytes > echo_bytes_max)
    return bad_request("echo would repeat " + std::to_string(bytes) + " bytes of prompts, at most "
                         + std::to_string(echo_bytes_max) + " are: ask for less, or without echo",
                       "echo");
  return {};
}

/// What a chat cannot do is refused, unless nothing of it is asked for.
check refuse_unsupported(const json::object& body, completions_body& into) {
  if (body.has("n")) {
    const auto asked = whole_number(body.at("n"));
    if (!asked || *asked == 0 || *asked > choices_max)
      return bad_request("n must be a whole number from 1 to " + std::to_string(choices_max), "n");
    into.choices = *asked;
  }
  if (body.has("best_of") && whole_number(body.at("best_of")) != into.choices)
    return bad_request("best_of is not supported, but for the value of n", "best_of");
  if (body.has("suffix") && body.at("suffix") != R"("")")
    return bad_request("suffix is not supported: a chat cannot insert text", "suffix");
  if (body.has("logprobs") && body.at("logprobs") != "false")
    return bad_request("logprobs is not supported here; use /v1/chat/completions", "logprobs");
  if (body.has("messages"))
    return bad_request("messages belongs to /v1/chat/completions; here it is prompt", "messages");
  return {};
}

} // namespace

tl::expected<completions_body, api_error> read_completions_body(std::string_view text) {
  const auto object = read_object_body(text);
  if (!object)
    return tl::make_unexpected(object.error());
  const auto& body = *object;
  completions_body read;
  read.request.model = body.text("model");
  if (read.request.model.empty())
    return bad_request("model is required: the name of an agent, or provider/model", "model");
  for (const auto step : {read_prompts, refuse_unsupported, take_stream})
    if (auto done = step(body, read); !done)
      return tl::make_unexpected(done.error());
  if (auto done = read_echo(body, read); !done)
    return tl::make_unexpected(done.error());
  json::object_writer parameters;
  for (const auto& member : body.members())
    if (std::find(own_members.begin(), own_members.end(), member.name) == own_members.end()
        && member.value != "null")
      parameters.raw(member.name, member.value);
  read.request.parameters = parameters.object_or_nothing();
  return read;
}

msg::chat_request completion_chat(const completions_body& body, std::size_t prompt) {
  auto chat = body.request;
  chat.messages = {{"user", body.prompts[prompt], {}}};
  return chat;
}

msg::chat_reply merged_completions(std::vector<msg::chat_reply> replies, std::uint32_t choices) {
  if (replies.empty())
    return {};
  auto all = std::move(replies.front());
  for (std::size_t prompt = 1; prompt < replies.size(); ++prompt) {
    auto& each = replies[prompt];
    for (auto& choice : each.choices) {
      choice.index += static_cast<std::uint32_t>(prompt) * choices;
      all.choices.push_back(std::move(choice));
    }
    all.usage.prompt += each.usage.prompt;
    all.usage.completion += each.usage.completion;
    all.usage.cached_prompt += each.usage.cached_prompt;
    all.usage.estimated = all.usage.estimated || each.usage.estimated;
    all.usage.rest.clear();
    const auto attempts = all.origin.attempts + each.origin.attempts;
    if (all.origin.cache == static_cast<std::uint8_t>(msg::cache_status::hit))
      all.origin = std::move(each.origin);
    all.origin.attempts = attempts;
  }
  return all;
}

} // namespace skep::actors
