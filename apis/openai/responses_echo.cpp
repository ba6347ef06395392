#include "apis/openai/responses_echo.hpp"

#include "apis/chat/request_body.hpp"

#include <algorithm>
#include <array>

namespace skep::actors {

namespace {

// -- types ----------------------------------------------------------------------------------------

// The body is valid JSON, so a value's first character says its type.
bool is_number(std::string_view value) {
  return value.front() == '-' || (value.front() >= '0' && value.front() <= '9');
}
bool is_count(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool is_flag(std::string_view value) {
  return value == "true" || value == "false";
}
bool is_text(std::string_view value) {
  return value.front() == '"';
}
bool is_object(std::string_view value) {
  return value.front() == '{';
}
bool is_list(std::string_view value) {
  return value.front() == '[';
}
bool is_choice(std::string_view value) {
  return is_text(value) || is_object(value);
}
bool is_truncation(std::string_view value) {
  return value == "\"auto\"" || value == "\"disabled\"";
}

struct typed_member {
  std::string_view name;
  bool (*fits)(std::string_view value);
  std::string_view what;
};
constexpr std::array typed_members{
  typed_member{"temperature", is_number, "a number"},
  typed_member{"top_p", is_number, "a number"},
  typed_member{"presence_penalty", is_number, "a number"},
  typed_member{"frequency_penalty", is_number, "a number"},
  typed_member{"max_output_tokens", is_count, "a whole number"},
  typed_member{"max_tool_calls", is_count, "a whole number"},
  typed_member{"top_logprobs", is_count, "a whole number"},
  typed_member{"parallel_tool_calls", is_flag, "true or false"},
  typed_member{"metadata", is_object, "an object"},
  typed_member{"reasoning", is_object, "an object"},
  typed_member{"text", is_object, "an object"},
  typed_member{"tools", is_list, "a list"},
  typed_member{"include", is_list, "a list"},
  typed_member{"tool_choice", is_choice, "a text or an object"},
  typed_member{"truncation", is_truncation, "auto or disabled"},
  typed_member{"service_tier", is_text, "a text"},
  typed_member{"safety_identifier", is_text, "a text"},
  typed_member{"prompt_cache_key", is_text, "a text"},
  typed_member{"user", is_text, "a text"},
};
constexpr std::array reasoning_members{
  typed_member{"effort", is_text, "a text"},
  typed_member{"summary", is_text, "a text"},
};
constexpr std::array text_members{
  typed_member{"format", is_object, "an object"},
  typed_member{"verbosity", is_text, "a text"},
};

template <std::size_t N>
tl::expected<void, api_error> check(const json::object& of, const std::array<typed_member, N>& all,
                                    const std::string& prefix = {}) {
  for (const auto& [name, fits, what] : all)
    if (of.has(name) && !fits(of.at(name))) {
      const auto param = prefix + std::string{name};
      return bad_request(param + " must be " + std::string{what}, param);
    }
  return {};
}

// -- the echo -------------------------------------------------------------------------------------

/// The object with each of these members that it lacks.
std::string completed(std::string_view raw,
                      std::initializer_list<std::pair<const char*, const char*>> missing) {
  const json::object given{raw};
  json::object_writer made;
  for (const auto& member : given.members())
    if (member.value != "null")
      made.raw(member.name, member.value);
  for (const auto& [name, value] : missing)
    if (!given.has(name))
      made.raw(name, value);
  return made.object();
}

std::string text_echo(std::string_view raw) {
  const json::object text{raw};
  const auto format = text.at("format");
  json::object_writer made;
  if (format.empty())
    made.raw("format", R"({"type":"text"})");
  else if (json::object{format}.text("type") == "json_schema")
    made.raw("format", completed(format, {{"description", "null"}, {"strict", "false"}}));
  else
    made.raw("format", format);
  for (const auto& member : text.members())
    if (member.name != "format")
      made.raw(member.name, member.value);
  return made.object();
}

std::string choice_echo(std::string_view raw) {
  if (raw.empty())
    return "\"auto\"";
  return json::object{raw}.text("type") == "allowed_tools" ? completed(raw, {{"mode", "\"auto\""}})
                                                           : std::string{raw};
}

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
  echoed_member{"prompt_cache_key", "null"},
  echoed_member{"prompt_cache_retention", ""},
  echoed_member{"safety_identifier", "null"},
  echoed_member{"service_tier", "\"default\""},
  echoed_member{"store", "true"},
  echoed_member{"temperature", "1"},
  echoed_member{"presence_penalty", "0"},
  echoed_member{"frequency_penalty", "0"},
  echoed_member{"top_logprobs", "0"},
  echoed_member{"top_p", "1"},
  echoed_member{"user", "null"},
};

} // namespace

tl::expected<void, api_error> check_response_body(const json::object& body) {
  if (auto fits = check(body, typed_members); !fits)
    return fits;
  if (auto fits = check(json::object{body.at("reasoning")}, reasoning_members, "reasoning."); !fits)
    return fits;
  const json::object text{body.at("text")};
  if (auto fits = check(text, text_members, "text."); !fits)
    return fits;
  const auto type = json::object{text.at("format")}.text("type");
  if (text.has("format") && type != "text" && type != "json_object" && type != "json_schema")
    return bad_request("text.format.type must be text, json_object or json_schema",
                       "text.format.type");
  return {};
}

std::string echo_of(const json::object& body, const std::vector<std::string>& tools) {
  json::object_writer made;
  for (const auto& [name, missing] : echoed_members)
    made.raw(name, body.has(name) ? body.at(name) : std::string_view{missing});
  made.raw("reasoning", completed(body.at("reasoning"), {{"effort", "null"}, {"summary", "null"}}));
  made.raw("text", text_echo(body.at("text")))
    .raw("tool_choice", choice_echo(body.at("tool_choice")));
  made.raw("tools", json::array_of(tools)).text("truncation", "disabled");
  return made.object();
}

} // namespace skep::actors
