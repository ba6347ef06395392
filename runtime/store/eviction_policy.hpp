#pragma once

#include "runtime/store/slot_index.hpp"

#include <cstdint>
#include <memory>

namespace skep::store {

/// What a policy is told of an entry.
struct newcomer {
  /// Stands for the entry's key in what the policy remembers of evicted ones.
  std::uint64_t fingerprint = 0;
  /// Memory it takes; above zero.
  std::size_t bytes = 1;
  /// What producing it again would cost, in any one unit; 0: unknown.
  std::uint64_t cost = 0;
  /// It takes the place of an entry with the same key, so it was asked for before.
  bool again = false;
};

/// Decides which entry goes when room is needed. The store tells it what happens; it keeps its own
/// links per slot, so that nothing is allocated per operation. Not thread-safe.
class eviction_policy {
public:
  virtual ~eviction_policy() = default;

  /// Makes place for the slots below `slots`, which only grows. The others' entries are below it.
  virtual void reserve(std::size_t slots) = 0;
  virtual void inserted(slot entry, const newcomer& facts) = 0;
  virtual void touched(slot entry) = 0;
  /// The entry is gone for another reason than victim().
  virtual void erased(slot entry) = 0;
  /// Chooses an entry and forgets it; no_slot when there is none.
  virtual slot victim() = 0;
  virtual void clear() = 0;
  /// Memory of the policy when place was made for so many slots, for the store's books.
  virtual std::size_t bytes(std::size_t slots) const = 0;
};

enum class policy_kind : std::uint8_t { s3_fifo, lru, cost_aware };

/// S3-FIFO (Yang et al., SOSP 2023): a small queue for newcomers (10 %), a main queue with two-bit
/// counters, and a ghost queue of fingerprints (as many as 90 % of the entries) that lets what was
/// missed come back to main. A hit costs one counter, no list move. O(1) amortized.
std::unique_ptr<eviction_policy> make_s3_fifo();
/// Least recently used, O(1).
std::unique_ptr<eviction_policy> make_lru();
/// GreedyDual-Size-Frequency (Cherkasova, HP Labs 1998): the entry goes whose uses times cost per
/// byte, on top of the clock when it was used last, is least; the clock follows what went, so what
/// is not used ages. A cost not known counts as the mean of those known. O(log n).
std::unique_ptr<eviction_policy> make_cost_aware();
std::unique_ptr<eviction_policy> make_policy(policy_kind kind);

} // namespace skep::store
