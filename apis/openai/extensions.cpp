#include "apis/openai/extensions.hpp"

#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

namespace skep::actors {

namespace {

// A tier of Anthropic's: what OpenAI calls "default".
constexpr std::string_view standard_only = R"("standard_only")";

// OpenAI takes no longer ones as strict. Each of their levels is scanned once more, so the bound
// keeps that work small as well.
constexpr std::size_t strict_schema_bytes_max = 120'000;

using edit = std::function<std::string(std::string_view)>;

/// The list with every element edited; a text that is no list stays as it is.
std::string each_of(std::string_view list, const edit& change) {
  const auto elements = json::elements_of(list);
  if (!elements)
    return std::string{list};
  std::vector<std::string> changed;
  changed.reserve(elements->size());
  for (const auto element : *elements)
    changed.push_back(change(element));
  return json::array_of(changed);
}

/// An object without the named members. Unlike json::object_without it leaves an empty object, and
/// what is no object, in its place.
std::string stripped(std::string_view element, std::string_view name) {
  if (!json::members_of(element))
    return std::string{element};
  auto left = json::object_without(element, {name});
  return left.empty() ? "{}" : left;
}

std::string without_cache_control(std::string_view element) {
  return stripped(element, "cache_control");
}

/// Edits one member of an object that has it.
std::string with_edited(std::string object, std::string_view name, const edit& change) {
  auto members = json::members_of(object);
  if (!members)
    return object;
  const auto found = std::find_if(members->begin(), members->end(),
                                  [&](const json::member& each) { return each.name == name; });
  if (found == members->end())
    return object;
  const auto changed = each_of(found->value, change);
  found->value = changed;
  return json::object_of(*members);
}

/// What stands beside `function` in a tool is none of OpenAI's.
std::string plain_tool(std::string_view tool) {
  const json::object given{tool};
  if (!given.has("function"))
    return std::string{tool};
  return json::object_writer{}
    .raw("type", given.at("type"))
    .raw("function", given.at("function"))
    .object();
}

bool has_any(std::string_view text) {
  constexpr std::array<std::string_view, 7> names{
    "cache_control",  "caller",   "thinking", "reasoning_content",
    "content_blocks", "is_error", "top_k"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return text.find(name) != std::string_view::npos;
  });
}

bool has_extensions(const msg::chat_message& message) {
  return has_any(message.rest)
         || std::any_of(message.tool_calls.begin(), message.tool_calls.end(),
                        [](const msg::tool_call& call) { return has_any(call.extra); });
}

/// The list as it is, or one of its own without them.
shared_list<msg::chat_message> plain_messages(const shared_list<msg::chat_message>& given) {
  if (std::none_of(given.begin(), given.end(), has_extensions))
    return given;
  auto messages = given.get();
  for (auto& message : messages) {
    for (auto& call : message.tool_calls)
      if (has_any(call.extra))
        call.extra = json::object_without(call.extra, {"cache_control", "caller"});
    if (!has_any(message.rest))
      continue;
    auto rest = json::object_without(message.rest, {"thinking_blocks", "reasoning_content",
                                                    "content_blocks", "is_error", "cache_control"});
    message.rest = with_edited(std::move(rest), "content", without_cache_control);
  }
  return messages;
}

/// Whether OpenAI takes a schema as strict, in it and in all that it holds.
bool is_strict_schema(std::string_view text) {
  if (const auto elements = json::elements_of(text))
    return std::all_of(elements->begin(), elements->end(), is_strict_schema);
  const json::object schema{text};
  if (const json::object properties{schema.at("properties")}; !properties.members().empty()) {
    const auto required = json::elements_of(schema.at("required"));
    std::set<std::string> names;
    for (const auto name : required.value_or(std::vector<std::string_view>{}))
      names.insert(json::string_of(name).value_or(""));
    if (schema.at("additionalProperties") != "false"
        || !std::all_of(properties.members().begin(), properties.members().end(),
                        [&](const json::member& each) { return names.count(each.name) > 0; }))
      return false;
  }
  return std::all_of(schema.members().begin(), schema.members().end(),
                     [](const json::member& each) { return is_strict_schema(each.value); });
}

/// The `response_format` for the format of an `output_config`; empty where it names no schema.
std::string response_format_of(const json::object& format) {
  const auto schema = format.at("schema");
  if (format.text("type") != "json_schema" || schema.empty())
    return {};
  const bool strict = schema.size() <= strict_schema_bytes_max && is_strict_schema(schema);
  const auto named = json::object_writer{}
                       .text("name", "answer")
                       .raw("strict", strict ? "true" : "false")
                       .raw("schema", schema)
                       .object();
  return json::object_writer{}.text("type", "json_schema").raw("json_schema", named).object();
}

/// OpenAI's earlier chat models refuse an effort.
bool reasons(std::string_view model) {
  constexpr std::array<std::string_view, 3> earlier{"gpt-3", "gpt-4", "chatgpt-"};
  return std::none_of(earlier.begin(), earlier.end(),
                      [&](std::string_view name) { return model.starts_with(name); });
}

/// The `reasoning_effort` that a budget of thinking stands for; empty where none is asked for.
std::string_view effort_of(const json::object& parameters) {
  const json::object thinking{parameters.at("thinking")};
  const auto budget = thinking.count("budget_tokens");
  if (thinking.text("type") != "enabled" || budget == 0 || parameters.has("reasoning_effort")
      || json::object{parameters.at("output_config")}.has("effort"))
    return {};
  return budget < 4096 ? R"("low")" : budget < 16'384 ? R"("medium")" : R"("high")";
}

/// The parameters with one more member, unless its value is empty.
std::string with_member(const std::string& parameters, std::string_view name,
                        std::string_view value) {
  if (value.empty())
    return parameters;
  auto members = json::members_of(parameters).value_or(std::vector<json::member>{});
  members.push_back({std::string{name}, value});
  return json::object_of(members);
}

} // namespace

