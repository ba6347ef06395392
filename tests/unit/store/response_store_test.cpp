#include "runtime/store/response_store.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

using namespace skep;
using namespace skep::store;

namespace {

const time_point start{std::chrono::hours{1}};

key128 key(std::uint64_t n) {
  return {n * 0x9e37'79b9'7f4a'7c15ull, n};
}

response_store small_store(policy_kind policy, std::size_t entries) {
  store_config config;
  config.entries_max = entries;
  config.policy = policy;
  return response_store{config, start};
}

bool ask_and_fill(response_store& store, std::uint64_t n) {
  if (store.get(key(n), start))
    return true;
  store.put(key(n), "v", {1h}, start);
  return false;
}

/// Zipf by inverse transform over a precomputed table.
class zipf {
public:
  zipf(std::size_t n, double s) {
    double sum = 0;
    for (std::size_t k = 1; k <= n; ++k)
      table_.push_back(sum += 1 / std::pow(static_cast<double>(k), s));
  }
  std::uint64_t operator()(std::mt19937_64& random) const {
    const auto u = std::uniform_real_distribution<>{0, table_.back()}(random);
    return static_cast<std::uint64_t>(std::lower_bound(table_.begin(), table_.end(), u)
                                      - table_.begin());
  }

private:
  std::vector<double> table_;
};

double hit_ratio(policy_kind policy, bool with_scans) {
  auto store = small_store(policy, 500);
  std::mt19937_64 random{11};
  const zipf popular{10'000, 0.9};
  std::uint64_t scan = 1'000'000;
  int hits = 0;
  constexpr int asked = 200'000;
  for (int n = 0; n < asked; ++n) {
    if (with_scans && n % 2000 == 0)
      for (int s = 0; s < 500; ++s)
        ask_and_fill(store, ++scan);
    hits += ask_and_fill(store, popular(random)) ? 1 : 0;
  }
  return static_cast<double>(hits) / asked;
}

} // namespace

TEST_CASE("a value is there until its time is up", "[store]") {
  auto store
    = small_store(GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware), 100);
  CHECK(store.put(key(1), "one", {10s}, start));
  const auto found = store.get(key(1), start + 4s);
  REQUIRE(found);
  CHECK(*found->value == "one");
  CHECK(found->age == 4s);
  CHECK(found->left == 6s);
  CHECK(!store.get(key(1), start + 10s));
  CHECK(store.stats().entries == 0);
}

TEST_CASE("a caller may ask for something younger", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  store.put(key(1), "one", {10s}, start);
  CHECK(!store.get(key(1), start + 4s, 3s));
  CHECK(store.get(key(1), start + 4s, 5s));
}

TEST_CASE("what is replaced is accounted once", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  store.put(key(1), std::string(1000, 'a'), {10s}, start);
  store.put(key(1), std::string(2000, 'b'), {10s}, start);
  CHECK(store.stats().entries == 1);
  const auto two_thousand = store.stats().bytes;
  store.put(key(1), std::string(1000, 'c'), {10s}, start);
  CHECK(store.stats().bytes == two_thousand - heap_bytes(2001) + heap_bytes(1001));
  store.erase(key(1));
  store.put(key(2), std::string(2000, 'b'), {10s}, start);
  CHECK(store.stats().bytes == two_thousand);
}

TEST_CASE("values over a bound are refused and counted", "[store]") {
  store_config config;
  config.value_bytes_max = 100;
  response_store store{config, start};
  CHECK(!store.put(key(1), std::string(101, 'x'), {10s}, start));
  CHECK(!store.put(key(1), "x", {0s}, start));
  CHECK(store.stats().refused == 2);
  CHECK(store.stats().entries == 0);
}

TEST_CASE("expire frees what nobody asks for", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  for (std::uint64_t n = 0; n < 50; ++n)
    store.put(key(n), "v", {1s * (1 + n % 2)}, start);
  store.expire(start + 1500ms);
  CHECK(store.stats().entries == 25);
  store.expire(start + 3s);
  CHECK(store.stats().entries == 0);
  CHECK(store.stats().expired == 50);
}

TEST_CASE("lru lets the least recently used go", "[store]") {
  auto store = small_store(policy_kind::lru, 3);
  for (std::uint64_t n = 1; n <= 3; ++n)
    store.put(key(n), "v", {1h}, start);
  store.get(key(1), start);
  store.put(key(4), "v", {1h}, start);
  CHECK(store.get(key(1), start));
  CHECK(!store.get(key(2), start));
}

TEST_CASE("what s3-fifo evicted and misses again goes to main at once", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 20);
  store.put(key(1), "v", {1h}, start);
  for (std::uint64_t n = 100; n < 120; ++n)
    store.put(key(n), "v", {1h}, start); // The first of these push 1 out of the small queue.
  REQUIRE(!store.get(key(1), start));
  store.put(key(1), "v", {1h}, start);
  for (std::uint64_t n = 200; n < 230; ++n)
    store.put(key(n), "v", {1h}, start); // A scan that would flush a plain FIFO.
  CHECK(store.get(key(1), start));
}

