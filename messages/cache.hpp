#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>

// Tags 0x02xx: the response cache.
namespace skep::msg {

/// A canonical request's 128-bit hash.
struct cache_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  SKEP_RECORD(high, low)
};

/// Answered by cache_get_reply, or errc::cache_miss.
struct cache_get_request {
  cache_key key;
  /// Entries older than this are a miss; 0: any age.
  std::uint32_t age_max_s = 0;
  SKEP_MESSAGE(0x0201, 1, key, age_max_s)
};

/// What is stored under the key.
struct cache_get_reply {
  std::string value;
  std::uint32_t age_s = 0;
  std::uint32_t ttl_s = 0;
  SKEP_MESSAGE(0x0202, 1, value, age_s, ttl_s)
};

/// Stores the value; nobody waits. A value over the shard's bounds is refused and counted.
struct cache_put_request {
  cache_key key;
  std::string value;
  /// How long the value stays fresh; 0: as the shard's config says.
  std::uint32_t ttl_ms = 0;
  SKEP_MESSAGE(0x0203, 1, key, value, ttl_ms)
};

/// Forgets one key, or everything when `all` is set. Answered by ack.
struct cache_clear_request {
  bool all = false;
  cache_key key;
  SKEP_MESSAGE(0x0204, 1, all, key)
};

} // namespace skep::msg
