#include "runtime/store/response_store.hpp"
#include "runtime/store/value_codec.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <random>

using namespace skep;
using namespace skep::store;

namespace {

const time_point start{std::chrono::hours{1}};

key128 key(std::uint64_t n) {
  return {n * 0x9e37'79b9'7f4a'7c15ull, n};
}

/// What the store must do, as plainly as it can be said; what was evicted is learnt from it.
class model {
public:
  struct entry {
    std::string value;
    value_facts facts;
    time_point put{};
  };

  explicit model(duration stale) : stale_(stale) {}

  void put(std::uint64_t n, std::string value, const value_facts& facts, time_point now) {
    if (facts.ttl > 0s)
      entries_[n] = {std::move(value), facts, now};
  }
  void erase(std::uint64_t n) {
    entries_.erase(n);
  }
  std::size_t erase_group(std::uint64_t group) {
    return group == 0 ? 0 : std::erase_if(entries_, [&](const auto& each) {
      return each.second.facts.group == group;
    });
  }
  void clear() {
    entries_.clear();
  }
  void expire(time_point now) {
    std::erase_if(entries_, [&](const auto& each) { return ended(each.second, now); });
  }
  const entry* find(std::uint64_t n, time_point now) const {
    const auto known = entries_.find(n);
    return known == entries_.end() || ended(known->second, now) ? nullptr : &known->second;
  }
  const std::map<std::uint64_t, entry>& entries() const {
    return entries_;
  }

private:
  bool ended(const entry& e, time_point now) const {
    return now >= e.put + e.facts.ttl + stale_;
  }

  duration stale_;
  std::map<std::uint64_t, entry> entries_;
};

void check_same(const response_store::found& got, const model::entry& wanted, time_point now,
                double refresh_ahead) {
  REQUIRE(*got.value == wanted.value);
  REQUIRE(got.age == now - wanted.put + wanted.facts.age);
  const auto left = std::max<duration>(0s, wanted.put + wanted.facts.ttl - now);
  REQUIRE(got.left == left);
  REQUIRE(got.stale == (left == 0s));
  const auto ahead = duration{
    static_cast<duration::rep>(static_cast<double>(wanted.facts.ttl.count()) * refresh_ahead)};
  REQUIRE(got.due == (left == 0s || (refresh_ahead > 0 && left <= ahead)));
  REQUIRE(got.group == wanted.facts.group);
  REQUIRE(got.kind == wanted.facts.kind);
  REQUIRE(got.cost == wanted.facts.cost);
}

/// One store against its model, some thousand steps of one seed.
class trial {
public:
  trial(store_config config, std::uint64_t seed)
    : store_(config, start), model_(config.stale), random_(seed) {}

  void step() {
    const auto n = random_() % 60;
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
      case 3: put(n); break;
      case 4:
        model_.erase(n);
        store_.erase(key(n));
        break;
      case 5:
      case 6: now_ += std::chrono::milliseconds{random_() % 200}; break;
      case 7: store_.expire(now_); break;
      case 8: rare(); break;
      case 9: look(n, store_.peek(key(n), now_)); break;
      default: get(n);
    }
    const auto stats = store_.stats();
    REQUIRE(stats.entries <= store_.config().entries_max);
    REQUIRE(stats.bytes <= store_.config().bytes_max);
    if (!bounded())
      REQUIRE(stats.evicted == 0);
  }

  /// Everything the model knows is there unless something was evicted; and nothing else is.
  void compare() {
    for (std::uint64_t n = 0; n < 60; ++n)
      look(n, store_.peek(key(n), now_));
    model_.expire(now_);
    const auto at_most = model_.entries().size();
    // The wheel frees up to a tick late: what has ended by now is gone after the tick, what ends in
    // it may be.
    now_ += 100ms;
    store_.expire(now_);
    model_.expire(now_);
    REQUIRE(store_.stats().entries <= at_most);
    if (!bounded())
      REQUIRE(store_.stats().entries >= model_.entries().size());
    REQUIRE(store_.keys([](const auto&) { return true; }).size() == store_.stats().entries);
  }

  store_stats stats() const {
    return store_.stats();
  }

private:
  bool bounded() const {
    return store_.config().entries_max < 60 || store_.config().bytes_max < (std::size_t{1} << 20);
  }

  void put(std::uint64_t n) {
    value_facts facts;
    facts.ttl = std::chrono::milliseconds{random_() % 4000};
    facts.age = std::chrono::milliseconds{random_() % 3 == 0 ? random_() % 1000 : 0};
    facts.group = random_() % 5;
    facts.kind = static_cast<std::uint8_t>(random_() % 2);
    facts.cost = random_() % 1000;
    auto value = std::to_string(random_()) + std::string(random_() % 1500, 'x');
    const bool stored = store_.put(key(n), value, facts, now_);
    REQUIRE(stored == (facts.ttl > 0s));
    model_.put(n, std::move(value), facts, now_);
  }

  void get(std::uint64_t n) {
    const auto before = store_.stats();
    const auto age_max = std::chrono::milliseconds{random_() % 4 == 0 ? 1 + random_() % 2000 : 0};
    const auto got = store_.get(key(n), now_, age_max);
    const auto after = store_.stats();
    REQUIRE(after.hits - before.hits == (got ? 1 : 0));
    REQUIRE(after.misses - before.misses == (got ? 0 : 1));
    const auto* wanted = model_.find(n, now_);
    const bool young
      = wanted && (age_max == 0ms || now_ - wanted->put + wanted->facts.age <= age_max);
    if (wanted && !young)
      REQUIRE(!got);
    else
      look(n, got);
  }

  void look(std::uint64_t n, const std::optional<response_store::found>& got) {
    const auto* wanted = model_.find(n, now_);
    if (got) {
      REQUIRE(wanted);
      check_same(*got, *wanted, now_, store_.config().refresh_ahead);
    } else if (wanted) {
      REQUIRE(bounded());
      model_.erase(n); // Evicted.
    }
  }

  void rare() {
    if (random_() % 40 == 0) {
      store_.clear();
      model_.clear();
      REQUIRE(store_.stats().entries == 0);
    } else if (random_() % 10 == 0) {
      const auto group = random_() % 5;
      model_.expire(now_);
      store_.expire(now_);
      const auto gone = store_.erase_group(group);
      const auto wanted = model_.erase_group(group);
      if (group == 0)
        REQUIRE(gone == 0);
      // Entries whose end is less than a tick ago may still be in the store.
      REQUIRE(store_.erase_group(group) == 0);
      if (!bounded())
        REQUIRE(gone >= wanted);
    }
  }

  response_store store_;
  model model_;
  std::mt19937_64 random_;
  time_point now_ = start;
};

} // namespace

TEST_CASE("the store does what its model does", "[store][model]") {
  const auto policy = GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware);
  const bool bounded = GENERATE(false, true);
  const auto stale = GENERATE(duration{}, duration{1500ms});
  const bool compressed = GENERATE(false, true);
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(static_cast<int>(policy), bounded, compressed, seed);
    store_config config;
    config.policy = policy;
    config.stale = stale;
    config.refresh_ahead = seed % 2 == 0 ? 0.25 : 0;
    if (bounded) {
      config.entries_max = 12;
      config.bytes_max = 10'000;
    }
    if (compressed)
      config.codec = std::make_shared<value_codec>();
    trial run{config, seed};
    for (int n = 0; n < 5000; ++n) {
      run.step();
      if (n % 500 == 499)
        run.compare();
    }
    CHECK(run.stats().hits > 100);
    CHECK((run.stats().evicted > 100) == bounded);
    CHECK((run.stats().stale > 0) == (stale > 0s));
  }
}
