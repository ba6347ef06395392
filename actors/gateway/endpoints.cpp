#include "actors/gateway/endpoints.hpp"

#include "actors/gateway/http_fields.hpp"
#include "runtime/base/text.hpp"

#include <algorithm>
#include <array>

namespace skep::actors {

namespace {

constexpr std::string_view version = "/v1";
constexpr std::string_view models_prefix = "/v1/models/";
constexpr std::string_view responses_prefix = "/v1/responses/";
constexpr std::string_view items_suffix = "/input_items";
// Every id of ours begins with it, so that what the API calls by a word ("compact",
// "input_tokens") is no response.
constexpr std::string_view response_id_prefix = "resp_";
// First segments of what is served below /v1.
constexpr std::array<std::string_view, 6> versioned{"chat",     "completions", "responses",
                                                    "messages", "embeddings",  "models"};

struct endpoint_row {
  endpoint what;
  /// As metrics show it; what stands in braces matches anything.
  std::string_view path;
  std::string_view methods;
  access who;
};

constexpr std::string_view reads = "GET, HEAD";

// The one list of what the gateway serves, in the order of the enum.
constexpr std::array<endpoint_row, endpoint_count> endpoints{{
  {endpoint::root, "/", reads, access::open},
  {endpoint::chat, "/v1/chat/completions", "POST", access::client},
  {endpoint::completions, "/v1/completions", "POST", access::client},
  {endpoint::responses, "/v1/responses", "POST", access::client},
  {endpoint::response, "/v1/responses/{id}", "GET, HEAD, DELETE", access::client},
  {endpoint::response_items, "/v1/responses/{id}/input_items", reads, access::client},
  {endpoint::messages, "/v1/messages", "POST", access::client},
  {endpoint::message_tokens, "/v1/messages/count_tokens", "POST", access::client},
  {endpoint::embeddings, "/v1/embeddings", "POST", access::client},
  {endpoint::models, "/v1/models", reads, access::client},
  {endpoint::model, "/v1/models/{id}", reads, access::client},
  {endpoint::health, "/health", reads, access::open},
  {endpoint::ready, "/ready", reads, access::open},
  {endpoint::metrics, "/metrics", reads, access::admin},
  {endpoint::cluster, "/cluster", reads, access::admin},
  {endpoint::cluster_drain, "/cluster/drain", "POST", access::admin},
  {endpoint::cache_stats, "/api/v1/cache/stats", reads, access::admin},
  {endpoint::cache_clear, "/api/v1/performance/cache/clear", "POST", access::admin},
  {endpoint::performance_metrics, "/api/v1/performance/metrics", reads, access::admin},
  {endpoint::agent_pool, "/api/v1/performance/agent-pool", reads, access::admin},
  {endpoint::health_detailed, "/api/v1/performance/health-detailed", reads, access::admin},
  {endpoint::agent_prompt, "/api/v1/agent/prompt", "POST", access::client},
  {endpoint::debug_kill, "/debug/kill", "POST", access::admin},
  {endpoint::registered, "registered", reads, access::client},
  {endpoint::unknown, "other", reads, access::open},
}};

constexpr const endpoint_row& row_of(endpoint what) {
  return endpoints[static_cast<std::size_t>(what)];
}

constexpr bool in_order() {
  for (std::size_t n = 0; n < endpoints.size(); ++n)
    if (static_cast<std::size_t>(endpoints[n].what) != n)
      return false;
  return true;
}
static_assert(in_order());

/// "chat" of "/chat/completions".
std::string_view first_segment(std::string_view path) {
  path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

/// `path` is `folder` or below it.
bool is_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

endpoint endpoint_of_response(std::string_view rest) {
  const auto id = rest.substr(0, rest.find('/'));
  if (!percent_decoded(id).starts_with(response_id_prefix))
    return endpoint::unknown;
  if (id.size() == rest.size())
    return endpoint::response;
  return rest.substr(id.size()) == items_suffix ? endpoint::response_items : endpoint::unknown;
}

} // namespace

std::string normal_path(std::string_view path) {
  std::string made;
  made.reserve(path.size() + version.size());
  for (const char each : path)
    if (each != '/' || made.empty() || made.back() != '/')
      made += each;
  if (!made.starts_with('/'))
    return made; // "*"
  if (made.size() > 1 && made.back() == '/')
    made.pop_back();
  if (is_below(made, version) && is_below(std::string_view{made}.substr(version.size()), version))
    made.erase(0, version.size());
  const auto first = first_segment(made);
  if (std::find(versioned.begin(), versioned.end(), first) != versioned.end())
    made.insert(0, version);
  return made;
}

endpoint endpoint_of(std::string_view path) {
  if (path.size() > models_prefix.size() && path.starts_with(models_prefix))
    return endpoint::model;
  if (path.starts_with(responses_prefix))
    return endpoint_of_response(path.substr(responses_prefix.size()));
  const auto row = std::find_if(endpoints.begin(), endpoints.end(),
                                [&](const endpoint_row& each) { return each.path == path; });
  return row != endpoints.end() ? row->what : endpoint::unknown;
}

std::string_view label_of(endpoint what) {
  return row_of(what).path;
}

std::string_view methods_of(endpoint what) {
  return row_of(what).methods;
}

bool allows(std::string_view methods, std::string_view method) {
  while (!methods.empty())
    if (trimmed(next_of(methods, ',')) == method)
      return true;
  return false;
}

access access_of(endpoint what) {
  return row_of(what).who;
}

bool is_probe(endpoint what) {
  return what == endpoint::root || what == endpoint::health || what == endpoint::ready;
}

std::string model_id_of(std::string_view path) {
  return percent_decoded(path.substr(std::min(path.size(), models_prefix.size())));
}

std::string response_id_of(std::string_view path) {
  path.remove_prefix(std::min(path.size(), responses_prefix.size()));
  return percent_decoded(path.substr(0, path.find('/')));
}

bool is_anthropic(std::string_view path, std::string_view said) {
  const auto what = endpoint_of(path);
  return is_below(path, "/v1/messages")
         || (!said.empty()
             && (what == endpoint::models || what == endpoint::model || what == endpoint::unknown));
}

} // namespace skep::actors
