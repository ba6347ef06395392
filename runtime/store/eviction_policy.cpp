#include "runtime/store/eviction_policy.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

namespace skep::store {

namespace {

/// Doubly linked queues over slots, the links in one array.
class slot_links {
public:
  struct queue {
    slot head = no_slot; // Newest.
    slot tail = no_slot; // Oldest.
    std::size_t size = 0;
  };

  void push(queue& to, slot entry) {
    if (entry >= links_.size())
      links_.resize(std::size_t{entry} + 1);
    links_[entry] = {no_slot, to.head};
    if (to.head != no_slot)
      links_[to.head].newer = entry;
    else
      to.tail = entry;
    to.head = entry;
    ++to.size;
  }

  void remove(queue& from, slot entry) {
    const auto [newer, older] = links_[entry];
    (newer != no_slot ? links_[newer].older : from.head) = older;
    (older != no_slot ? links_[older].newer : from.tail) = newer;
    --from.size;
  }

private:
  struct link {
    slot newer = no_slot;
    slot older = no_slot;
  };
  std::vector<link> links_;
};

class lru final : public eviction_policy {
public:
  void inserted(slot entry, std::uint64_t) override {
    links_.push(queue_, entry);
  }
  void touched(slot entry) override {
    links_.remove(queue_, entry);
    links_.push(queue_, entry);
  }
  void erased(slot entry) override {
    links_.remove(queue_, entry);
  }
  slot victim() override {
    const auto oldest = queue_.tail;
    if (oldest != no_slot)
      links_.remove(queue_, oldest);
    return oldest;
  }
  void clear() override {
    queue_ = {};
  }
  std::size_t bytes_per_entry() const override {
    return 8;
  }

private:
  slot_links links_;
  slot_links::queue queue_;
};

/// The fingerprints of what was evicted lately.
class ghost_queue {
public:
  void add(std::uint64_t fingerprint, std::size_t entries_max) {
    order_.push_back(fingerprint);
    ++known_[fingerprint];
    while (order_.size() > entries_max)
      drop_oldest();
  }
  /// Was it there? It is forgotten either way; its place in the order ages out by itself.
  bool take(std::uint64_t fingerprint) {
    return known_.erase(fingerprint) != 0;
  }
  void clear() {
    order_.clear();
    known_.clear();
  }

private:
  void drop_oldest() {
    const auto oldest = known_.find(order_.front());
    if (oldest != known_.end() && --oldest->second == 0)
      known_.erase(oldest);
    order_.pop_front();
  }

  std::deque<std::uint64_t> order_;
  std::unordered_map<std::uint64_t, std::uint32_t> known_;
};

class s3_fifo final : public eviction_policy {
public:
  void inserted(slot entry, std::uint64_t fingerprint) override {
    if (entry >= nodes_.size())
      nodes_.resize(std::size_t{entry} + 1);
    auto& added = nodes_[entry];
    added = {fingerprint, 0, ghosts_.take(fingerprint)};
    links_.push(added.in_main ? main_ : small_, entry);
  }
  void touched(slot entry) override {
    nodes_[entry].hits = static_cast<std::uint8_t>(std::min(hits_max, nodes_[entry].hits + 1));
  }
  void erased(slot entry) override {
    links_.remove(nodes_[entry].in_main ? main_ : small_, entry);
  }

  slot victim() override {
    while (small_.size + main_.size > 0) {
      const auto chosen = small_.size * small_share >= small_.size + main_.size || main_.size == 0
                            ? from_small()
                            : from_main();
      if (chosen != no_slot)
        return chosen;
    }
    return no_slot;
  }

  void clear() override {
    small_ = {};
    main_ = {};
    ghosts_.clear();
  }
  std::size_t bytes_per_entry() const override {
    // Links and node, and 90 % of a ghost (8 bytes in the order, a map node of about 40).
    return 8 + sizeof(node) + 44;
  }

private:
  static constexpr int hits_max = 3;             // Two bits.
  static constexpr std::size_t small_share = 10; // One in ten entries.

  struct node {
    std::uint64_t fingerprint = 0;
    std::uint8_t hits = 0;
    bool in_main = false;
  };

  /// The oldest newcomer: promoted when it was asked for, else it goes.
  slot from_small() {
    const auto oldest = small_.tail;
    auto& last = nodes_[oldest];
    links_.remove(small_, oldest);
    if (last.hits > 0) {
      last.hits = 0;
      last.in_main = true;
      links_.push(main_, oldest);
      return no_slot;
    }
    ghosts_.add(last.fingerprint, std::max<std::size_t>(16, (small_.size + main_.size) * 9 / 10));
    return oldest;
  }

  /// The oldest of main: gets another round for every hit it had.
  slot from_main() {
    const auto oldest = main_.tail;
    auto& last = nodes_[oldest];
    links_.remove(main_, oldest);
    if (last.hits == 0)
      return oldest;
    --last.hits;
    links_.push(main_, oldest);
    return no_slot;
  }

  slot_links links_;
  slot_links::queue small_;
  slot_links::queue main_;
  ghost_queue ghosts_;
  std::vector<node> nodes_;
};

} // namespace

std::unique_ptr<eviction_policy> make_s3_fifo() {
  return std::make_unique<s3_fifo>();
}

std::unique_ptr<eviction_policy> make_lru() {
  return std::make_unique<lru>();
}

std::unique_ptr<eviction_policy> make_policy(policy_kind kind) {
  switch (kind) {
    case policy_kind::s3_fifo: return make_s3_fifo();
    case policy_kind::lru: return make_lru();
  }
  SKEP_ASSERT(!"a policy nobody knows");
  return nullptr;
}

} // namespace skep::store
