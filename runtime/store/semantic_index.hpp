#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/store/semantic_guard.hpp"
#include "runtime/store/semantic_threshold.hpp"
#include "runtime/store/semantic_vector.hpp"
#include "runtime/store/store_types.hpp"

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace skep::store {

/// Bounds of one index.
struct index_config {
  std::size_t entries_max = 100'000;
  /// One scan looks at no more than these.
  std::size_t partition_entries_max = 10'000;
  std::size_t bytes_max = std::size_t{64} << 20;
  /// Revoked keys that are remembered; the oldest is forgotten first.
  std::size_t revoked_max = 10'000;
  /// Candidates a find shows to the guard, best first.
  std::size_t guard_checks_max = 8;
  duration ttl = 24h;
};

/// What an index did and holds.
struct index_stats {
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;
  std::uint64_t refused = 0;
  /// Candidates that were similar enough and that the guard turned down.
  std::uint64_t guarded = 0;
  std::size_t entries = 0;
  std::size_t partitions = 0;
  std::size_t bytes = 0;
};

/// Texts as vectors under the keys of their answers, by partition. A find scans its partition
/// exactly, best first until the guard agrees. Bounded in entries per partition and in all and in
/// bytes; the least recently used make room. Pure: time is passed in. Not thread-safe.
class semantic_index {
public:
  explicit semantic_index(index_config config);
  ~semantic_index();
  semantic_index(const semantic_index&) = delete;
  semantic_index& operator=(const semantic_index&) = delete;

  struct found {
    key128 key;
    /// The cosine of the two texts in thousandths, rounded down.
    std::uint32_t similarity = 0;
  };

  /// The most similar text of at least `similarity_min` (in thousandths) the guard agrees with.
  std::optional<found> find(const key128& partition, const byte_vector& vector,
                            const guard_signature& guard, guard_rule rule,
                            std::uint32_t similarity_min, time_point now);

  /// Remembers a text under its answer's key, or starts its time to live again. False when it is
  /// refused: the key was revoked, or the vector has none or another number of dimensions.
  bool learn(const key128& partition, const key128& key, byte_vector vector, guard_signature guard,
             time_point now);

  /// What comparisons said about the entry; null when there is none.
  similarity_record* record_of(const key128& key);
  /// Forgets the entry and refuses its key from now on.
  void revoke(const key128& key);
  bool revoked(const key128& key) const {
    return revoked_.contains(key);
  }
  /// Forgets what is too old, in all partitions.
  void expire(time_point now);

  const index_stats& stats() const {
    return stats_;
  }

private:
  struct region;
  struct entry {
    key128 key;
    region* home = nullptr;
    std::size_t row = 0;
    guard_signature guard;
    similarity_record record;
    time_point expires_at{};
    std::size_t bytes = 0;
  };
  using entry_list = std::list<entry>;
  using place = entry_list::iterator;
  // The rows of one partition, side by side.
  struct region {
    key128 key;
    std::vector<std::int8_t> values;
    std::vector<float> inverse_lengths;
    std::vector<place> rows;
  };
  struct scored {
    float cosine = 0;
    std::size_t row = 0;
  };

  void scan(const region& in, const byte_vector& vector, float at_least);
  void erase(place what);
  void make_room(const region& in);
  place oldest_of(const region& in) const;

  index_config config_;
  // Bytes of one vector; 0 until the first one came.
  std::size_t stride_ = 0;
  entry_list entries_; // The most recently used first.
  std::unordered_map<key128, place, key128_hash> by_key_;
  std::unordered_map<key128, std::unique_ptr<region>, key128_hash> partitions_;
  std::unordered_set<key128, key128_hash> revoked_;
  std::deque<key128> revoked_order_;
  std::vector<scored> scores_; // Kept between finds, so that a scan allocates nothing.
  index_stats stats_;
};

} // namespace skep::store
