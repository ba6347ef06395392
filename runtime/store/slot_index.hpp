#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace skep::store {

/// Names an entry of a store's slab.
using slot = std::uint32_t;
inline constexpr slot no_slot = 0xffff'ffff;

/// What an allocation of so many bytes takes from the heap: glibc's malloc puts 8 bytes before it,
/// rounds to 16 and takes 32 at least. An estimate elsewhere.
constexpr std::size_t heap_bytes(std::size_t asked) {
  if (asked == 0)
    return 0;
  return std::max<std::size_t>(32, (asked + 8 + 15) / 16 * 16);
}

/// Grows a vector to exactly `size`: what it takes is then known without asking it.
template <class T>
void resize_exactly(std::vector<T>& grown, std::size_t size) {
  grown.reserve(size);
  grown.resize(size);
}

/// Finds slots by hash: buckets of slots chained through one array, so that an entry costs no
/// allocation of its own and the memory follows from the capacity alone. Not thread-safe.
class slot_index {
public:
  /// Makes place for the slots below `slots`; what is in it stays. O(slots).
  void reserve(std::size_t slots) {
    resize_exactly(links_, slots);
    const auto wanted = bucket_count(slots);
    if (wanted <= heads_.size())
      return;
    std::vector<slot> old(wanted, no_slot);
    old.swap(heads_);
    for (auto head : old)
      while (head != no_slot) {
        const auto next = links_[head].next;
        push(head);
        head = next;
      }
  }

  static constexpr std::size_t bytes(std::size_t slots) {
    return heap_bytes(slots * sizeof(link)) + heap_bytes(bucket_count(slots) * sizeof(slot));
  }

  /// The slot under this hash that `same` agrees to; no_slot when there is none.
  template <class F>
  slot find(std::uint64_t hash, F same) const {
    if (heads_.empty())
      return no_slot;
    const auto mark = fold(hash);
    auto at = heads_[mark & (heads_.size() - 1)];
    while (at != no_slot && (links_[at].hash != mark || !same(at)))
      at = links_[at].next;
    return at;
  }

  /// `added` is below what was reserved and not in the index.
  void insert(std::uint64_t hash, slot added) {
    links_[added].hash = fold(hash);
    push(added);
  }

  /// `gone` is in the index.
  void erase(slot gone) {
    auto* at = &heads_[links_[gone].hash & (heads_.size() - 1)];
    while (*at != gone)
      at = &links_[*at].next;
    *at = links_[gone].next;
  }

  void clear() {
    std::fill(heads_.begin(), heads_.end(), no_slot);
  }

private:
  struct link {
    slot next = no_slot;
    std::uint32_t hash = 0;
  };

  static constexpr std::size_t bucket_count(std::size_t slots) {
    return std::bit_ceil(std::max<std::size_t>(slots, 1));
  }

  static std::uint32_t fold(std::uint64_t hash) {
    // Multiplied by the golden ratio's fraction, the top bits depend on all of it.
    return static_cast<std::uint32_t>((hash * 0x9e37'79b9'7f4a'7c15ull) >> 32);
  }

  void push(slot added) {
    auto& head = heads_[links_[added].hash & (heads_.size() - 1)];
    links_[added].next = head;
    head = added;
  }

  std::vector<link> links_;
  std::vector<slot> heads_; // A power of two of them.
};

} // namespace skep::store
