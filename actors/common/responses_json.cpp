#include "actors/common/responses_json.hpp"

#include "actors/common/request_body.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skep::actors {

namespace {

using translated = tl::expected<std::string, api_error>;

/// The members besides these, to be written behind what was translated.
void add_others(json::object_writer& into, const json::object& from,
                std::initializer_list<std::string_view> known) {
  for (const auto& member : from.members())
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      into.raw(member.name, member.value);
}

// -- tools ----------------------------------------------------------------------------------------

/// {"type":"function","name":…} as {"type":"function","function":{"name":…}}.
translated tool_of(std::string_view raw, const std::string& where) {
  const json::object tool{raw};
  const auto type = tool.text("type");
  if (type != "function")
    return bad_request(
      "tools of type \"" + type
        + "\" are not served here: only \"function\"; hosted tools need a model that "
          "brings them, behind POST /v1/chat/completions or /v1/messages",
      where + ".type");
  if (tool.text("name").empty())
    return bad_request(where + ".name is required", where + ".name");
  json::object_writer function;
  for (const auto* name : {"name", "description", "parameters", "strict"})
    function.raw(name, tool.at(name));
  json::object_writer made;
  made.text("type", "function").raw("function", function.object());
  add_others(made, tool, {"type", "name", "description", "parameters", "strict"});
  return made.object();
}

translated tools_of(std::string_view raw) {
  const auto elements = json::elements_of(raw);
  if (!elements)
    return bad_request("tools must be a list", "tools");
  std::vector<std::string> made;
  for (std::size_t n = 0; n < elements->size(); ++n) {
    auto tool = tool_of((*elements)[n], "tools[" + std::to_string(n) + "]");
    if (!tool)
      return tool;
    made.push_back(std::move(*tool));
  }
  return made.empty() ? std::string{} : json::array_of(made);
}

/// {"type":"function","name":"f"} as {"type":"function","function":{"name":"f"}}.
std::string named_function(const json::object& choice) {
  json::object_writer name;
  name.raw("name", choice.at("name"));
  json::object_writer made;
  return made.text("type", "function").raw("function", name.object()).object();
}

translated tool_choice_of(std::string_view raw) {
  if (json::string_of(raw))
    return std::string{raw};
  const json::object choice{raw};
  const auto type = choice.text("type");
  if (type == "function")
    return named_function(choice);
  if (type != "allowed_tools")
    return bad_request("a tool_choice of type \"" + type + "\" is not served here", "tool_choice");
  std::vector<std::string> tools;
  for (const auto each :
       json::elements_of(choice.at("tools")).value_or(std::vector<std::string_view>{}))
    tools.push_back(named_function(json::object{each}));
  json::object_writer allowed;
  allowed.raw("mode", choice.at("mode")).raw("tools", json::array_of(tools));
  json::object_writer made;
  return made.text("type", type).raw("allowed_tools", allowed.object()).object();
}

/// text.format as response_format; empty: plain text, as ever.
translated format_of(std::string_view raw) {
  if (raw.empty())
    return std::string{};
  const json::object format{raw};
  const auto type = format.text("type");
  if (type == "text")
    return std::string{};
  if (type != "json_schema")
    return std::string{
      raw}; // json::object is the same in both; others are the provider's to judge.
  json::object_writer schema;
  add_others(schema, format, {"type"});
  json::object_writer made;
  return made.text("type", type).raw("json_schema", schema.object()).object();
}

// -- the body -------------------------------------------------------------------------------------

/// Members that cannot be served, and what to do instead.
struct refused_member {
  std::string_view name;
  std::string_view why;
};
constexpr std::array refused_members{
  refused_member{"conversation", "use previous_response_id"},
  refused_member{"prompt", "write the prompt into instructions and input"},
};

/// Members that are understood, or mean nothing to a provider of chat completions.
constexpr std::array ours = {"model",
                             "input",
                             "instructions",
                             "stream",
                             "stream_options",
                             "store",
                             "previous_response_id",
                             "background",
                             "include",
                             "metadata",
                             "truncation",
                             "max_tool_calls",
                             "tools",
                             "tool_choice",
                             "text",
                             "reasoning",
                             "max_output_tokens",
                             "top_logprobs"};

/// Members the response repeats as they came, and what stands there when they did not.
struct echoed_member {
  const char* name;
  const char* missing;
};
constexpr std::array echoed_members{
  echoed_member{"instructions", "null"},
  echoed_member{"max_output_tokens", "null"},
  echoed_member{"max_tool_calls", "null"},
  echoed_member{"metadata", "{}"},
  echoed_member{"parallel_tool_calls", "true"},
  echoed_member{"previous_response_id", "null"},
  echoed_member{"prompt_cache_key", ""},
  echoed_member{"prompt_cache_retention", ""},
  echoed_member{"reasoning", R"({"effort":null,"summary":null})"},
  echoed_member{"safety_identifier", ""},
  echoed_member{"service_tier", ""},
  echoed_member{"store", "true"},
  echoed_member{"temperature", "null"},
  echoed_member{"text", R"({"format":{"type":"text"}})"},
  echoed_member{"tool_choice", "\"auto\""},
  echoed_member{"tools", "[]"},
  echoed_member{"top_logprobs", "0"},
  echoed_member{"top_p", "null"},
  echoed_member{"user", "null"},
};

std::string echo_of(const json::object& body) {
  json::object_writer made;
  for (const auto& [name, missing] : echoed_members)
    made.raw(name, body.has(name) ? body.at(name) : std::string_view{missing});
  made.text("truncation", "disabled");
  return made.object();
}

tl::expected<std::vector<std::string>, api_error> read_input(const json::object& body) {
  std::vector<std::string> items;
  const auto input = body.at("input");
  if (input.empty() && body.has("previous_response_id"))
    return items;
  if (input.starts_with('"')) {
    json::object_writer part;
    part.text("type", "input_text").raw("text", input);
    json::object_writer item;
    item.text("type", "message").text("role", "user");
    items.push_back(item.raw("content", json::array_of({part.object()})).object());
    return items;
  }
  const auto elements = json::elements_of(input);
  if (!elements || (elements->empty() && !body.has("previous_response_id")))
    return bad_request("input is required: a text, or a list with at least one item", "input");
  items.assign(elements->begin(), elements->end());
  return items;
}

/// The parameters that have another form in chat completions.
tl::expected<void, api_error> translate(const json::object& body, json::object_writer& into) {
  const auto tools = body.has("tools") ? tools_of(body.at("tools")) : translated{};
  if (!tools)
    return tl::make_unexpected(tools.error());
  const auto choice
    = body.has("tool_choice") ? tool_choice_of(body.at("tool_choice")) : translated{};
  if (!choice)
    return tl::make_unexpected(choice.error());
  const json::object text{body.at("text")};
  const auto format = format_of(text.at("format"));
  if (!format)
    return tl::make_unexpected(format.error());
  into.raw("tools", *tools);
  // Without tools a choice among them is an error for some servers, and "auto" says nothing.
  if (!tools->empty())
    into.raw("tool_choice", *choice);
  into.raw("response_format", *format).raw("verbosity", text.at("verbosity"));
  into.raw("reasoning_effort", json::object{body.at("reasoning")}.at("effort"));
  into.raw("max_completion_tokens", body.at("max_output_tokens"));
  if (body.count("top_logprobs") > 0)
    into.raw("logprobs", "true").raw("top_logprobs", body.at("top_logprobs"));
  return {};
}

tl::expected<void, api_error> refuse_what_is_not_served(const json::object& body) {
  for (const auto& [name, why] : refused_members)
    if (body.has(name))
      return bad_request(std::string{name} + " is not served here: " + std::string{why},
                         std::string{name});
  const auto background = read_flag(body, "background");
  if (!background)
    return tl::make_unexpected(background.error());
  if (*background)
    return bad_request("background: true is not served here: ask without it, or with stream: true",
                       "background");
  return {};
}

tl::expected<response_order, api_error> read_order(const json::object& body) {
  response_order order;
  order.model = body.text("model");
  if (order.model.empty())
    return bad_request("model is required: the name of an agent, or provider/model", "model");
  if (auto served = refuse_what_is_not_served(body); !served)
    return tl::make_unexpected(served.error());
  const auto stream = read_flag(body, "stream");
  const auto store = read_flag(body, "store", true);
  for (const auto* each : {&stream, &store})
    if (!*each)
      return tl::make_unexpected(each->error());
  order.stream = *stream;
  order.store = *store;
  order.previous = body.text("previous_response_id");
  if (body.has("previous_response_id") && order.previous.empty())
    return bad_request("previous_response_id must be the id of a response", "previous_response_id");
  if (body.has("instructions") && !json::string_of(body.at("instructions")))
    return bad_request("instructions must be a text", "instructions");
  order.instructions = body.text("instructions");
  auto input = read_input(body);
  if (!input)
    return tl::make_unexpected(input.error());
  order.input = std::move(*input);
  json::object_writer parameters;
  if (auto done = translate(body, parameters); !done)
    return tl::make_unexpected(done.error());
  for (const auto& member : body.members())
    if (member.value != "null" && std::find(ours.begin(), ours.end(), member.name) == ours.end())
      parameters.raw(member.name, member.value);
  order.parameters = parameters.object_or_nothing();
  order.echo = echo_of(body);
  return order;
}

} // namespace

tl::expected<response_order, api_error> read_response_body(std::string_view text) {
  const auto body = read_object_body(text);
  if (!body)
    return tl::make_unexpected(body.error());
  return read_order(*body);
}

} // namespace skep::actors
