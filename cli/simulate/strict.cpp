#include "cli/simulate/flavour.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>

namespace skep::cli::simulate {

namespace {

using json = nlohmann::ordered_json;
using names = std::vector<std::string_view>;

// As the two references list them.
const names openai_body{"audio",
                        "frequency_penalty",
                        "function_call",
                        "functions",
                        "logit_bias",
                        "logprobs",
                        "max_completion_tokens",
                        "max_tokens",
                        "messages",
                        "metadata",
                        "modalities",
                        "model",
                        "n",
                        "parallel_tool_calls",
                        "prediction",
                        "presence_penalty",
                        "prompt_cache_key",
                        "prompt_cache_retention",
                        "reasoning_effort",
                        "response_format",
                        "safety_identifier",
                        "seed",
                        "service_tier",
                        "stop",
                        "store",
                        "stream",
                        "stream_options",
                        "temperature",
                        "tool_choice",
                        "tools",
                        "top_logprobs",
                        "top_p",
                        "user",
                        "verbosity",
                        "web_search_options"};
const names openai_message{"audio",   "content", "function_call", "name",
                           "refusal", "role",    "tool_calls",    "tool_call_id"};
const names openai_part{"type", "text", "refusal", "image_url", "input_audio", "file"};
const names anthropic_body{"model",          "messages",     "max_tokens",
                           "cache_control",  "container",    "context_management",
                           "inference_geo",  "mcp_servers",  "metadata",
                           "output_config",  "service_tier", "speed",
                           "stop_sequences", "stream",       "system",
                           "temperature",    "thinking",     "tool_choice",
                           "tools",          "top_k",        "top_p"};
const names anthropic_message{"role", "content"};
const names anthropic_block{"type",     "text",     "cache_control", "citations",   "id",
                            "name",     "input",    "caller",        "tool_use_id", "content",
                            "is_error", "thinking", "signature",     "data",        "source",
                            "title",    "context"};

/// The first member that is not among these; empty when all are.
std::string unknown_in(const json& object, const names& known) {
  if (object.is_object())
    for (const auto& [name, value] : object.items())
      if (std::find(known.begin(), known.end(), name) == known.end())
        return name;
  return {};
}

/// A member's place as the API writes it: messages[0].content[1].name or messages.0.content.1.name.
std::string entry(dialect spoken, std::string list, std::size_t number) {
  return spoken == dialect::openai ? list + '[' + std::to_string(number) + ']'
                                   : list + '.' + std::to_string(number);
}

std::string unknown_place(dialect spoken, const json& body) {
  const bool is_openai = spoken == dialect::openai;
  if (auto name = unknown_in(body, is_openai ? openai_body : anthropic_body); !name.empty())
    return name;
  const auto messages = body.value("messages", json::array());
  for (std::size_t m = 0; m < messages.size(); ++m) {
    const auto place = entry(spoken, "messages", m);
    const auto& message = messages[m];
    if (auto name = unknown_in(message, is_openai ? openai_message : anthropic_message);
        !name.empty())
      return place + '.' + name;
    const auto content = message.is_object() ? message.value("content", json()) : json();
    for (std::size_t p = 0; content.is_array() && p < content.size(); ++p)
      if (auto name = unknown_in(content[p], is_openai ? openai_part : anthropic_block);
          !name.empty())
        return entry(spoken, place + ".content", p) + '.' + name;
  }
  return {};
}

} // namespace

std::optional<error_text> unknown_member(dialect spoken, std::string_view text) {
  const auto body = json::parse(text, nullptr, false);
  const auto place = body.is_object() ? unknown_place(spoken, body) : std::string{};
  if (place.empty())
    return std::nullopt;
  if (spoken == dialect::openai)
    return error_text{400, "Unknown parameter: '" + place + "'.", "invalid_request_error",
                      "unknown_parameter", place};
  return error_text{
    400, place + ": Extra inputs are not permitted", "invalid_request_error", {}, {}};
}

} // namespace skep::cli::simulate