TEST_CASE("s3-fifo keeps more of what is popular than lru, above all under scans", "[store]") {
  CHECK(hit_ratio(policy_kind::s3_fifo, false) > hit_ratio(policy_kind::lru, false));
  CHECK(hit_ratio(policy_kind::s3_fifo, true) > hit_ratio(policy_kind::lru, true) + 0.03);
}

TEST_CASE("a value that comes from elsewhere keeps its age", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  CHECK(store.put(key(1), "one", {10s, 5s}, start));
  const auto found = store.get(key(1), start + 2s);
  REQUIRE(found);
  CHECK(found->age == 7s);
  CHECK(found->left == 8s);
  CHECK(!store.get(key(1), start + 2s, 6s));
  CHECK(!store.get(key(1), start + 10s));
}

TEST_CASE("a peek finds what a get finds and leaves no trace", "[store]") {
  auto store = small_store(policy_kind::lru, 2);
  store.put(key(1), "one", {10s}, start);
  store.put(key(2), "two", {10s}, start);
  const auto found = store.peek(key(1), start + 4s);
  REQUIRE(found);
  CHECK(*found->value == "one");
  CHECK(found->age == 4s);
  CHECK(found->left == 6s);
  CHECK(!store.peek(key(1), start + 10s));
  CHECK(!store.peek(key(3), start));
  CHECK(store.stats().hits == 0);
  CHECK(store.stats().misses == 0);
  store.put(key(3), "three", {10s}, start); // The first is still the least recently used.
  CHECK(!store.peek(key(1), start));
}

TEST_CASE("keys are chosen by what they are", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  for (std::uint64_t n = 0; n < 10; ++n)
    store.put(key(n), "v", {10s}, start);
  auto even = store.keys([](const key128& k) { return k.low % 2 == 0; });
  std::sort(even.begin(), even.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  REQUIRE(even.size() == 5);
  for (std::uint64_t n = 0; n < 5; ++n)
    CHECK(even[n] == key(2 * n));
}

TEST_CASE("a stale value is served until its stale time is over", "[store][stale]") {
  store_config config;
  config.stale = 5s;
  response_store store{config, start};
  store.put(key(1), "one", {10s}, start);
  const auto fresh = store.get(key(1), start + 9s);
  REQUIRE(fresh);
  CHECK(!fresh->stale);
  CHECK(!fresh->due);
  const auto stale = store.get(key(1), start + 14s);
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(stale->due);
  CHECK(stale->left == 0s);
  CHECK(stale->age == 14s);
  CHECK(store.stats().stale == 1);
  CHECK(!store.get(key(1), start + 14s, 13s)); // Stale or not, it is too old.
  store.expire(start + 14s);
  CHECK(store.peek(key(1), start + 14s)->stale);
  CHECK(!store.peek(key(1), start + 15s));
  CHECK(!store.get(key(1), start + 15s));
  CHECK(store.stats().expired == 1);
}

TEST_CASE("an entry is due in the last share of its freshness", "[store][stale]") {
  store_config config;
  config.refresh_ahead = 0.2;
  response_store store{config, start};
  store.put(key(1), "one", {10s, 100s}, start); // How old it is does not matter.
  CHECK(!store.get(key(1), start + 7999ms)->due);
  CHECK(store.get(key(1), start + 8s)->due);
  CHECK(!store.get(key(1), start + 8s)->stale);
}

TEST_CASE("jitter shortens a ttl, spreads the ends, and is the same every time",
          "[store][jitter]") {
  store_config config;
  config.ttl_jitter = 0.2;
  config.refresh_ahead = 0.5;
  response_store one{config, start};
  response_store other{config, start};
  std::array<int, 10> ends{};
  for (std::uint64_t n = 0; n < 2000; ++n) {
    one.put(key(n), "v", {100s}, start);
    other.put(key(n), "v", {100s}, start);
    const auto left = one.get(key(n), start)->left;
    CHECK(left == other.get(key(n), start)->left);
    REQUIRE(left <= 100s);
    REQUIRE(left >= 80s);
    CHECK(one.get(key(n), start + left / 2 + 1ns)->due);
    CHECK(!one.get(key(n), start + left / 2 - 1ns)->due);
    ++ends[std::min<std::size_t>(9, static_cast<std::size_t>((left - 80s) / 2s))];
  }
  for (const auto count : ends)
    CHECK(count > 140); // 200 are expected in each tenth, give or take 4 deviations of 13.
  one.put(key(1), "v", {100s}, start + 1s);
  CHECK(one.get(key(1), start + 1s)->left != other.get(key(1), start)->left);
}

TEST_CASE("what is replaced leaves nothing to its successor", "[store]") {
  store_config config;
  config.stale = 1h;
  response_store store{config, start};
  store.put(key(1), "one", {10s, 3s, 7, 1, 500}, start);
  store.put(key(1), "two", {20s}, start + 1s);
  const auto found = store.get(key(1), start + 2s);
  REQUIRE(found);
  CHECK(*found->value == "two");
  CHECK(found->age == 1s);
  CHECK(found->left == 19s);
  CHECK(found->group == 0);
  CHECK(found->kind == 0);
  CHECK(found->cost == 0);
  CHECK(store.erase_group(7) == 0);
  store.expire(start + 11s); // The old end.
  CHECK(store.peek(key(1), start + 11s));
}

TEST_CASE("clear gives everything back, and the store works on", "[store]") {
  auto store
    = small_store(GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware), 100);
  for (std::uint64_t n = 0; n < 300; ++n)
    store.put(key(n), "v", {10s}, start + 1s);
  CHECK(store.stats().bytes > 0);
  store.clear();
  CHECK(store.stats().entries == 0);
  CHECK(store.stats().bytes == 0);
  CHECK(!store.get(key(299), start + 1s));
  for (std::uint64_t n = 0; n < 300; ++n)
    store.put(key(n), "v", {10s}, start + 2s);
  CHECK(store.stats().entries == 100);
  store.expire(start + 13s);
  CHECK(store.stats().entries == 0);
}

