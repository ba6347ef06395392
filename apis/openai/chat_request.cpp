// The server's half of chat_json: bodies of clients' requests.
#include "apis/chat/request_body.hpp"
#include "apis/openai/chat_json.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::array roles = {"system", "developer", "user", "assistant", "tool", "function"};

// Taken up here; everything else is a parameter.
constexpr std::array own_members = {"model", "messages", "stream", "stream_options"};

constexpr std::string_view calls_member = "tool_calls";

/// What a message has besides role, text and calls, as it came; a missing content means the same as
/// null.
std::string message_rest(const std::vector<json::member>& members, bool content_is_text,
                         bool has_calls) {
  json::object_writer rest;
  bool has_content = false;
  for (const auto& each : members) {
    const bool is_content = each.name == "content";
    has_content = has_content || is_content;
    const bool is_taken = each.name == "role" || (is_content && content_is_text)
                          || (has_calls && each.name == calls_member);
    if (!is_taken)
      rest.raw(each.name, each.value);
  }
  return rest.raw("content", has_content ? "" : "null").object_or_nothing();
}

tl::expected<msg::chat_message, api_error> read_message(std::string_view raw, std::size_t index) {
  const auto where = [index] { return "messages[" + std::to_string(index) + "]"; };
  if (!raw.starts_with('{'))
    return bad_request(where() + " must be an object", "messages");
  const json::object from{raw};
  msg::chat_message message;
  message.role = from.text("role");
  if (std::find(roles.begin(), roles.end(), message.role) == roles.end())
    return bad_request(
      where() + ".role must be one of system, developer, user, assistant, tool, function",
      where() + ".role");
  const auto content = from.at("content"); // Empty when it is null, too.
  auto text = json::string_of(content);
  if (!text && !content.empty() && !content.starts_with('['))
    return bad_request(where() + ".content must be a string, a list of parts or null",
                       where() + ".content");
  message.tool_calls = read_tool_calls(from.at(calls_member));
  message.rest = message_rest(from.members(), text.has_value(), !message.tool_calls.empty());
  message.content = std::move(text).value_or(std::string{});
  return message;
}

/// Nothing is parsed that is only passed on: it keeps its bytes and its order.
tl::expected<chat_body, api_error> read_chat_object(const json::object& body) {
  chat_body read;
  read.request.model = body.text("model");
  if (read.request.model.empty())
    return bad_request("model is required: the name of an agent, or provider/model", "model");
  const auto messages = json::elements_of(body.at("messages"));
  if (!messages || messages->empty())
    return bad_request("messages is required: a list with at least one message", "messages");
  std::vector<msg::chat_message> conversation;
  conversation.reserve(messages->size());
  for (std::size_t index = 0; index < messages->size(); ++index) {
    auto message = read_message((*messages)[index], index);
    if (!message)
      return tl::make_unexpected(message.error());
    conversation.push_back(std::move(*message));
  }
  read.request.messages = std::move(conversation);
  const auto stream = read_stream(body);
  if (!stream)
    return tl::make_unexpected(stream.error());
  read.request.stream = stream->stream;
  read.include_usage = stream->include_usage;
  json::object_writer parameters;
  for (const auto& each : body.members())
    if (std::find(own_members.begin(), own_members.end(), each.name) == own_members.end())
      parameters.raw(each.name, each.value);
  read.request.parameters = parameters.object_or_nothing();
  return read;
}

} // namespace

tl::expected<chat_body, api_error> read_chat_body(std::string_view text) {
  const auto body = read_object_body(text);
  if (!body)
    return tl::make_unexpected(body.error());
  return read_chat_object(*body);
}

} // namespace skep::actors
