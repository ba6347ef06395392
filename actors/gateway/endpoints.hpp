#pragma once

#include "runtime/node/http_endpoint.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// The list of what the gateway serves itself: paths, methods, who may ask. Pure.
namespace skep::actors {

/// What the gateway serves.
enum class endpoint : std::uint8_t {
  root,
  chat,
  completions,
  responses,
  response,
  response_items,
  messages,
  message_tokens,
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
  /// One of another role (rt::http_endpoint).
  registered,
  unknown
};
inline constexpr std::size_t endpoint_count = 25;

using rt::access;

/// The path as endpoints are looked up by: "//" is "/", a slash at the end counts for nothing, and
/// what the APIs serve below /v1 is found without it, or with it twice, as base URLs with and
/// without "/v1" make it. Escapes stay as they are.
std::string normal_path(std::string_view path);
/// The endpoint of a normal path without its query.
endpoint endpoint_of(std::string_view path);
/// The path as metrics show it: "/v1/models/{id}", "other".
std::string_view label_of(endpoint what);
/// The value of an `allow` header: "POST", "GET, HEAD".
std::string_view methods_of(endpoint what);
/// Whether the method is among those of an `allow` header.
bool allows(std::string_view methods, std::string_view method);
access access_of(endpoint what);
/// Answered on the connection's thread, whatever the gateway is busy with.
bool is_probe(endpoint what);
/// The model's id in "/v1/models/…", percent-decoded: it may hold a slash.
std::string model_id_of(std::string_view path);
/// The response's id in "/v1/responses/…", percent-decoded.
std::string response_id_of(std::string_view path);
/// The request is one of Anthropic's API, so that errors are written as that has them: by its path,
/// or where the path is both APIs' or none of ours, by its `anthropic-version`, if it has one.
bool is_anthropic(std::string_view path, std::string_view version);

} // namespace skep::actors
