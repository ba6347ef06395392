#pragma once

#include "runtime/base/timer_wheel.hpp"
#include "runtime/flow/rng.hpp"
#include "runtime/store/response_store.hpp"

#include <optional>
#include <string>
#include <unordered_map>

namespace skep::actors {

/// The right to produce a key's value.
struct cache_lease {
  /// Never 0; random, so that no other node or earlier life of this one gave the same.
  std::uint64_t id = 0;
  /// The node of the caller that won it.
  std::string leader;
  time_point ends{};
};

/// What a lease table did.
struct lease_stats {
  std::uint64_t granted = 0;
  /// Callers told that another one has the lease.
  std::uint64_t waited = 0;
  /// Leases whose holder a caller found gone.
  std::uint64_t lost = 0;
  /// Leases that ended by themselves.
  std::uint64_t expired = 0;
  /// Leases not granted because there were too many.
  std::uint64_t refused = 0;
};

/// Who produces which value: the leases of one shard, as memcached's meta protocol grants them
/// (W to the first caller that misses, Z to the others). At most one lease per key at any time; it
/// ends with its value's arrival, when it is given back or reported lost, or by itself. All
/// operations are O(1). Pure: time is passed in. Not thread-safe.
class lease_table {
public:
  /// `seed` must differ between tables: ids are drawn from it.
  lease_table(std::size_t leases_max, std::uint64_t seed, time_point now);

  /// What acquire() decided.
  struct outcome {
    /// The caller's own new lease when `won`, else the present one; null when there is none and no
    /// room for one. Valid until the table changes.
    const cache_lease* lease = nullptr;
    bool won = false;
  };

  /// Gives the caller on `node` the key's lease for `span` unless another one has it; one that the
  /// caller `lost` (its id; 0: none) is no obstacle.
  outcome acquire(const store::key128& key, const std::string& node, duration span,
                  std::uint64_t lost, time_point now);
  /// The key's present lease.
  const cache_lease* find(const store::key128& key, time_point now) const;
  /// Gives a lease back; false when it is not the key's.
  bool release(const store::key128& key, std::uint64_t id);
  /// The key has a value: nobody needs to produce one any more.
  void end(const store::key128& key);
  /// Frees leases that have ended by themselves.
  void expire(time_point now);

  std::size_t size() const {
    return leases_.size();
  }
  const lease_stats& stats() const {
    return stats_;
  }

private:
  struct entry {
    cache_lease lease;
    timer_id timer = 0;
  };
  using table = std::unordered_map<store::key128, entry, store::key128_hash>;

  void remove(table::iterator at);
  std::uint64_t draw();

  const std::size_t leases_max_;
  flow::rng random_;
  timer_wheel<store::key128> wheel_;
  table leases_;
  lease_stats stats_;
};

} // namespace skep::actors
