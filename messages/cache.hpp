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

/// What an entry holds.
enum class cache_kind : std::uint8_t {
  /// A chat_reply.
  answer = 0,
  /// A failure_reply that the same request would meet again (a deterministic 4xx).
  refusal = 1,
};

/// Asks for a value. Without `lease_ms` it is answered by cache_get_reply or errc::cache_miss. With
/// it, as in memcached's meta protocol, a miss is answered, too: one caller wins the right to
/// produce the value, the others are told who does.
struct cache_get_request {
  cache_key key;
  /// Entries older than this are a miss; 0: any age.
  std::uint32_t age_max_s = 0;
  /// Above 0: the caller can produce the value and would be done by then.
  std::uint32_t lease_ms = 0;
  /// With a lease: the node the caller is on.
  std::string node{};
  /// A lease whose holder the caller found gone; void when the key has another one by now.
  std::uint64_t lost_lease = 0;
  /// What the entry belongs to (group_of() an agent's name); 0: nothing.
  std::uint64_t group = 0;
  SKEP_MESSAGE(0x0201, 2, key, age_max_s, lease_ms, node, lost_lease, group)
};

/// What a caller with a lease is to do.
enum class cache_turn : std::uint8_t {
  /// Nothing: here is the value.
  none = 0,
  /// Produce the value: store it under `lease`, or give the lease back. There may be a value to
  /// serve meanwhile (stale, or soon so).
  won = 1,
  /// `leader` produces it under `lease`; there may be a stale value to serve meanwhile.
  wait = 2,
};

/// What is stored under the key.
struct cache_get_reply {
  std::string value;
  std::uint32_t age_s = 0;
  /// How long it stays fresh; 0 for a stale one.
  std::uint32_t ttl_s = 0;
  /// A cache_kind.
  std::uint8_t kind = 0;
  /// There is a value (an empty one is none).
  bool found = true;
  bool stale = false;
  /// A cache_turn.
  std::uint8_t turn = 0;
  std::uint64_t lease = 0;
  std::string leader{};
  /// As it was put: so that who keeps a copy can clear it by group and knows what it is worth.
  std::uint64_t group = 0;
  std::uint64_t cost = 0;
  SKEP_MESSAGE(0x0202, 2, value, age_s, ttl_s, kind, found, stale, turn, lease, leader, group, cost)
};

/// Stores the value and ends the key's lease; nobody waits. A value over the shard's bounds is
/// refused and counted.
struct cache_put_request {
  cache_key key;
  std::string value;
  /// How long the value stays fresh; 0: as the shard's config says.
  std::uint32_t ttl_ms = 0;
  /// The number of the view the writer routed by; a node of a newer view refuses. 0: no cluster.
  std::uint64_t view = 0;
  std::uint64_t group = 0;
  /// A cache_kind.
  std::uint8_t kind = 0;
  /// What producing it again would cost, in any one unit (tokens by their price); 0: unknown.
  std::uint64_t cost = 0;
  SKEP_MESSAGE(0x0203, 3, key, value, ttl_ms, view, group, kind, cost)
};

/// Gives a lease back without a value; nobody waits. A lease that is not the key's is left alone.
struct cache_release_request {
  cache_key key;
  std::uint64_t lease = 0;
  SKEP_MESSAGE(0x0206, 1, key, lease)
};

/// Forgets everything when `all` is set, else what belongs to `group` when that is not 0, else one
/// key. Answered by ack.
struct cache_clear_request {
  bool all = false;
  cache_key key;
  std::uint64_t group = 0;
  SKEP_MESSAGE(0x0204, 2, all, key, group)
};

/// An entry as one node hands it to another.
struct cache_entry {
  cache_key key;
  std::string value;
  std::uint32_t age_ms = 0;
  /// How long it stays fresh.
  std::uint32_t left_ms = 0;
  std::uint64_t group = 0;
  /// A cache_kind.
  std::uint8_t kind = 0;
  std::uint64_t cost = 0;
  SKEP_RECORD(key, value, age_ms, left_ms, group, kind, cost)
};

/// Entries of slots that got another owner, handed to it. Answered by ack; entries the receiver has
/// already are left as they are. Errors: errc::unavailable when the receiver's view is another one.
struct cache_fill_request {
  std::uint64_t view = 0;
  std::vector<cache_entry> entries;
  SKEP_MESSAGE(0x0205, 2, view, entries)
};

} // namespace skep::msg
