#include "apis/openai/responses_json.hpp"

#include "apis/chat/request_body.hpp"
#include "apis/openai/responses_echo.hpp"
#include "apis/openai/responses_tools.hpp"
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

/// text.format as response_format; empty: plain text, as ever.
translated format_of(std::string_view raw) {
  if (raw.empty())
    return std::string{};
  const json::object format{raw};
  const auto type = format.text("type");
  if (type == "text")
    return std::string{};
  if (type != "json_schema")
    return std::string{raw}; // json_object is the same in both.
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
                             "client_metadata",
                             "parallel_tool_calls",
                             "truncation",
                             "max_tool_calls",
                             "tools",
                             "tool_choice",
                             "text",
                             "reasoning",
                             "max_output_tokens",
                             "top_logprobs"};

tl::expected<std::vector<std::string>, api_error> read_input(const json::object& body) {
  std::vector<std::string> items;
  const auto input = body.at("input");
  if (input.empty() && (body.has("previous_response_id") || body.has("prompt")))
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

/// Tools and the choice among them.
tl::expected<void, api_error> translate_tools(const json::object& body, response_order& order,
                                              json::object_writer& into) {
  auto tools = read_response_tools(body, order.input, order.rules);
  if (!tools)
    return tl::make_unexpected(tools.error());
  order.echo = echo_of(body, tools->shown);
  const auto choice = body.has("tool_choice")
                        ? read_tool_choice(body.at("tool_choice"), order.rules)
                        : translated{};
  if (!choice)
    return tl::make_unexpected(choice.error());
  if (tools->sent.empty()) {
    // Without tools a choice among them is an error for some servers, and "auto" says nothing.
    if (tools->left_out.empty() || choice->empty() || *choice == "\"auto\""
        || *choice == "\"none\"")
      return {};
    return untyped("tool_choice asks for a call, and tools of type \"" + tools->left_out.front()
                     + "\" are not served here",
                   "tool_choice");
  }
  into.raw("tools", json::array_of(tools->sent)).raw("tool_choice", *choice);
  into.raw("parallel_tool_calls", body.at("parallel_tool_calls"));
  return {};
}

/// The parameters that have another form in chat completions.
tl::expected<void, api_error> translate(const json::object& body, response_order& order,
                                        json::object_writer& into) {
  if (body.has("prompt"))
    return untyped("prompt is not served here: write the prompt into instructions and input",
                   "prompt");
  if (auto done = translate_tools(body, order, into); !done)
    return done;
  const json::object text{body.at("text")};
  const auto format = format_of(text.at("format"));
  if (!format)
    return tl::make_unexpected(format.error());
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
  if (auto fits = check_response_body(body); !fits)
    return tl::make_unexpected(fits.error());
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
  order.rules.summary = json::object{body.at("reasoning")}.has("summary");
  json::object_writer parameters;
  if (auto done = translate(body, order, parameters); !done) {
    if (!done.error().untyped)
      return tl::make_unexpected(done.error());
    order.untyped = std::move(done.error());
    return order;
  }
  for (const auto& member : body.members())
    if (member.value != "null" && std::find(ours.begin(), ours.end(), member.name) == ours.end())
      parameters.raw(member.name, member.value);
  order.parameters = parameters.object_or_nothing();
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
