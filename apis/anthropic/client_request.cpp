#include "apis/anthropic/client_request.hpp"

#include "apis/anthropic/client_turns.hpp"
#include "apis/chat/request_body.hpp"
#include "runtime/json/object.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace skep::actors {

namespace {

tl::unexpected<failure> wrong(std::string_view parameter, const std::string& what) {
  return fail(errc::bad_request, std::string{parameter} + " " + what);
}

/// Parameters the API lacks and an answer would differ without: only values that ask for nothing
/// are let by.
struct lacking {
  std::string_view name;
  std::string_view neutral; // JSON.
  std::string_view advice;
};
constexpr std::array lacking_parameters{
  lacking{"n", "1", "must be 1"},
  lacking{"logprobs", "false", "must be false"},
  lacking{"top_logprobs", "0", "must be 0"},
  lacking{"frequency_penalty", "0", "must be 0"},
  lacking{"presence_penalty", "0", "must be 0"},
  lacking{"logit_bias", "{}", "must be empty"},
  lacking{"modalities", R"(["text"])", "must be [\"text\"]"},
  lacking{"audio", "{}", "must be left out"},
  lacking{"functions", "[]", "must be left out; use tools"},
  lacking{"function_call", R"("none")", "must be left out; use tool_choice"},
  lacking{"web_search_options", "null", "must be left out; use a web_search tool of Anthropic's"},
};

// Taken up one by one below, or without effect on what is answered.
constexpr std::array translated{
  "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
  "temperature", "response_format", "reasoning_effort", "thinking", "output_config", "metadata",
  "user", "service_tier", "seed", "store", "stream_options", "prediction", "verbosity",
  "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
  // Written from the request itself.
  "model", "messages", "system", "stream"};

expected<void> check_lacking(const json::object& given) {
  for (const auto& each : lacking_parameters) {
    const auto value = given.at(each.name);
    if (value.empty())
      continue;
    const auto read = nlohmann::json::parse(value.begin(), value.end(), nullptr, false);
    if (read != nlohmann::json::parse(each.neutral))
      return wrong(each.name, std::string{each.advice} + ": Anthropic's API does not have it");
  }
  return {};
}

/// One request on its way; every step adds its members to the body.
class request_writer {
public:
  request_writer(const msg::chat_request& request, const anthropic_options& options)
    : request_(request), given_(request.parameters), options_(options) {}

  expected<std::string> write();

private:
  /// Anthropic's tool_choice; the name is JSON.
  struct choice {
    std::string_view type;
    std::string_view name;
  };

  expected<void> add_tokens();
  expected<void> add_stop();
  expected<void> add_tools();
  expected<void> add_tool_choice();
  expected<choice> tool_choice() const;
  expected<void> add_format();
  expected<void> add_reasoning();
  void make_room_for(std::uint64_t budget);
  void think(std::uint64_t budget, std::string_view effort);
  std::optional<double> number(std::string_view name) const;
  bool forbids_thinking() const;
  void add_metadata();
  expected<void> add_sampling();
  void pass_on();

