#include "runtime/store/eviction_policy.hpp"
#include "tests/support/catch.hpp"

#include <random>
#include <set>

using namespace skep::store;

TEST_CASE("every policy gives up each entry once, and only entries it has", "[store][policy]") {
  const auto kind = GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(static_cast<int>(kind), seed);
    const auto policy = make_policy(kind);
    std::mt19937_64 random{seed};
    std::set<slot> in;
    std::size_t slots = 4;
    policy->reserve(slots);
    for (int step = 0; step < 20'000; ++step) {
      const auto at = static_cast<slot>(random() % slots);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
        case 3:
          if (in.insert(at).second)
            policy->inserted(
              at, {random() % 300, 1 + random() % 5000, random() % 3 * 700, random() % 10 == 0});
          else
            policy->touched(at);
          break;
        case 4:
          if (in.erase(at) == 1)
            policy->erased(at);
          break;
        case 5:
          if (const auto gone = policy->victim(); gone != no_slot)
            REQUIRE(in.erase(gone) == 1);
          else
            REQUIRE(in.empty());
          break;
        case 6:
          if (random() % 200 == 0 && slots < 500)
            policy->reserve(slots += 1 + slots / 4);
          break;
        default:
          if (random() % 1000 == 0) {
            policy->clear();
            in.clear();
          }
      }
    }
    while (!in.empty())
      REQUIRE(in.erase(policy->victim()) == 1);
    REQUIRE(policy->victim() == no_slot);
  }
}

namespace {

/// A full policy of so many slots: an insertion takes the place of a victim.
class driven {
public:
  driven(std::unique_ptr<eviction_policy> policy, std::size_t slots)
    : policy_(std::move(policy)), keys_(slots) {
    policy_->reserve(slots);
  }
  /// The key that went, or 0.
  std::uint64_t insert(std::uint64_t key, std::uint64_t cost = 0, std::size_t bytes = 100) {
    std::uint64_t gone = 0;
    auto at = static_cast<slot>(used_);
    if (used_ < keys_.size()) {
      ++used_;
    } else {
      at = policy_->victim();
      gone = keys_[at];
    }
    keys_[at] = key;
    policy_->inserted(at, {key, bytes, cost, false});
    return gone;
  }
  void touch(std::uint64_t key) {
    for (slot at = 0; at < used_; ++at)
      if (keys_[at] == key)
        policy_->touched(at);
  }
  bool has(std::uint64_t key) const {
    return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
  }

private:
  std::unique_ptr<eviction_policy> policy_;
  std::vector<std::uint64_t> keys_;
  std::size_t used_ = 0;
};

} // namespace

TEST_CASE("an old ghost does not age out a new one of the same key", "[store][policy]") {
  // 20 entries, 18 ghosts. A newcomer that is asked for pushes out the oldest of main, which leaves
  // no ghost; one that is not becomes a ghost itself.
  driven cache{make_s3_fifo(), 20};
  std::uint64_t next = 1000;
  const auto newcomers = [&](int count, bool asked_for) {
    for (int n = 0; n < count; ++n) {
      cache.insert(++next);
      if (asked_for)
        cache.touch(next);
    }
  };
  newcomers(60, true);
  cache.insert(1);
  newcomers(3, false);
  REQUIRE(!cache.has(1)); // Its first ghost.
  cache.insert(1);
  newcomers(40, true);
  REQUIRE(!cache.has(1)); // It came back, to main, and has left that.
  cache.insert(1);
  newcomers(3, false);
  REQUIRE(!cache.has(1)); // Its second ghost.
  newcomers(13, false);   // By now the first would have aged out, the second has not.
  cache.insert(1);
  newcomers(60, false);
  CHECK(cache.has(1)); // It is in main again, where newcomers nobody asks for do not push.
}

TEST_CASE("the cost-aware policy keeps what is worth most per byte", "[store][policy][cost]") {
  driven cache{make_cost_aware(), 3};
  cache.insert(1, 1000, 100);
  cache.insert(2, 1000, 10'000); // As dear, a hundred times as large.
  cache.insert(3, 1000, 100);
  CHECK(cache.insert(4, 1000, 100) == 2);
  cache.touch(1);
  CHECK(cache.insert(5, 1000, 100) == 3); // The least recently used among equals.
}

TEST_CASE("what the cost-aware policy kept for its worth ages", "[store][policy][cost]") {
  driven cache{make_cost_aware(), 10};
  cache.insert(1, 50'000, 100);
  std::uint64_t next = 100;
  int turns = 0;
  while (cache.has(1) && turns < 5000) {
    cache.insert(++next, 1000, 100);
    ++turns;
  }
  // The clock rises by 10 with every nine evictions; 50 times the worth lasts 50 rounds.
  CHECK(turns > 300);
  CHECK(turns < 700);
}

TEST_CASE("an unknown cost counts as the mean of those known", "[store][policy][cost]") {
  driven cache{make_cost_aware(), 3};
  cache.insert(1, 1500, 100);
  cache.insert(2, 500, 100);
  cache.insert(3, 0, 100); // Counts as 1000.
  CHECK(cache.insert(4, 2000, 100) == 2);
  CHECK(cache.insert(5, 2000, 100) == 3);
}
