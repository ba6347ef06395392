#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace skep::flow {

/// A node or worker that can own slots.
struct slot_member {
  std::uint64_t id = 0; ///< Stable over restarts, unique.
  double weight = 1.0;  ///< Share of the slots, above zero.
};

/// Who owns which of the 1,024 logical slots, and who keeps copies: weighted rendezvous, computed
/// once per membership, so that a lookup is O(1). Every node computes the same map from the same
/// members, in whatever order. Immutable once made; any thread may read.
class slot_map {
public:
  static constexpr std::uint32_t slot_count = 1024;
  static constexpr std::uint32_t copies_max = 4;

  /// No members: nobody owns anything.
  slot_map() = default;

  /// `copies` owners per slot, the first the primary; fewer if there are fewer members. At most
  /// copies_max.
  slot_map(std::span<const slot_member> members, std::uint32_t copies);

  /// The slot of a key, from its 64-bit hash.
  static constexpr std::uint32_t slot_of(std::uint64_t key_hash) noexcept {
    return static_cast<std::uint32_t>(key_hash >> 54);
  }

  /// The ids of the slot's owners, best first; empty when there are no members.
  [[nodiscard]] std::span<const std::uint64_t> owners(std::uint32_t slot) const noexcept {
    return {owners_[slot].data(), copies_};
  }

  /// The slots whose primary differs in `next`: what a change of membership moves.
  [[nodiscard]] std::vector<std::uint32_t> moved(const slot_map& next) const;

private:
  std::array<std::array<std::uint64_t, copies_max>, slot_count> owners_{};
  std::uint32_t copies_ = 0;
};

} // namespace skep::flow
