#include "cli/simulate/flavour.hpp"

#include <algorithm>
#include <array>

namespace skep::cli::simulate {

namespace {

constexpr std::string_view azure_filters
  = R"({"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}})";
constexpr std::string_view azure_first_event
  = R"(data: {"choices":[],"created":0,"id":"","model":"","object":"",)"
    R"("prompt_filter_results":[{"prompt_index":0,"content_filter_results":)"
    R"({"jailbreak":{"detected":false,"filtered":false}}}]})"
    "\n\n";

// The one list of kinds.
constexpr std::array kinds{
  flavour{.name = "openai",
          .top = R"({"service_tier":"default"})",
          .choice = R"({"logprobs":null})",
          .message = R"({"annotations":[]})",
          .first = R"({"refusal":null})"},
  flavour{.name = "azure",
          .whole = R"({"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]})",
          .choice = azure_filters,
          .first = R"({"refusal":null})",
          .before = azure_first_event,
          .error = R"({"error":{"code":"$status","message":"$message"}})",
          .sorted = true},
  flavour{
    .name = "vllm",
    .whole = R"({"prompt_logprobs":null,"kv_transfer_params":null})",
    .choice = R"({"logprobs":null})",
    .ended = R"({"stop_reason":null})",
    .message = R"({"reasoning_content":null,"tool_calls":[],"function_call":null})",
    .error
    = R"({"object":"error","message":"$message","type":"$type","param":null,"code":"$status"})",
    .call_id = "chatcmpl-tool-",
    .has_fingerprint = false},
  flavour{.name = "ollama",
          .delta = R"({"role":"assistant","content":""})",
          .error
          = R"({"error":{"message":"$message","type":"api_error","param":null,"code":null}})",
          .id = "chatcmpl-",
          .call_id = "call_",
          .reasoning = "reasoning",
          .whole_calls = true},
  flavour{.name = "mistral",
          .message = R"({"tool_calls":null,"prefix":false})",
          .error
          = R"({"object":"error","message":"$message","type":"$type","param":null,"code":"$code"})",
          .id = "cafe",
          .call_id = "callid00",
          .reasoning = "content",
          .usage_at = usage_place::last,
          .has_fingerprint = false,
          .whole_calls = true,
          .indexed_calls = false},
  flavour{.name = "gemini",
          .delta = R"({"role":"assistant"})",
          .call = R"({"extra_content":{"google":{"thought_signature":"c2ltdWxhdGVk"}}})",
          .error
          = R"([{"error":{"code":"$status","message":"$message","status":"INVALID_ARGUMENT"}}])",
          .id = "Gm",
          .call_id = "function-call-",
          .usage_at = usage_place::every,
          .has_fingerprint = false,
          .whole_calls = true,
          .sorted = true},
  flavour{.name = "deepseek",
          .choice = R"({"logprobs":null})",
          .delta = R"({"content":null,"reasoning_content":null})",
          .usage = R"({"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":0})",
          .before = ": keep-alive\n\n",
          .usage_at = usage_place::last},
  flavour{.name = "openrouter",
          .top = R"({"provider":"Simulated"})",
          .choice = R"({"native_finish_reason":null,"logprobs":null})",
          .message = R"({"reasoning":null})",
          .delta = R"({"role":"assistant","content":""})",
          .usage = R"({"cost":0.00001,"is_byok":false})",
          .before = ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n",
          .error = R"({"error":{"message":"$message","code":"$status"},"user_id":"simulated"})",
          .id = "gen-",
          .reasoning = "reasoning",
          .usage_at = usage_place::again,
          .has_fingerprint = false},
  flavour{.name = "anthropic",
          .spoken = dialect::anthropic,
          .top = R"({"stop_details":null})",
          .usage = R"({"cache_creation":{"ephemeral_5m_input_tokens":0,)"
                   R"("ephemeral_1h_input_tokens":0},"service_tier":"standard",)"
                   R"("inference_geo":"global"})",
          .call = R"({"caller":{"type":"direct"}})",
          .padded = true},
  flavour{.name = "strict", .strict = true},
};

} // namespace

const flavour* find_flavour(std::string_view name) {
  const auto* const found = std::find_if(kinds.begin(), kinds.end(),
                                         [name](const flavour& each) { return each.name == name; });
  return found == kinds.end() ? nullptr : found;
}

std::string flavour_names() {
  std::string names;
  for (const auto& each : kinds)
    names.append(names.empty() ? "" : ", ").append(each.name);
  return names;
}

} // namespace skep::cli::simulate
