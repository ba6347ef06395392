#include "runtime/store/response_store.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <list>
#include <map>
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
  store.put(key(n), "v", 1h, start);
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
  auto store = small_store(GENERATE(policy_kind::s3_fifo, policy_kind::lru), 100);
  CHECK(store.put(key(1), "one", 10s, start));
  const auto found = store.get(key(1), start + 4s);
  REQUIRE(found);
  CHECK(*found->value == "one");
  CHECK(found->age == 4s);
  CHECK(found->left == 6s);
  CHECK(!store.get(key(1), start + 10s));
  CHECK(store.stats().entries == 0);
  CHECK(store.stats().bytes == 0);
}

TEST_CASE("a caller may ask for something younger", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  store.put(key(1), "one", 10s, start);
  CHECK(!store.get(key(1), start + 4s, 3s));
  CHECK(store.get(key(1), start + 4s, 5s));
}

TEST_CASE("what is replaced is accounted once", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  store.put(key(1), std::string(1000, 'a'), 10s, start);
  store.put(key(1), std::string(2000, 'b'), 10s, start);
  CHECK(store.stats().entries == 1);
  CHECK(store.stats().bytes == 2000 + store.overhead());
  store.erase(key(1));
  CHECK(store.stats().bytes == 0);
}

TEST_CASE("values over a bound are refused and counted", "[store]") {
  store_config config;
  config.value_bytes_max = 100;
  response_store store{config, start};
  CHECK(!store.put(key(1), std::string(101, 'x'), 10s, start));
  CHECK(!store.put(key(1), "x", 0s, start));
  CHECK(store.stats().refused == 2);
  CHECK(store.stats().entries == 0);
}

TEST_CASE("expire frees what nobody asks for", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  for (std::uint64_t n = 0; n < 50; ++n)
    store.put(key(n), "v", 1s * (1 + n % 2), start);
  store.expire(start + 1500ms);
  CHECK(store.stats().entries == 25);
  store.expire(start + 3s);
  CHECK(store.stats().entries == 0);
  CHECK(store.stats().expired == 50);
}

TEST_CASE("lru lets the least recently used go", "[store]") {
  auto store = small_store(policy_kind::lru, 3);
  for (std::uint64_t n = 1; n <= 3; ++n)
    store.put(key(n), "v", 1h, start);
  store.get(key(1), start);
  store.put(key(4), "v", 1h, start);
  CHECK(store.get(key(1), start));
  CHECK(!store.get(key(2), start));
}

TEST_CASE("what s3-fifo evicted and misses again goes to main at once", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 20);
  store.put(key(1), "v", 1h, start);
  for (std::uint64_t n = 100; n < 120; ++n)
    store.put(key(n), "v", 1h, start); // The first of these push 1 out of the small queue.
  REQUIRE(!store.get(key(1), start));
  store.put(key(1), "v", 1h, start);
  for (std::uint64_t n = 200; n < 230; ++n)
    store.put(key(n), "v", 1h, start); // A scan that would flush a plain FIFO.
  CHECK(store.get(key(1), start));
}

TEST_CASE("s3-fifo keeps more of what is popular than lru, above all under scans", "[store]") {
  CHECK(hit_ratio(policy_kind::s3_fifo, false) > hit_ratio(policy_kind::lru, false));
  CHECK(hit_ratio(policy_kind::s3_fifo, true) > hit_ratio(policy_kind::lru, true) + 0.03);
}

TEST_CASE("the store never lies and never exceeds its bounds", "[store]") {
  const auto policy = GENERATE(policy_kind::s3_fifo, policy_kind::lru);
  store_config config;
  config.policy = policy;
  config.entries_max = 40;
  config.bytes_max = 20'000;
  response_store store{config, start};
  std::map<std::uint64_t, std::pair<std::string, time_point>> model;
  std::mt19937_64 random{99};
  auto now = start;
  for (int step = 0; step < 50'000; ++step) {
    const auto n = random() % 100;
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const auto value = std::to_string(step) + std::string(random() % 800, 'x');
        const auto ttl = std::chrono::milliseconds{random() % 5000};
        if (store.put(key(n), value, ttl, now))
          model[n] = {value, now + ttl};
        break;
      }
      case 3:
        store.erase(key(n));
        model.erase(n);
        break;
      case 4: now += std::chrono::milliseconds{random() % 50}; break;
      case 5:
        if (random() % 500 == 0) {
          store.clear();
          model.clear();
        }
        break;
      default:
        if (const auto found = store.get(key(n), now)) {
          REQUIRE(model.count(n) == 1);
          REQUIRE(*found->value == model[n].first);
          REQUIRE(now < model[n].second);
        }
    }
    REQUIRE(store.stats().entries <= config.entries_max);
    REQUIRE(store.stats().bytes <= config.bytes_max);
  }
  CHECK(store.stats().hits > 1000);
  CHECK(store.stats().evicted > 100);
}

TEST_CASE("a value that comes from elsewhere keeps its age", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  CHECK(store.put(key(1), "one", 10s, start, 5s));
  const auto found = store.get(key(1), start + 2s);
  REQUIRE(found);
  CHECK(found->age == 7s);
  CHECK(found->left == 8s);
  CHECK(!store.get(key(1), start + 2s, 6s));
  CHECK(!store.get(key(1), start + 10s));
}

TEST_CASE("a peek finds what a get finds and leaves no trace", "[store]") {
  auto store = small_store(policy_kind::lru, 2);
  store.put(key(1), "one", 10s, start);
  store.put(key(2), "two", 10s, start);
  const auto found = store.peek(key(1), start + 4s);
  REQUIRE(found);
  CHECK(*found->value == "one");
  CHECK(found->age == 4s);
  CHECK(found->left == 6s);
  CHECK(!store.peek(key(1), start + 10s));
  CHECK(!store.peek(key(3), start));
  CHECK(store.stats().hits == 0);
  CHECK(store.stats().misses == 0);
  store.put(key(3), "three", 10s, start); // The first is still the least recently used.
  CHECK(!store.peek(key(1), start));
}

TEST_CASE("keys are chosen by what they are", "[store]") {
  auto store = small_store(policy_kind::s3_fifo, 100);
  for (std::uint64_t n = 0; n < 10; ++n)
    store.put(key(n), "v", 10s, start);
  auto even = store.keys([](const key128& k) { return k.low % 2 == 0; });
  std::sort(even.begin(), even.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  REQUIRE(even.size() == 5);
  for (std::uint64_t n = 0; n < 5; ++n)
    CHECK(even[n] == key(2 * n));
}
