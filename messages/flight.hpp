#pragma once

#include "messages/cache.hpp"
#include "messages/chat.hpp"

// Tags 0x05xx: calls that several callers share. A flight is one answer being fetched.
namespace skep::msg {

/// One way to get an answer: a provider and the model to ask there.
struct flight_route {
  /// The provider's name in the configuration.
  std::string provider;
  /// Empty: the model the prompt names.
  std::string model;
  SKEP_RECORD(provider, model)
};

/// How a flight uses the semantic cache; `partition` is the hash of all but the last user text.
struct semantic_wish {
  /// The policy's name in the configuration; empty: not at all.
  std::string policy;
  cache_key partition;
  std::string text;
  SKEP_RECORD(policy, partition, text)
};

/// Asks for an answer by whatever is cheapest: the response cache, a call for the same that is in
/// flight already, a similar answer, the routes in turn. Answered as a chat_request is.
struct flight_request {
  /// Whose request it is, for metrics and errors.
  std::string agent;
  /// Tried in this order until one begins to answer.
  std::vector<flight_route> routes;
  shared_list<chat_message> messages;
  /// As in chat_request.
  std::string model;
  std::string parameters;
  bool stream = false;
  /// The longest an answer fetched for nobody in particular (a stale one renewed) may take; what a
  /// caller waits for has the caller's deadline.
  std::uint32_t deadline_ms = 120'000;
  /// The cache has a part in it; else all below is without meaning.
  bool cached = false;
  cache_key key;
  /// A cache_mode.
  std::uint8_t cache = 0;
  std::uint32_t cache_max_age_s = 0;
  /// How long the answer stays fresh; 0: as the cache's config says.
  std::uint32_t ttl_ms = 0;
  /// Larger answers are not stored.
  std::uint64_t value_max = 0;
  std::uint64_t group = 0;
  semantic_wish semantic;
  /// As in chat_request.
  shared_list<native_request> native{};
  SKEP_MESSAGE(0x0501, 4, agent, routes, messages, model, parameters, stream, deadline_ms, cached,
               key, cache, cache_max_age_s, ttl_ms, value_max, group, semantic, native)
};

/// To the node that leads: replays the answer from its beginning and follows it, as a stream or,
/// when the leader asked for no stream, whole. Errors: errc::not_found when it does not lead that
/// flight (any more): look the key up again; otherwise what the leader's call failed with.
struct flight_join_request {
  cache_key key;
  std::uint64_t lease = 0;
  SKEP_MESSAGE(0x0502, 1, key, lease)
};

} // namespace skep::msg
