// Requests of both dialects as a model_call.
#include "cli/simulate/model.hpp"
#include "runtime/base/fnv.hpp"

#include <nlohmann/json.hpp>

#include <set>

namespace skep::cli::simulate {

namespace {

using nlohmann::json;

constexpr std::uint64_t thinking_budget_min = 1'024;

auto wrong(std::string message, std::string param = {}, int status = 400) {
  return tl::make_unexpected(call_error{status, std::move(message), std::move(param)});
}

/// A member, or null when there is none.
const json& member(const json& object, const char* name) {
  static const json nothing;
  if (!object.is_object())
    return nothing;
  const auto found = object.find(name);
  return found != object.end() ? *found : nothing;
}

std::string text_member(const json& object, const char* name) {
  const auto& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string{};
}

std::optional<std::uint64_t> count_member(const json& object, const char* name) {
  const auto& value = member(object, name);
  return value.is_number_unsigned() ? std::optional{value.get<std::uint64_t>()} : std::nullopt;
}

/// A content that is text, or the texts of its parts.
std::string text_of(const json& content) {
  if (content.is_string())
    return content.get<std::string>();
  std::string text;
  if (content.is_array())
    for (const auto& part : content)
      text += text_member(part, "text");
  return text;
}

/// A value a JSON schema of this kind accepts.
json sample_of(const json& schema) {
  if (const auto& words = member(schema, "enum"); words.is_array() && !words.empty())
    return words.front();
  const auto type = text_member(schema, "type");
  if (type == "number" || type == "integer")
    return 1;
  if (type == "boolean")
    return true;
  if (type == "array")
    return json::array();
  if (type == "object")
    return json::object();
  return "simulated";
}

std::string arguments_for(const json& schema) {
  auto arguments = json::object();
  const auto& properties = member(schema, "properties");
  if (const auto& required = member(schema, "required"); required.is_array())
    for (const auto& name : required)
      if (name.is_string())
        arguments[name.get<std::string>()]
          = sample_of(member(properties, name.get_ref<const std::string&>().c_str()));
  return arguments.dump();
}

/// Tools by name and schema, and what the request says about calling them.
struct tool_offer {
  std::vector<std::pair<std::string, json>> tools;
  /// Empty: none in particular.
  std::string forced_name;
  bool forced = false;
  bool forbidden = false;
};

std::optional<tool_use> chosen_tool(const tool_offer& offer, const model_call& call) {
  if (offer.forbidden || (call.after_tool && !offer.forced))
    return std::nullopt;
  for (const auto& [name, schema] : offer.tools)
    if (offer.forced ? offer.forced_name.empty() || offer.forced_name == name
                     : !name.empty() && call.prompt.find(name) != std::string::npos)
      return tool_use{name, arguments_for(schema)};
  return std::nullopt;
}

void read_stops(const json& stops, model_call& into) {
  if (stops.is_string())
    into.stops.push_back(stops.get<std::string>());
  if (stops.is_array())
    for (const auto& each : stops)
      if (each.is_string())
        into.stops.push_back(each.get<std::string>());
}

/// What both dialects have under the same names.
tl::expected<model_call, call_error> read_common(const json& body) {
  model_call call;
  if (!body.is_object())
    return wrong("the body is not a JSON object");
  call.model = text_member(body, "model");
  if (call.model.empty())
    return wrong("you must provide a model parameter", "model");
  const auto& messages = member(body, "messages");
  if (!messages.is_array() || messages.empty())
    return wrong("messages: at least one message is required", "messages");
  const auto& stream = member(body, "stream");
  call.stream = stream.is_boolean() && stream.get<bool>();
  const auto printed = messages.dump(-1, ' ', false, json::error_handler_t::replace);
  call.fingerprint = fnv1a(call.model + printed);
  call.prompt_bytes = printed.size() + text_of(member(body, "system")).size();
  return call;
}

tool_offer openai_tools(const json& body) {
  tool_offer offer;
  if (const auto& tools = member(body, "tools"); tools.is_array())
    for (const auto& tool : tools) {
      const auto& function = member(tool, "function");
      offer.tools.emplace_back(text_member(function, "name"), member(function, "parameters"));
    }
  const auto& choice = member(body, "tool_choice");
  offer.forced_name = text_member(member(choice, "function"), "name");
  offer.forced = choice == "required" || !offer.forced_name.empty();
  offer.forbidden = choice == "none";
  return offer;
}

/// Whether roles are known and each tool's result answers a call; empty when all is well.
std::string openai_complaint(const json& messages) {
  std::set<std::string> calls;
  for (const auto& message : messages) {
    const auto role = text_member(message, "role");
    if (role == "tool" && !calls.contains(text_member(message, "tool_call_id")))
      return "messages with role 'tool' must be a response to a preceding message with "
             "'tool_calls'";
    if (role != "system" && role != "developer" && role != "user" && role != "assistant"
        && role != "tool")
      return "invalid role '" + role + "'";
    if (const auto& made = member(message, "tool_calls"); made.is_array())
      for (const auto& each : made)
        calls.insert(text_member(each, "id"));
  }
  return {};
}

tool_offer anthropic_tools(const json& body) {
  tool_offer offer;
  if (const auto& tools = member(body, "tools"); tools.is_array())
    for (const auto& tool : tools)
      offer.tools.emplace_back(text_member(tool, "name"), member(tool, "input_schema"));
  const auto& choice = member(body, "tool_choice");
  const auto type = text_member(choice, "type");
  offer.forced = type == "any" || type == "tool";
  offer.forced_name = type == "tool" ? text_member(choice, "name") : std::string{};
  offer.forbidden = type == "none";
  return offer;
}

std::string anthropic_complaint(const json& messages) {
  std::set<std::string> calls;
  for (const auto& message : messages) {
    const auto role = text_member(message, "role");
    if (role != "user" && role != "assistant")
      return "messages: Unexpected role \"" + role + "\"";
    const auto& content = member(message, "content");
    if (!content.is_string() && !content.is_array())
      return "messages: content must be a text or a list of blocks";
    for (const auto& block : content.is_array() ? content : json::array()) {
      const auto type = text_member(block, "type");
      if (type.empty())
        return "messages: a content block needs a type";
      if (type == "tool_use")
        calls.insert(text_member(block, "id"));
      if (type == "tool_result" && !calls.contains(text_member(block, "tool_use_id")))
        return "messages: unexpected tool_use_id in a tool_result block";
    }
  }
  return {};
}

/// The last message's text; of a tool_result, what the tool said.
void read_anthropic_prompt(const json& content, model_call& into) {
  into.prompt = text_of(content);
  if (!content.is_array())
    return;
  for (const auto& block : content) {
    if (text_member(block, "type") != "tool_result")
      continue;
    into.after_tool = true;
    into.prompt = text_of(member(block, "content"));
  }
}

} // namespace

tl::expected<model_call, call_error> read_openai_call(std::string_view text) {
  const auto body = json::parse(text, nullptr, false);
  auto call = read_common(body);
  if (!call)
    return call;
  const auto& messages = member(body, "messages");
  if (auto complaint = openai_complaint(messages); !complaint.empty())
    return wrong(std::move(complaint), "messages");
  const auto& last = messages.back();
  call->prompt = text_of(member(last, "content"));
  call->after_tool = text_member(last, "role") == "tool";
  call->tokens_max = count_member(body, "max_completion_tokens");
  if (!call->tokens_max)
    call->tokens_max = count_member(body, "max_tokens");
  call->include_usage = member(member(body, "stream_options"), "include_usage") == true;
  call->thinking = !text_member(body, "reasoning_effort").empty();
  read_stops(member(body, "stop"), *call);
  call->tool = chosen_tool(openai_tools(body), *call);
  return call;
}

tl::expected<model_call, call_error> read_anthropic_call(std::string_view text) {
  const auto body = json::parse(text, nullptr, false);
  auto call = read_common(body);
  if (!call)
    return call;
  const auto& messages = member(body, "messages");
  if (auto complaint = anthropic_complaint(messages); !complaint.empty())
    return wrong(std::move(complaint), "messages");
  call->tokens_max = count_member(body, "max_tokens");
  if (!call->tokens_max || *call->tokens_max == 0)
    return wrong("max_tokens: Field required", "max_tokens");
  const auto& thinking = member(body, "thinking");
  call->thinking = text_member(thinking, "type") == "enabled";
  const auto budget = count_member(thinking, "budget_tokens").value_or(0);
  if (call->thinking && (budget < thinking_budget_min || budget >= *call->tokens_max))
    return wrong("thinking.budget_tokens: must be at least 1024 and less than max_tokens");
  read_anthropic_prompt(member(messages.back(), "content"), *call);
  read_stops(member(body, "stop_sequences"), *call);
  call->tool = chosen_tool(anthropic_tools(body), *call);
  return call;
}

} // namespace skep::cli::simulate
