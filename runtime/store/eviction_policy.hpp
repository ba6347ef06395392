#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace skep::store {

/// Names an entry of a store's slab.
using slot = std::uint32_t;
inline constexpr slot no_slot = 0xffff'ffff;

/// Decides which entry goes when room is needed. The store tells it what happens; it keeps its own
/// links per slot, so that nothing is allocated per operation. Not thread-safe.
class eviction_policy {
public:
  virtual ~eviction_policy() = default;

  /// `fingerprint` stands for the entry's key in what the policy remembers of evicted ones.
  virtual void inserted(slot entry, std::uint64_t fingerprint) = 0;
  virtual void touched(slot entry) = 0;
  /// The entry is gone for another reason than victim().
  virtual void erased(slot entry) = 0;
  /// Chooses an entry and forgets it; no_slot when there is none.
  virtual slot victim() = 0;
  virtual void clear() = 0;
  /// Bytes the policy itself keeps per entry, for the store's books.
  virtual std::size_t bytes_per_entry() const = 0;
};

enum class policy_kind : std::uint8_t { s3_fifo, lru };

/// S3-FIFO (Yang et al., SOSP 2023): a small queue for newcomers (10 %), a main queue with two-bit
/// counters, and a ghost queue of fingerprints (as many as 90 % of the entries) that lets what was
/// missed come back to main. A hit costs one counter, no list move.
std::unique_ptr<eviction_policy> make_s3_fifo();
/// Least recently used, O(1).
std::unique_ptr<eviction_policy> make_lru();
std::unique_ptr<eviction_policy> make_policy(policy_kind kind);

} // namespace skep::store
