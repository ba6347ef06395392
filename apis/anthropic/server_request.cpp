#include "apis/anthropic/server_request.hpp"

#include "apis/anthropic/server_turns.hpp"
#include "apis/chat/request_body.hpp"

#include <charconv>
#include <utility>

namespace skep::actors {

namespace {

bool is_object(std::string_view value) {
  return value.starts_with('{');
}

bool is_true(std::string_view value) {
  return value == "true";
}

/// A whole number above 0 as it stands in the text.
bool is_positive(std::string_view digits) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return read.ec == std::errc{} && read.ptr == digits.data() + digits.size() && value > 0;
}

// -- parameters -----------------------------------------------------------------------------------

/// Anthropic's tool as OpenAI's function; what only Anthropic has stands beside the function.
tl::expected<std::string, api_error> tool_of(std::string_view raw, const std::string& where) {
  if (!is_object(raw))
    return wrong_member(where, "Input should be an object");
  const json::object tool{raw};
  const auto type = tool.text("type");
  if (!type.empty() && type != "custom")
    return std::string{raw}; // One of Anthropic's own: only its provider knows what it does.
  if (auto given = need_text(tool, "name", where); !given)
    return tl::make_unexpected(given.error());
  if (!tool.has("input_schema"))
    return missing_member(where + ".input_schema");
  if (!is_object(tool.at("input_schema")))
    return wrong_member(where + ".input_schema", "Input should be an object");
  const auto function = json::object_writer{}
                          .raw("name", tool.at("name"))
                          .raw("description", tool.at("description"))
                          .raw("parameters", tool.at("input_schema"))
                          .raw("strict", tool.at("strict"))
                          .object();
  json::object_writer entry;
  entry.raw("type", R"("function")").raw("function", function);
  for (const auto& member : tool.members())
    if (member.name != "type" && member.name != "name" && member.name != "description"
        && member.name != "input_schema" && member.name != "strict" && member.name != "function")
      entry.raw(member.name, member.value);
  return entry.object();
}

/// A thread lives on Anthropic's servers: later turns say only what is new, so without the thread
/// a model would answer without the question and without its tools.
api_check refuse_thread() {
  auto refused = wrong_member("thread", "conversations kept on the server are not served here; "
                                        "send the whole conversation with each turn");
  refused.value().why.provider_code = thread_unsupported_code;
  return refused;
}

/// The parameters of one request on their way into OpenAI's form.
class parameters {
public:
  explicit parameters(const json::object& body) : body_(body) {}

  api_check read(messages_body& into);

private:
  api_check add_stop(std::string_view value, messages_body& into);
  api_check add_tools(std::string_view value);
  api_check add_tool_choice(std::string_view value);
  void add_metadata(std::string_view value);
  bool is_translated(std::string_view name) const;

