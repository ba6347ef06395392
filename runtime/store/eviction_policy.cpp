#include "runtime/store/eviction_policy.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <utility>
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

  void reserve(std::size_t slots) {
    resize_exactly(links_, slots);
  }

  static constexpr std::size_t bytes(std::size_t slots) {
    return heap_bytes(slots * sizeof(link));
  }

  void push(queue& to, slot entry) {
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

// -- LRU ------------------------------------------------------------------------------------------

class lru final : public eviction_policy {
public:
  void reserve(std::size_t slots) override {
    links_.reserve(slots);
  }
  void inserted(slot entry, const newcomer&) override {
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
  std::size_t bytes(std::size_t slots) const override {
    return slot_links::bytes(slots);
  }

private:
  slot_links links_;
  slot_links::queue queue_;
};

// -- S3-FIFO --------------------------------------------------------------------------------------

/// The fingerprints of what was evicted lately, in a ring: each has one place, and a fingerprint
/// that is taken or added again leaves its old place empty, so that the old place cannot age out
/// the new one.
class ghost_queue {
public:
  void reserve(std::size_t places) {
    std::vector<std::uint64_t> grown;
    grown.reserve(places);
    for (std::size_t n = 0; n < ring_.size(); ++n)
      grown.push_back(ring_[(next_ + n) % ring_.size()]); // Oldest first.
    next_ = grown.size() % places;
    grown.resize(places);
    ring_ = std::move(grown);
    index_ = {};
    index_.reserve(places);
    for (std::size_t n = 0; n < places; ++n)
      if (ring_[n] != none)
        index_.insert(ring_[n], static_cast<slot>(n));
  }

  static constexpr std::size_t bytes(std::size_t places) {
    return heap_bytes(places * sizeof(std::uint64_t)) + slot_index::bytes(places);
  }

  /// The newest `remembered` places count.
  void add(std::uint64_t fingerprint, std::size_t remembered) {
    remembered_ = remembered;
    fingerprint = named(fingerprint);
    forget(find(fingerprint));
    const auto at = static_cast<slot>(next_);
    forget(at);
    ring_[at] = fingerprint;
    index_.insert(fingerprint, at);
    next_ = (next_ + 1) % ring_.size();
  }

  /// Was it there? It is forgotten either way.
  bool take(std::uint64_t fingerprint) {
    const auto at = find(named(fingerprint));
    if (at == no_slot)
      return false;
    const auto age = (next_ + ring_.size() - 1 - at) % ring_.size();
    forget(at);
    return age < remembered_;
  }

  void clear() {
    std::fill(ring_.begin(), ring_.end(), none);
    index_.clear();
  }

private:
  static constexpr std::uint64_t none = 0;

  static std::uint64_t named(std::uint64_t fingerprint) {
    return fingerprint == none ? 1 : fingerprint;
  }
  slot find(std::uint64_t fingerprint) const {
    return index_.find(fingerprint, [&](slot at) { return ring_[at] == fingerprint; });
  }
  void forget(slot at) {
    if (at == no_slot || ring_[at] == none)
      return;
    index_.erase(at);
    ring_[at] = none;
  }

  std::vector<std::uint64_t> ring_;
  std::size_t next_ = 0;
  std::size_t remembered_ = 0;
  slot_index index_;
};

class s3_fifo final : public eviction_policy {
public:
  void reserve(std::size_t slots) override {
    links_.reserve(slots);
    resize_exactly(nodes_, slots);
    ghosts_.reserve(ghosts_for(slots));
  }
  void inserted(slot entry, const newcomer& facts) override {
    const bool missed = ghosts_.take(facts.fingerprint);
    nodes_[entry] = {facts.fingerprint, 0, missed || facts.again};
    links_.push(nodes_[entry].in_main ? main_ : small_, entry);
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
  std::size_t bytes(std::size_t slots) const override {
    return slot_links::bytes(slots) + heap_bytes(slots * sizeof(node))
           + ghost_queue::bytes(ghosts_for(slots));
  }

private:
  static constexpr int hits_max = 3; // Two bits.
  // Uses that take a newcomer to main. The authors have 2, and 1 for some workloads. Measured with
  // `./dev bench replay`, 1 is better by 0.08 points in the mean of six: at 4,000 entries 62.80
  // against 62.42 % (web07) and 80.59 against 80.31 % (web12), at 1,000 worse, 68.77 against
  // 69.07 % (web12; published: 68.8 to 69.1). Whether the small queue gives way at 10 % of the
  // entries or only above changes no figure by more than 0.01.
  static constexpr int hits_promote = 1;
  static constexpr std::size_t small_share = 10; // One in ten entries.

  struct node {
    std::uint64_t fingerprint = 0;
    std::uint8_t hits = 0;
    bool in_main = false;
  };

  static constexpr std::size_t ghosts_for(std::size_t entries) {
    return std::max<std::size_t>(16, entries * 9 / 10);
  }

  /// The oldest newcomer: promoted when it was asked for, else it goes.
  slot from_small() {
    const auto oldest = small_.tail;
    auto& last = nodes_[oldest];
    const auto remembered = ghosts_for(small_.size + main_.size);
    links_.remove(small_, oldest);
    if (last.hits >= hits_promote) {
      last.hits = 0;
      last.in_main = true;
      links_.push(main_, oldest);
      return no_slot;
    }
    ghosts_.add(last.fingerprint, remembered);
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

// -- GreedyDual-Size-Frequency --------------------------------------------------------------------

class cost_aware final : public eviction_policy {
public:
  void reserve(std::size_t slots) override {
    resize_exactly(nodes_, slots);
    heap_.reserve(slots);
  }

  void inserted(slot entry, const newcomer& facts) override {
    if (facts.cost > 0) {
      ++known_;
      mean_ += (static_cast<double>(facts.cost) - mean_) / static_cast<double>(known_);
    }
    const auto cost = facts.cost > 0 ? static_cast<double>(facts.cost) : mean_;
    auto& added = nodes_[entry];
    added.worth = cost / static_cast<double>(facts.bytes);
    added.uses = facts.again ? 2 : 1;
    added.place = static_cast<std::uint32_t>(heap_.size());
    heap_.push_back(entry);
    rank(added);
    up(added.place);
  }

  void touched(slot entry) override {
    auto& used = nodes_[entry];
    if (used.uses < uses_max)
      ++used.uses;
    rank(used);
    down(used.place);
  }

  void erased(slot entry) override {
    const auto hole = nodes_[entry].place;
    const auto last = heap_.back();
    heap_.pop_back();
    if (last == entry)
      return;
    put(hole, last);
    up(hole);
    down(nodes_[last].place);
  }

  slot victim() override {
    if (heap_.empty())
      return no_slot;
    const auto least = heap_.front();
    clock_ = nodes_[least].priority;
    erased(least);
    return least;
  }

  void clear() override {
    heap_.clear();
    clock_ = 0;
  }

  std::size_t bytes(std::size_t slots) const override {
    return heap_bytes(slots * sizeof(node)) + heap_bytes(slots * sizeof(slot));
  }

private:
  static constexpr std::uint32_t uses_max = 1u << 20;

  struct node {
    double priority = 0;
    double worth = 0; // Cost per byte.
    std::uint64_t turn = 0;
    std::uint32_t uses = 0;
    std::uint32_t place = 0; // In the heap.
  };

  void rank(node& ranked) {
    ranked.priority = clock_ + ranked.uses * ranked.worth;
    ranked.turn = ++turn_;
  }

  /// Among equals the least recently used goes first.
  bool before(slot a, slot b) const {
    const auto& x = nodes_[a];
    const auto& y = nodes_[b];
    return x.priority != y.priority ? x.priority < y.priority : x.turn < y.turn;
  }

  void put(std::uint32_t place, slot entry) {
    heap_[place] = entry;
    nodes_[entry].place = place;
  }

  void up(std::uint32_t place) {
    const auto entry = heap_[place];
    while (place > 0 && before(entry, heap_[(place - 1) / 2])) {
      put(place, heap_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, entry);
  }

  void down(std::uint32_t place) {
    const auto entry = heap_[place];
    for (auto child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
      if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child]))
        ++child;
      if (!before(heap_[child], entry))
        break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, entry);
  }

  std::vector<slot> heap_;
  std::vector<node> nodes_;
  double clock_ = 0;
  double mean_ = 1; // Of the costs known; until then every entry costs the same.
  std::uint64_t known_ = 0;
  std::uint64_t turn_ = 0;
};

} // namespace

std::unique_ptr<eviction_policy> make_s3_fifo() {
  return std::make_unique<s3_fifo>();
}

std::unique_ptr<eviction_policy> make_lru() {
  return std::make_unique<lru>();
}

std::unique_ptr<eviction_policy> make_cost_aware() {
  return std::make_unique<cost_aware>();
}

std::unique_ptr<eviction_policy> make_policy(policy_kind kind) {
  switch (kind) {
    case policy_kind::s3_fifo: return make_s3_fifo();
    case policy_kind::lru: return make_lru();
    case policy_kind::cost_aware: return make_cost_aware();
  }
  SKEP_ASSERT(!"a policy nobody knows");
  return nullptr;
}

} // namespace skep::store
