#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <vector>

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
  /// The number of the view the writer routed by; a node of a newer view refuses. 0: no cluster.
  std::uint64_t view = 0;
  SKEP_MESSAGE(0x0203, 2, key, value, ttl_ms, view)
};

/// Forgets one key, or everything when `all` is set. Answered by ack.
struct cache_clear_request {
  bool all = false;
  cache_key key;
  SKEP_MESSAGE(0x0204, 1, all, key)
};

/// An entry as one node hands it to another.
struct cache_entry {
  cache_key key;
  std::string value;
  std::uint32_t age_ms = 0;
  std::uint32_t left_ms = 0;
  SKEP_RECORD(key, value, age_ms, left_ms)
};

/// Entries of slots that got another owner, handed to it. Answered by ack; entries the receiver has
/// already are left as they are. Errors: errc::unavailable when the receiver's view is another one.
struct cache_fill_request {
  std::uint64_t view = 0;
  std::vector<cache_entry> entries;
  SKEP_MESSAGE(0x0205, 1, view, entries)
};

} // namespace skep::msg