  const json::object& body_;
  json::object_writer out_;
};

/// Taken up elsewhere, or said by another member in OpenAI's form: a name stands once.
bool parameters::is_translated(std::string_view name) const {
  if (name == "model" || name == "messages" || name == "system" || name == "stream"
      || name == "stream_options")
    return true;
  return (name == "stop" && body_.has("stop_sequences"))
         || (name == "user" && json::object{body_.at("metadata")}.has("user_id"))
         || (name == "parallel_tool_calls"
             && json::object{body_.at("tool_choice")}.has("disable_parallel_tool_use"));
}

api_check parameters::read(messages_body& into) {
  for (const auto& [name, value] : body_.members()) {
    if (value == "null" || is_translated(name))
      continue;
    auto added = api_check{};
    if (name == "stop_sequences")
      added = add_stop(value, into);
    else if (name == "tools")
      added = add_tools(value);
    else if (name == "tool_choice")
      added = add_tool_choice(value);
    else if (name == "metadata")
      add_metadata(value);
    else if (name == "thread")
      added = refuse_thread();
    else
      out_.raw(name, value);
    if (!added)
      return added;
  }
  const auto thinking = json::object{body_.at("thinking")}.text("type");
  into.thinking = !thinking.empty() && thinking != "disabled";
  into.request.parameters = out_.object_or_nothing();
  return {};
}

api_check parameters::add_stop(std::string_view value, messages_body& into) {
  const auto given = json::elements_of(value);
  if (!given)
    return wrong_member("stop_sequences", "Input should be a valid list");
  for (std::size_t n = 0; n < given->size(); ++n) {
    auto text = json::string_of((*given)[n]);
    if (!text)
      return wrong_member(member_at("stop_sequences", n), "Input should be a valid string");
    into.stop_sequences.push_back(std::move(*text));
  }
  if (!given->empty())
    out_.raw("stop", value);
  return {};
}

api_check parameters::add_tools(std::string_view value) {
  const auto given = json::elements_of(value);
  if (!given)
    return wrong_member("tools", "Input should be a valid list");
  std::vector<std::string> tools;
  for (std::size_t n = 0; n < given->size(); ++n) {
    auto tool = tool_of((*given)[n], member_at("tools", n));
    if (!tool)
      return tl::make_unexpected(tool.error());
    tools.push_back(std::move(*tool));
  }
  if (!tools.empty()) // OpenAI's API refuses an empty list.
    out_.raw("tools", json::array_of(tools));
  return {};
}

api_check parameters::add_tool_choice(std::string_view value) {
  const json::object choice{value};
  const auto type = choice.text("type");
  if (type == "auto" || type == "none") {
    out_.text("tool_choice", type);
  } else if (type == "any") {
    out_.raw("tool_choice", R"("required")");
  } else if (type == "tool") {
    if (auto given = need_text(choice, "name", "tool_choice"); !given)
      return given;
    const auto function = json::object_writer{}.raw("name", choice.at("name")).object();
    out_.raw("tool_choice",
             json::object_writer{}.raw("type", R"("function")").raw("function", function).object());
  } else {
    return wrong_member("tool_choice.type",
                        "Input should be \"auto\", \"any\", \"tool\" or \"none\"");
  }
  if (choice.has("disable_parallel_tool_use"))
    out_.raw("parallel_tool_calls",
             is_true(choice.at("disable_parallel_tool_use")) ? "false" : "true");
  return {};
}

/// OpenAI's `user` is Anthropic's metadata.user_id.
void parameters::add_metadata(std::string_view value) {
  out_.raw("user", json::object{value}.at("user_id"));
  const auto others = json::object_without(value, {"user_id"});
  out_.raw("metadata", others == "{}" ? std::string{} : others);
}

api_check read_stream(const json::object& body, messages_body& into) {
  const auto stream = body.at("stream");
  if (!stream.empty() && stream != "true" && stream != "false")
    return wrong_member("stream", "Input should be a valid boolean");
  into.request.stream = is_true(stream);
  return {};
}

} // namespace

tl::expected<messages_body, api_error> read_messages_body(std::string_view text,
                                                          messages_task task) {
  const auto object = read_object_body(text);
  if (!object)
    return tl::make_unexpected(object.error());
  const auto& body = *object;
  messages_body read;
  if (auto given = need_text(body, "model", {}); !given)
    return tl::make_unexpected(given.error());
  read.request.model = body.text("model");
  const bool counts = task == messages_task::count;
  if (!body.has("max_tokens") && !counts)
    return missing_member("max_tokens");
  if (!is_positive(body.at("max_tokens")) && !counts)
    return wrong_member("max_tokens", "Input should be a whole number above 0");
  if (!body.has("messages"))
    return missing_member("messages");
  auto turns = read_turns(body.at("system"), body.at("messages"));
  if (!turns)
    return tl::make_unexpected(turns.error());
  read.request.messages = std::move(*turns);
  auto step = read_stream(body, read);
  if (step)
    step = parameters{body}.read(read);
  if (!step)
    return tl::make_unexpected(step.error());
  return read;
}

} // namespace skep::actors
