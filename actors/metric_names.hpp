#pragma once

#include "messages/errc.hpp"
#include "runtime/telemetry/metric_info.hpp"

#include <string_view>

// The metrics that one kind of actor exports and another one reads.
namespace skep::actors::metric {

using telemetry::metric_info;

// -- pools of agents ------------------------------------------------------------------------------

inline constexpr metric_info pool_size{"skep_pool_size", "Instances, idle or at work.", "agent"};
inline constexpr metric_info pool_idle{"skep_pool_idle", "Instances waiting for a call.", "agent"};
inline constexpr metric_info pool_busy_peak{
  "skep_pool_busy_peak", "The most instances at work at once in the last five minutes.", "agent"};
inline constexpr metric_info pool_size_max{"skep_pool_size_max", "Instances there may be at once.",
                                           "agent"};
inline constexpr metric_info pool_idle_min{
  "skep_pool_idle_min", "Idle instances kept however long nobody asks.", "agent"};
inline constexpr metric_info pool_idle_ttl{
  "skep_pool_idle_ttl_seconds", "After this time an instance above idle_min is ended.", "agent"};
inline constexpr metric_info pool_checkouts{"skep_pool_checkouts_total",
                                            "Calls given to an instance.", "agent"};
inline constexpr metric_info pool_refused{
  "skep_pool_refused_total", "Calls refused because size_max instances were at work.", "agent"};
inline constexpr metric_info pool_spawned{"skep_pool_spawned_total", "Instances started.", "agent"};
inline constexpr metric_info pool_evicted{
  "skep_pool_evicted_total", "Instances ended because they were idle too long.", "agent"};
inline constexpr metric_info pool_discarded{
  "skep_pool_discarded_total", "Instances ended because a call failed in them.", "agent"};

// -- providers ------------------------------------------------------------------------------------

inline constexpr metric_info provider_in_flight{"skep_provider_in_flight", "Calls at work.",
                                                "provider"};
inline constexpr metric_info provider_requests{"skep_provider_requests_total",
                                               "Calls by how they ended.", "provider"};
/// The second label of provider_requests; its values are outcome_word()'s.
inline constexpr const char* provider_outcome = "outcome";

inline std::string_view outcome_word(errc how) {
  return how == errc::none ? std::string_view{"ok"} : to_string(how);
}

// -- clients --------------------------------------------------------------------------------------

inline constexpr metric_info http_active{"skep_http_active", "Requests between arrival and end."};
/// The values of its label are cache_word()'s.
inline constexpr metric_info gateway_cache{"skep_gateway_cache_total",
                                           "Chat answers by what the cache did.", "result"};

// -- the response cache ---------------------------------------------------------------------------

inline constexpr metric_info cache_entries{"skep_cache_entries", "Answers held.", "shard"};
inline constexpr metric_info cache_refusals{
  "skep_cache_refusals", "Of the answers held: refusals, which providers would repeat.", "shard"};
inline constexpr metric_info cache_bytes{"skep_cache_bytes", "Bytes held, overhead included.",
                                         "shard"};
inline constexpr metric_info cache_leases{"skep_cache_leases",
                                          "Answers being produced under a lease.", "shard"};
inline constexpr metric_info cache_stored{"skep_cache_stored_total", "Answers kept.", "shard"};
inline constexpr metric_info cache_evicted{"skep_cache_evicted_total", "Answers that made room.",
                                           "shard"};
inline constexpr metric_info cache_expired{"skep_cache_expired_total", "Answers no longer fresh.",
                                           "shard"};
inline constexpr metric_info cache_refused{"skep_cache_refused_total",
                                           "Answers too large for the cache's bounds.", "shard"};
inline constexpr metric_info cache_plain_bytes{
  "skep_cache_plain_bytes_total", "Bytes of the answers that were compressed, before.", "shard"};
inline constexpr metric_info cache_packed_bytes{
  "skep_cache_packed_bytes_total", "Bytes of the answers that were compressed, after.", "shard"};

inline constexpr metric_info redis_hits{"skep_redis_hits_total", "Lookups that Redis answered."};
inline constexpr metric_info redis_misses{"skep_redis_misses_total",
                                          "Lookups that Redis had no fresh answer for."};
inline constexpr metric_info redis_stored{"skep_redis_stored_total", "Answers written to Redis."};
inline constexpr metric_info redis_failed{
  "skep_redis_failed_total", "What Redis was asked for and did not do, for whatever reason."};

} // namespace skep::actors::metric
