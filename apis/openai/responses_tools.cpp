#include "apis/openai/responses_tools.hpp"

#include "apis/chat/request_body.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

using done = tl::expected<void, api_error>;

/// The value as it stands, or null.
std::string_view or_null(std::string_view value) {
  return value.empty() ? "null" : value;
}

void add_others(json::object_writer& into, const json::object& from,
                std::initializer_list<std::string_view> known) {
  for (const auto& member : from.members())
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      into.raw(member.name, member.value);
}

/// {"type":T,"name":"f"} as {"type":T,T:{"name":"f"}}.
std::string named(const std::string& type, std::string_view name) {
  json::object_writer inner;
  inner.text("name", name);
  json::object_writer made;
  return made.text("type", type).raw(type, inner.object()).object();
}

std::string function_of(const json::object& tool, std::string_view name) {
  json::object_writer function;
  function.text("name", name);
  for (const auto* member : {"description", "parameters", "strict"})
    function.raw(member, tool.at(member));
  json::object_writer made;
  made.text("type", "function").raw("function", function.object());
  add_others(made, tool, {"type", "name", "description", "parameters", "strict"});
  return made.object();
}

/// A grammar stands in an object of its own in chat completions.
std::string custom_of(const json::object& tool, std::string_view name) {
  json::object_writer custom;
  custom.text("name", name).raw("description", tool.at("description"));
  const json::object format{tool.at("format")};
  if (format.text("type") == "grammar") {
    json::object_writer grammar;
    add_others(grammar, format, {"type"});
    json::object_writer made;
    made.text("type", "grammar").raw("grammar", grammar.object());
    custom.raw("format", made.object());
  } else {
    custom.raw("format", tool.at("format"));
  }
  json::object_writer made;
  return made.text("type", "custom").raw("custom", custom.object()).object();
}

std::string shown_function(const json::object& tool) {
  json::object_writer made;
  made.text("type", "function").raw("name", tool.at("name"));
  for (const auto* member : {"description", "parameters", "strict"})
    made.raw(member, or_null(tool.at(member)));
  add_others(made, tool, {"type", "name", "description", "parameters", "strict"});
  return made.object();
}

/// Hosted tools that clients send by default, and that a model answers well enough without.
bool is_optional(std::string_view type) {
  return type.starts_with("web_search") || type == "image_generation" || type == "tool_search";
}

/// Reads lists of tools one after another.
class tool_reader {
public:
  explicit tool_reader(response_rules& rules) : rules_(rules) {}

  done read(std::string_view raw, const std::string& where, bool show,
            std::string_view space = {}) {
    const auto elements = json::elements_of(raw);
    if (!elements)
      return bad_request(where + " must be a list", where);
    for (std::size_t n = 0; n < elements->size(); ++n)
      if (auto one = add((*elements)[n], where + "[" + std::to_string(n) + "]", show, space); !one)
        return one;
    return {};
  }

  response_tools take() {
    return std::move(tools_);
  }

private:
  done add(std::string_view raw, const std::string& where, bool show, std::string_view space) {
    const json::object tool{raw};
    const auto type = tool.text("type");
    if (is_optional(type)) {
      tools_.left_out.push_back(type);
      return {};
    }
    const bool group = type == "namespace" && space.empty();
    if (!group && type != "function" && type != "custom")
      return untyped(
        "tools of type \"" + type
          + "\" are not served here: only \"function\", \"custom\" and \"namespace\"; hosted tools "
            "need a model that brings them, behind POST /v1/chat/completions or /v1/messages",
        where + ".type");
    const auto name = tool.text("name");
    if (name.empty())
      return bad_request(where + ".name is required", where + ".name");
    if (show)
      tools_.shown.push_back(type == "function" ? shown_function(tool) : std::string{raw});
    if (group)
      return read(tool.at("tools"), where + ".tools", false, name);
    if (type == "function")
      if (auto fits = check(tool, where); !fits)
        return fits;
    send(tool, type, name, space);
    return {};
  }

  static done check(const json::object& tool, const std::string& where) {
    const auto wrong = [&](const char* name, const char* what) {
      return bad_request(where + "." + name + " must be " + what, where + "." + name);
    };
    if (tool.has("description") && !tool.at("description").starts_with('"'))
      return wrong("description", "a text");
    if (tool.has("parameters") && !tool.at("parameters").starts_with('{'))
      return wrong("parameters", "an object");
    if (const auto strict = tool.at("strict");
        tool.has("strict") && strict != "true" && strict != "false")
      return wrong("strict", "true or false");
    return {};
  }

  void send(const json::object& tool, const std::string& type, const std::string& name,
            std::string_view space) {
    const auto flat = space.empty() ? name : flat_name(space, name);
    if (!names_.insert(flat).second)
      return; // A history may add the same tool again.
    if (!space.empty())
      rules_.spaced.emplace(flat, std::pair{std::string{space}, name});
    tools_.sent.push_back(type == "custom" ? custom_of(tool, flat) : function_of(tool, flat));
  }

  response_rules& rules_;
  response_tools tools_;
  std::set<std::string> names_;
};

/// The name that the model calls the tool of a choice by.
std::string called_name(const json::object& choice) {
  const auto space = choice.text("namespace");
  return space.empty() ? choice.text("name") : flat_name(space, choice.text("name"));
}

} // namespace

std::string flat_name(std::string_view space, std::string_view name) {
  return std::string{space} + (space.ends_with("__") ? "" : "__") + std::string{name};
}

tl::expected<response_tools, api_error> read_response_tools(const json::object& body,
                                                            const std::vector<std::string>& items,
                                                            response_rules& rules) {
  tool_reader reader{rules};
  if (body.has("tools"))
    if (auto read = reader.read(body.at("tools"), "tools", true); !read)
      return tl::make_unexpected(read.error());
  for (std::size_t n = 0; n < items.size(); ++n) {
    const json::object item{items[n]};
    if (item.text("type") != "additional_tools")
      continue;
    const auto where = "input[" + std::to_string(n) + "].tools";
    if (auto read = reader.read(item.at("tools"), where, false); !read)
      return tl::make_unexpected(read.error());
  }
  return reader.take();
}

tl::expected<std::string, api_error> read_tool_choice(std::string_view raw, response_rules& rules) {
  if (const auto word = json::string_of(raw)) {
    if (*word != "none" && *word != "auto" && *word != "required")
      return bad_request("tool_choice must be none, auto, required or an object", "tool_choice");
    if (*word == "none")
      rules.allowed.emplace();
    return std::string{raw};
  }
  const json::object choice{raw};
  const auto type = choice.text("type");
  if (type == "function" || type == "custom")
    return named(type, called_name(choice));
  if (type != "allowed_tools")
    return untyped("a tool_choice of type \"" + type + "\" is not served here", "tool_choice");
  const auto elements = json::elements_of(choice.at("tools"));
  if (!elements)
    return bad_request("tool_choice.tools must be a list", "tool_choice.tools");
  std::vector<std::string> tools;
  rules.allowed.emplace();
  for (const auto each : *elements) {
    const json::object tool{each};
    const auto sort = tool.text("type");
    if (sort != "function" && sort != "custom")
      continue;
    tools.push_back(named(sort, called_name(tool)));
    rules.allowed->insert(called_name(tool));
  }
  json::object_writer allowed;
  allowed.raw("mode", choice.has("mode") ? choice.at("mode") : "\"auto\"");
  allowed.raw("tools", json::array_of(tools));
  json::object_writer made;
  return made.text("type", type).raw("allowed_tools", allowed.object()).object();
}

} // namespace skep::actors
