#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/timer_wheel.hpp"
#include "runtime/store/eviction_policy.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::store {

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
};

/// What a store did and holds.
struct store_stats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;
  std::uint64_t refused = 0;
  std::size_t entries = 0;
  std::size_t bytes = 0;
};

/// Values under 128-bit keys, bounded in bytes and entries, each with an end to its freshness.
/// Bytes count the value and what the store keeps around it. get, put and erase are O(1). Pure:
/// time is passed in. Not thread-safe.
class response_store {
public:
  using value_ptr = std::shared_ptr<const std::string>;

  struct found {
    value_ptr value;
    duration age{};
    /// Time it stays fresh.
    duration left{};
  };

  response_store(store_config config, time_point now);

  /// The value, when it is there, fresh, and (if `age_max` is above zero) no older than that.
  std::optional<found> get(const key128& key, time_point now, duration age_max = {});
  /// Stores or replaces; false when the value is too large for the store's bounds or `ttl` is zero.
  /// `age`: how old the value is already, when it comes from elsewhere.
  bool put(const key128& key, std::string value, duration ttl, time_point now, duration age = {});
  /// The value as get() finds it, without being counted or taken for a use: for copying entries.
  std::optional<found> peek(const key128& key, time_point now) const;
  /// The keys that `wanted` chooses, in no order; O(entries).
  std::vector<key128> keys(const std::function<bool(const key128&)>& wanted) const;
  bool erase(const key128& key);
  void clear();
  /// Forgets what is no longer fresh.
  void expire(time_point now);

  store_stats stats() const;
  const store_config& config() const {
    return config_;
  }
  /// What an entry costs beyond its value's bytes.
  std::size_t overhead() const;

private:
  struct entry {
    key128 key;
    value_ptr value;
    time_point stored{};
    time_point expires{};
    timer_id timer = 0;
  };

  void remove(slot at);
  void make_room(std::size_t bytes);
  std::size_t cost(const std::string& value) const {
    return value.capacity() + overhead();
  }

  store_config config_;
  std::unique_ptr<eviction_policy> policy_;
  timer_wheel<slot> wheel_;
  std::unordered_map<key128, slot, key128_hash> index_;
  std::vector<entry> entries_;
  std::vector<slot> free_;
  store_stats stats_;
};

} // namespace skep::store
