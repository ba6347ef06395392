#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/timer_wheel.hpp"
#include "runtime/store/eviction_policy.hpp"
#include "runtime/store/slot_index.hpp"
#include "runtime/store/store_types.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::store {

/// Values under 128-bit keys, bounded in bytes and entries, each with an end to its freshness.
/// Bytes are what the heap gives for the values and for the store's tables, which grow by a quarter
/// and stay until clear() (bench/cache_bench.cpp compares them with resident memory). get and erase
/// are O(1), put is so amortized; the policy may be O(log n). Pure: time is passed in. Not
/// thread-safe.
class response_store {
public:
  using value_ptr = std::shared_ptr<const std::string>;

  struct found {
    value_ptr value;
    duration age{};
    /// Time it stays fresh; zero for a stale one.
    duration left{};
    bool stale = false;
    /// Stale, or in the last share of its freshness: somebody should renew it.
    bool due = false;
    std::uint64_t group = 0;
    std::uint8_t kind = 0;
    std::uint64_t cost = 0;
  };

  response_store(store_config config, time_point now);

  /// The value, when it is there, fresh or in the config's stale time, and (if `age_max` is above
  /// zero) no older than that.
  std::optional<found> get(const key128& key, time_point now, duration age_max = {});
  /// Stores or replaces (nothing of the old entry stays); false when the value is too large for the
  /// store's bounds or its TTL is zero.
  bool put(const key128& key, std::string value, const value_facts& facts, time_point now);
  /// The value as get() finds it, without being counted or taken for a use: for copying entries.
  std::optional<found> peek(const key128& key, time_point now) const;
  /// The keys that `wanted` chooses, in no order; O(entries).
  std::vector<key128> keys(const std::function<bool(const key128&)>& wanted) const;
  bool erase(const key128& key);
  /// Forgets what belongs to a group; the number of entries. O(entries).
  std::size_t erase_group(std::uint64_t group);
  /// Forgets everything and gives the tables back, too.
  void clear();
  /// Forgets what may no longer be served.
  void expire(time_point now);

  store_stats stats() const;
  const store_config& config() const {
    return config_;
  }
  /// What an entry costs beyond its value's bytes, about: block, slot, timer, policy, ghost.
  std::size_t overhead() const;

private:
  struct entry {
    key128 key;
    value_ptr value; // Null in a free slot.
    time_point stored{};
    time_point expires{};
    time_point due{};
    timer_id timer = 0;
    std::uint64_t group = 0;
    std::uint64_t cost = 0;
    std::uint8_t kind = 0;
    bool compressed = false;
  };

  /// When it may no longer be served.
  time_point ends(const entry& e) const {
    return e.expires + config_.stale;
  }
  slot find(const key128& key) const;
  std::optional<found> read(const entry& e, time_point now) const;
  std::optional<found> look_up(const key128& key, time_point now, duration age_max);
  void set_times(entry& added, const value_facts& facts, time_point now) const;
  void insert(entry added, std::size_t bytes, bool again);
  void drop(slot at);
  void remove(slot at);
  void make_room(std::size_t bytes);
  void grow(std::size_t slots);
  std::size_t slots_after(std::size_t slots) const;
  std::size_t table_bytes(std::size_t slots) const;
  std::size_t bytes() const;

  store_config config_;
  std::unique_ptr<eviction_policy> policy_;
  time_point now_; // The latest that a put or expire() was told.
  std::optional<timer_wheel<slot>> wheel_;
  slot_index index_;
  std::vector<entry> entries_;
  std::vector<slot> free_;
  std::size_t slots_ = 0; // The size of the tables.
  std::size_t value_bytes_ = 0;
  store_stats stats_;
};

} // namespace skep::store