bool has_anthropic_words(std::string_view parameters) {
  return parameters.find(R"("output_config")") != std::string_view::npos
         || parameters.find(R"("output_format")") != std::string_view::npos
         || parameters.find(standard_only) != std::string_view::npos;
}

std::string in_openai_words(std::string_view parameters) {
  const json::object given{parameters};
  json::object_writer out;
  for (const auto& each : given.members())
    if (each.name == "service_tier" && each.value == standard_only)
      out.text(each.name, "default");
    else if (each.name != "output_config" && each.name != "output_format")
      out.raw(each.name, each.value);
  const json::object config{given.at("output_config")};
  const auto format = config.has("format") ? config.at("format") : given.at("output_format");
  if (!given.has("response_format"))
    out.raw("response_format", response_format_of(json::object{format}));
  const auto effort = config.text("effort");
  if (!effort.empty() && !given.has("reasoning_effort"))
    out.text("reasoning_effort", effort == "max" ? "xhigh" : effort);
  return out.object_or_nothing();
}

std::string with_newer_bound(const std::string& parameters) {
  auto members = json::members_of(parameters).value_or(std::vector<json::member>{});
  const auto named = [&](std::string_view name) {
    return std::find_if(members.begin(), members.end(),
                        [&](const json::member& each) { return each.name == name; });
  };
  const auto bound = named("max_tokens");
  if (bound == members.end() || named("max_completion_tokens") != members.end())
    return parameters;
  bound->name = "max_completion_tokens";
  return json::object_of(members);
}

msg::chat_request without_extensions(msg::chat_request request) {
  request.messages = plain_messages(request.messages);
  if (request.parameters.find("\"thinking\"") != std::string::npos && reasons(request.model))
    request.parameters = with_member(request.parameters, "reasoning_effort",
                                     effort_of(json::object{request.parameters}));
  if (has_any(request.parameters) || request.parameters.find("\"tools\"") != std::string::npos)
    request.parameters = with_edited(
      json::object_without(request.parameters, {"thinking", "top_k", "cache_control"}), "tools",
      plain_tool);
  return request;
}

} // namespace skep::actors
