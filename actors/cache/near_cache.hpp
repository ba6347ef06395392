#pragma once

#include "messages/cache.hpp"
#include "runtime/store/response_store.hpp"

#include <optional>

namespace skep::actors {

/// Bounds of a near-cache.
struct near_cache_config {
  /// 0 turns it off.
  std::size_t bytes_max = std::size_t{8} << 20;
  /// How long an answer of another node is served from here; never beyond its own freshness.
  duration ttl = 2s;
};

/// Answers that other nodes own, kept for moments so that hot keys cost no network. What it tells
/// of age and freshness is the entry's own, as if the owner had been asked. Pure: time is passed
/// in. Not thread-safe.
class near_cache {
public:
  near_cache(near_cache_config config, time_point now);

  /// Keeps what an owner answered, or what was just written there. Seconds are all an answer
  /// tells, so one whose freshness ends within a second is not kept; nor is one that says more than
  /// "here is a fresh value", for that was said to one caller.
  void put(const msg::cache_key& key, const msg::cache_get_reply& answer, time_point now);
  /// `age_max_s` as in cache_get_request; an entry that may be older by a fraction is no hit.
  std::optional<msg::cache_get_reply> get(const msg::cache_get_request& request, time_point now);
  void erase(const msg::cache_key& key);
  void clear();
  void expire(time_point now);

  store::store_stats stats() const {
    return store_.stats();
  }

private:
  const near_cache_config config_;
  store::response_store store_;
};

} // namespace skep::actors