  const msg::chat_request& request_;
  const json::object given_;
  const anthropic_options& options_;
  anthropic_turns turns_;
  json::object_writer body_;
  json::object_writer output_;
  bool has_tools_ = false;
  bool forced_tool_ = false;
  // What the caller set, if anything; may grow by a thinking budget otherwise.
  std::optional<std::uint64_t> max_tokens_;
  std::uint64_t tokens_ = 0;
};

expected<std::string> request_writer::write() {
  if (auto sane = check_lacking(given_); !sane)
    return fail(sane.error());
  auto turns = anthropic_turns_of(request_.messages);
  if (!turns)
    return fail(turns.error());
  turns_ = std::move(*turns);
  body_.text("model", request_.model);
  for (const auto step :
       {&request_writer::add_tokens, &request_writer::add_stop, &request_writer::add_tools,
        &request_writer::add_tool_choice, &request_writer::add_format,
        &request_writer::add_reasoning, &request_writer::add_sampling})
    if (auto done = (this->*step)(); !done)
      return fail(done.error());
  body_.number("max_tokens", tokens_);
  body_.raw("output_config", output_.object_or_nothing());
  add_metadata();
  pass_on();
  body_.raw("system", turns_.system);
  body_.raw("messages", turns_.messages);
  if (request_.stream)
    body_.raw("stream", "true");
  return body_.object();
}

expected<void> request_writer::add_tokens() {
  for (const auto* name : {"max_completion_tokens", "max_tokens"}) {
    if (max_tokens_ || !given_.has(name))
      continue;
    max_tokens_ = given_.count(name);
    if (*max_tokens_ == 0)
      return wrong(name, "must be a whole number above 0");
  }
  tokens_ = max_tokens_.value_or(options_.max_tokens);
  return {};
}

expected<void> request_writer::add_stop() {
  const auto stop = given_.at("stop");
  if (stop.starts_with('"'))
    body_.raw("stop_sequences", "[" + std::string{stop} + "]");
  else if (stop.starts_with('['))
    body_.raw("stop_sequences", stop == "[]" ? std::string_view{} : stop);
  else if (!stop.empty())
    return wrong("stop", "must be a text or a list of texts");
  return {};
}

/// A function's parameters as the API takes them: it refuses a schema without the type of objects.
std::string input_schema_of(std::string_view given) {
  std::string schema{given.empty() ? "{}" : given};
  const json::object read{given};
  const auto type = read.at("type");
  // A list of types, too, where objects are among them.
  if (type.empty() || (type.starts_with('[') && type.find(R"("object")") != std::string_view::npos))
    schema = json::object_with(schema, "type", R"("object")");
  return read.members().empty() ? json::object_with(schema, "properties", "{}") : schema;
}

/// OpenAI's function as Anthropic's tool.
expected<std::string> tool_of(std::string_view raw, const std::string& where) {
  const json::object entry{raw};
  const auto type = entry.text("type");
  if (type != "function" && !entry.has("custom"))
    return type.empty() && !entry.has("name") ? expected<std::string>{wrong(where, "needs a type")}
                                              : std::string{raw};
  const json::object function{entry.at("function")};
  if (!function.has("name"))
    return wrong(where, "must be a function with a name, or a tool of Anthropic's own");
  json::object_writer tool;
  tool.raw("name", function.at("name"))
    .raw("description", function.at("description"))
    .raw("input_schema", input_schema_of(function.at("parameters")));
  if (function.at("strict") == "true")
    tool.raw("strict", "true");
  for (const auto& member : entry.members())
    if (member.name != "type" && member.name != "function")
      tool.raw(member.name, member.value);
  return tool.object();
}

expected<void> request_writer::add_tools() {
  const auto entries = json::elements_of(given_.at("tools"));
  if (!entries && given_.has("tools"))
    return wrong("tools", "must be a list");
  std::vector<std::string> tools;
  for (std::size_t n = 0; entries && n < entries->size(); ++n) {
    auto tool = tool_of((*entries)[n], "tools[" + std::to_string(n) + "]");
    if (!tool)
      return fail(tool.error());
    tools.push_back(std::move(*tool));
  }
  has_tools_ = !tools.empty();
  if (has_tools_)
    body_.raw("tools", json::array_of(tools));
  return {};
}

expected<request_writer::choice> request_writer::tool_choice() const {
  const auto asked = given_.at("tool_choice");
  if (asked.empty() || asked == R"("auto")")
    return choice{"auto", {}};
  if (asked == R"("none")")
    return choice{"none", {}};
  if (asked == R"("required")")
    return choice{"any", {}};
  const json::object named{asked};
  const json::object function{named.at("function")};
  if (named.text("type") != "function" || !function.has("name"))
    return wrong("tool_choice", "must be auto, none, required or a function by its name");
  return choice{"tool", function.at("name")};
}

expected<void> request_writer::add_tool_choice() {
  const auto chosen = tool_choice();
  if (!chosen)
    return fail(chosen.error());
  const bool one_by_one = given_.at("parallel_tool_calls") == "false" && chosen->type != "none";
  // Without tools there is nothing to choose from.
  if (!has_tools_ || (!one_by_one && !given_.has("tool_choice")))
    return {};
  forced_tool_ = chosen->type == "any" || chosen->type == "tool";
  json::object_writer written;
  written.text("type", chosen->type).raw("name", chosen->name);
  if (one_by_one)
    written.raw("disable_parallel_tool_use", "true");
  body_.raw("tool_choice", written.object());
  return {};
}

/// What stands for `response_format` of type json_object: the API takes only schemas.
constexpr std::string_view json_only
  = "Answer with one valid JSON object and nothing else: no words "
    "around it, no code fence.";

/// `system` (JSON: a text, a list of text blocks or nothing) with one more text at its end.
std::string with_instruction(const std::string& system, std::string_view text) {
  if (system.empty())
    return json::quoted(text);
  if (const auto only = json::string_of(system))
    return json::quoted(*only + "\n\n" + std::string{text});
  const auto block = json::object_writer{}.raw("type", R"("text")").text("text", text).object();
  return system.substr(0, system.size() - 1) + "," + block + "]";
}

expected<void> request_writer::add_format() {
  const json::object kept{given_.at("output_config")};
  const json::object format{given_.at("response_format")};
  const auto type = format.text("type");
  for (const auto& member : kept.members())
    if (member.name != "format" || type != "json_schema")
      output_.raw(member.name, member.value);
  if (type == "json_object")
    turns_.system = with_instruction(turns_.system, json_only);
  if (type != "json_schema")
    return {};
  const json::object named{format.at("json_schema")};
  if (!named.has("schema"))
    return wrong("response_format.json_schema.schema", "is required");
  output_.raw("format", json::object_writer{}
                          .raw("type", R"("json_schema")")
                          .raw("schema", named.at("schema"))
                          .object());
  return {};
}

/// Where the caller bounds nothing, an answer has room beside the thoughts.
void request_writer::make_room_for(std::uint64_t budget) {
  constexpr std::uint64_t answer = 4096;
  tokens_ = std::max(tokens_, budget + std::min(tokens_, answer));
}

/// A budget stays below what the caller allows.
void request_writer::think(std::uint64_t budget, std::string_view effort) {
  constexpr std::uint64_t budget_min = 1024; // The API's.
  if (options_.reasoning == anthropic_reasoning::adaptive) {
    body_.raw("thinking", R"({"type":"adaptive"})");
    if (!json::object{given_.at("output_config")}.has("effort"))
      output_.text("effort", effort);
    return;
  }
  if (turns_.answers_unsigned_calls || (max_tokens_ && *max_tokens_ <= budget_min))
    return;
  if (max_tokens_)
    budget = std::clamp(budget, budget_min, std::max(budget_min, *max_tokens_ / 2));
  else
    make_room_for(budget);
  body_.raw(
    "thinking",
    json::object_writer{}.raw("type", R"("enabled")").number("budget_tokens", budget).object());
}

/// Nothing where it is left out, or no number.
std::optional<double> request_writer::number(std::string_view name) const {
  const auto value = given_.at(name);
  const auto read = nlohmann::json::parse(value.begin(), value.end(), nullptr, false);
  return read.is_number() ? std::optional{read.get<double>()} : std::nullopt;
}

/// A model that must call a tool cannot think first, and one that thinks picks its words by itself.
bool request_writer::forbids_thinking() const {
  constexpr double top_p_min = 0.95;
  return forced_tool_ || given_.has("top_k") || number("temperature").value_or(1) != 1
         || number("top_p").value_or(1) < top_p_min;
}

expected<void> request_writer::add_reasoning() {
  const json::object own{given_.at("thinking")};
  if (given_.has("thinking")) {
    body_.raw("thinking", given_.at("thinking"));
    if (!max_tokens_)
      make_room_for(own.count("budget_tokens"));
    return {};
  }
  struct level {
    std::string_view name;
    std::uint64_t budget;
    std::string_view effort;
  };
  constexpr std::array levels{level{"low", 1024, "low"}, level{"medium", 4096, "medium"},
                              level{"high", 16'384, "high"}, level{"xhigh", 32'768, "max"}};
  const auto asked = given_.text("reasoning_effort");
  if (asked.empty() || asked == "none" || asked == "minimal")
    return {};
  const auto found
    = std::find_if(levels.begin(), levels.end(), [&](const level& l) { return l.name == asked; });
  if (found == levels.end())
    return wrong("reasoning_effort", "must be none, minimal, low, medium, high or xhigh");
  if (!forbids_thinking()) // Effort is a hint, so it gives way.
    think(found->budget, found->effort);
  return {};
}

expected<void> request_writer::add_sampling() {
  const auto temperature = given_.at("temperature");
  if (temperature.empty())
    return {};
  if (const auto read = number("temperature"); !read || *read < 0 || *read > 1)
    return wrong("temperature", "must be between 0 and 1: Anthropic's API goes no further");
  body_.raw("temperature", temperature);
  return {};
}

void request_writer::add_metadata() {
  const json::object metadata{given_.at("metadata")};
  const auto user = metadata.text("user_id").empty() ? given_.at("user") : metadata.at("user_id");
  if (user.starts_with('"'))
    body_.raw("metadata", json::object_writer{}.raw("user_id", user).object());
  const auto tier = given_.text("service_tier");
  if (tier == "auto" || tier == "standard_only")
    body_.text("service_tier", tier);
}

void request_writer::pass_on() {
  for (const auto& member : given_.members()) {
    const auto is = [&](const auto& name) { return member.name == name; };
    const bool known = std::any_of(translated.begin(), translated.end(), is)
                       || std::any_of(lacking_parameters.begin(), lacking_parameters.end(),
                                      [&](const lacking& each) { return member.name == each.name; })
                       || (is("stop_sequences") && given_.has("stop"));
    if (!known && member.value != "null")
      body_.raw(member.name, member.value);
  }
}

} // namespace

std::uint32_t max_tokens_of(std::string_view model) {
  struct line {
    std::string_view name;
    std::uint32_t tokens;
  };
  // The first that fits counts. Elsewhere names may have more around them: anthropic/claude-3-5-….
  constexpr std::array lines{line{"claude-instant", 4096}, line{"claude-2", 4096},
                             line{"claude-3-5-", 8192},    line{"claude-3.5-", 8192},
                             line{"claude-3-7-", 32'000},  line{"claude-3.7-", 32'000},
                             line{"claude-3-", 4096},      line{"claude-", 32'000}};
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const line& each) {
    return model.find(each.name) != std::string_view::npos;
  });
  return found == lines.end() ? 8192 : found->tokens;
}

expected<std::string> write_messages_request(const msg::chat_request& request,
                                             const anthropic_options& options) {
  return request_writer{request, options}.write();
}

} // namespace skep::actors
