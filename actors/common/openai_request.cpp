// The clients' half of openai_json: bodies of requests.
#include "actors/common/json_object.hpp"
#include "actors/common/openai_json.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

tl::unexpected<api_error> wrong(std::string detail, std::string param = {}) {
  return tl::make_unexpected(
    api_error{failure{errc::bad_request, std::move(detail)}, std::move(param)});
}

constexpr std::array roles = {"system", "developer", "user", "assistant", "tool", "function"};

/// What a message has besides role and text, as it came; a missing content means the same as null.
std::string message_rest(std::vector<json_member> members, bool content_is_text,
                         bool content_is_missing) {
  std::erase_if(members, [&](const json_member& each) {
    return each.name == "role" || (content_is_text && each.name == "content");
  });
  if (content_is_missing)
    members.push_back({"content", "null"});
  return object_of(members);
}

tl::expected<msg::chat_message, api_error> read_message(std::string_view raw, std::size_t index) {
  const auto where = [index] { return "messages[" + std::to_string(index) + "]"; };
  if (!raw.starts_with('{'))
    return wrong(where() + " must be an object", "messages");
  const json_object from{raw};
  msg::chat_message message;
  message.role = from.text("role");
  if (std::find(roles.begin(), roles.end(), message.role) == roles.end())
    return wrong(where()
                   + ".role must be one of system, developer, user, assistant, tool, function",
                 where() + ".role");
  const auto& members = from.members();
  const bool missing = std::none_of(members.begin(), members.end(),
                                    [](const json_member& each) { return each.name == "content"; });
  const auto content = from.at("content"); // Empty when it is null, too.
  auto text = string_of(content);
  if (!text && !content.empty() && !content.starts_with('['))
    return wrong(where() + ".content must be a string, a list of parts or null",
                 where() + ".content");
  message.rest = message_rest(members, text.has_value(), missing);
  message.content = std::move(text).value_or(std::string{});
  return message;
}

tl::expected<void, api_error> read_stream(const json_object& body, chat_body& into) {
  const auto stream = body.at("stream");
  if (!stream.empty() && stream != "true" && stream != "false")
    return wrong("stream must be true or false", "stream");
  into.request.stream = stream == "true";
  const auto options = body.at("stream_options");
  if (options.empty())
    return {};
  if (!options.starts_with('{'))
    return wrong("stream_options must be an object", "stream_options");
  if (!into.request.stream)
    return wrong("stream_options is only allowed with stream: true", "stream_options");
  into.include_usage = json_object{options}.at("include_usage") == "true";
  return {};
}

/// Nothing is parsed that is only passed on: it keeps its bytes and its order.
tl::expected<chat_body, api_error> read_chat_object(const json_object& body) {
  chat_body read;
  read.request.model = body.text("model");
  if (read.request.model.empty())
    return wrong("model is required: the name of an agent, or provider/model", "model");
  const auto messages = elements_of(body.at("messages"));
  if (!messages || messages->empty())
    return wrong("messages is required: a list with at least one message", "messages");
  std::vector<msg::chat_message> conversation;
  conversation.reserve(messages->size());
  for (std::size_t index = 0; index < messages->size(); ++index) {
    auto message = read_message((*messages)[index], index);
    if (!message)
      return tl::make_unexpected(message.error());
    conversation.push_back(std::move(*message));
  }
  read.request.messages = std::move(conversation);
  if (auto done = read_stream(body, read); !done)
    return tl::make_unexpected(done.error());
  auto members = body.members();
  std::erase_if(members, [](const json_member& each) {
    return each.name == "model" || each.name == "messages" || each.name == "stream"
           || each.name == "stream_options";
  });
  read.request.parameters = object_of(members);
  return read;
}

} // namespace

tl::expected<void, api_error> check_body(std::string_view text) {
  auto sane = check_json(text);
  if (sane)
    return {};
  auto why = std::move(sane.error());
  why.detail = "the body is no JSON we can read: " + why.detail;
  return tl::make_unexpected(api_error{std::move(why), {}});
}

tl::expected<chat_body, api_error> read_chat_body(std::string_view text) {
  if (auto sane = check_body(text); !sane)
    return tl::make_unexpected(sane.error());
  const json_object body{text};
  if (body.members().empty() && !members_of(text))
    return wrong("the body must be a JSON object");
  return read_chat_object(body);
}

} // namespace skep::actors