TEST_CASE("entries with a mark are counted while they are there", "[store]") {
  auto store
    = small_store(GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware), 100);
  const auto marked = [&](std::uint64_t n, std::uint8_t kind) {
    store.put(key(n), "v", {10s, {}, 0, kind}, start);
    return store.stats().marked;
  };
  CHECK(marked(1, 1) == 1);
  CHECK(marked(2, 0) == 1);
  CHECK(marked(3, 2) == 2);
  CHECK(marked(1, 0) == 1); // Replaced.
  store.erase(key(3));
  CHECK(store.stats().marked == 0);
  for (std::uint64_t n = 0; n < 300; ++n)
    marked(n, 1);
  CHECK(store.stats().marked == 100); // The others made room.
  store.clear();
  CHECK(store.stats().marked == 0);
  CHECK(marked(1, 1) == 1);
  store.expire(start + 11s);
  CHECK(store.stats().marked == 0);
}

TEST_CASE("a group is forgotten together", "[store][group]") {
  auto store = small_store(GENERATE(policy_kind::s3_fifo, policy_kind::lru), 100);
  for (std::uint64_t n = 0; n < 30; ++n)
    store.put(key(n), "v", {10s, {}, n % 3}, start);
  CHECK(store.erase_group(0) == 0); // Those belong to nothing.
  CHECK(store.erase_group(2) == 10);
  CHECK(store.erase_group(2) == 0);
  CHECK(store.stats().entries == 20);
  for (std::uint64_t n = 0; n < 30; ++n)
    CHECK(store.get(key(n), start).has_value() == (n % 3 != 2));
  CHECK(store.get(key(1), start)->group == 1);
}

TEST_CASE("the cost-aware policy lets go of what is cheap to make again", "[store][cost]") {
  auto store = small_store(policy_kind::cost_aware, 3);
  store.put(key(1), "v", {1h, {}, 0, 0, 1000}, start);
  store.put(key(2), "v", {1h, {}, 0, 0, 10}, start);
  store.put(key(3), "v", {1h, {}, 0, 0, 1000}, start);
  store.put(key(4), "v", {1h, {}, 0, 0, 1000}, start);
  CHECK(!store.get(key(2), start));
  CHECK(store.get(key(1), start));
}
