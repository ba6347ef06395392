#pragma once

#include "messages/chat.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// What a request says outside of its body. Pure; nothing here fails, the worst field says nothing.
namespace skep::actors {

/// What the gateway serves.
enum class endpoint : std::uint8_t {
  root,
  chat,
  completions,
  responses,
  response,
  messages,
  embeddings,
  models,
  model,
  health,
  ready,
  metrics,
  cluster,
  cluster_drain,
  cache_stats,
  cache_clear,
  performance_metrics,
  agent_pool,
  health_detailed,
  agent_prompt,
  debug_kill,
  unknown
};
inline constexpr std::size_t endpoint_count = 22;

/// The endpoint of a path without its query.
endpoint endpoint_of(std::string_view path);
/// The path as metrics show it: "/v1/models/{id}", "other".
std::string_view label_of(endpoint what);
/// The value of an `allow` header: "POST", "GET, HEAD".
std::string_view methods_of(endpoint what);
bool allows(endpoint what, std::string_view method);
/// Clients need a key when there are any; the probes of an orchestrator never do.
bool needs_key(endpoint what);
/// Probes are served however many requests are at work.
bool is_operational(endpoint what);
/// The model's id in "/v1/models/…", percent-decoded: it may hold a slash.
std::string model_id_of(std::string_view path);

/// Text with every %XX as the byte it stands for; what is no escape stays as it is.
std::string percent_decoded(std::string_view text);
/// The value of NAME in "a=b&NAME=value", decoded ('+' is a space); empty when there is none.
std::string query_value(std::string_view query, std::string_view name);

/// Cache-Control of a request (RFC 9111).
struct cache_wish {
  msg::cache_mode mode = msg::cache_mode::use;
  /// 0: no limit.
  std::uint32_t age_max_s = 0;
};
cache_wish read_cache_control(std::string_view header);

/// The token of "Bearer TOKEN"; empty when the header reads otherwise.
std::string_view bearer_token(std::string_view authorization);
/// Compares in a time that does not depend on where the texts differ.
bool same_secret(std::string_view a, std::string_view b);

} // namespace skep::actors
