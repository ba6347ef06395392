#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/store/eviction_policy.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace skep::store {

class value_codec;

/// A 128-bit hash that stands for a request.
struct key128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const key128&, const key128&) = default;
};

struct key128_hash {
  std::size_t operator()(const key128& key) const noexcept {
    return key.low ^ (key.high * 0x9e37'79b9'7f4a'7c15ull);
  }
};

/// Bounds of one store.
struct store_config {
  std::size_t bytes_max = std::size_t{64} << 20;
  std::size_t entries_max = 1'000'000;
  /// Larger values are refused.
  std::size_t value_bytes_max = std::size_t{1} << 20;
  policy_kind policy = policy_kind::s3_fifo;
  /// Freshness ends up to this share of the TTL earlier, drawn per entry, so that what was stored
  /// together does not end together; 0 to 0.5.
  double ttl_jitter = 0;
  /// How long an entry may still be served after its freshness has ended; zero: not at all.
  duration stale{};
  /// An entry found in this last share of its freshness is due to be renewed; 0: never.
  double refresh_ahead = 0;
  /// Compresses larger values; null: they are kept as they are.
  std::shared_ptr<const value_codec> codec;
};

/// What is known of a value besides itself.
struct value_facts {
  /// How long it stays fresh from now on.
  duration ttl{};
  /// How old it is already, when it comes from elsewhere.
  duration age{};
  /// What it belongs to, for erase_group(); 0: nothing.
  std::uint64_t group = 0;
  /// The owner's own mark.
  std::uint8_t kind = 0;
  /// What producing it again would cost, in any one unit; 0: unknown.
  std::uint64_t cost = 0;
};

/// What a store did and holds.
struct store_stats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;
  std::uint64_t refused = 0;
  /// Of the hits: those no longer fresh.
  std::uint64_t stale = 0;
  /// Entries that could not be decompressed: misses, and gone.
  std::uint64_t unreadable = 0;
  /// Bytes of the values that were compressed, before and after.
  std::uint64_t plain_bytes = 0;
  std::uint64_t packed_bytes = 0;
  std::size_t entries = 0;
  /// Of the entries: those whose kind is not 0.
  std::size_t marked = 0;
  /// Memory taken: the values, and the tables in their present size, filled or not.
  std::size_t bytes = 0;
};

} // namespace skep::store
