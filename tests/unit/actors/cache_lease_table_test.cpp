#include "actors/cache/lease_table.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <set>

using namespace skep;
using namespace skep::actors;

namespace {

const time_point start{std::chrono::hours{1}};
const store::key128 one{1, 1};
const store::key128 two{2, 2};

struct table : lease_table {
  explicit table(std::size_t leases_max = 100, std::uint64_t seed = 7)
    : lease_table(leases_max, seed, start) {}
};

} // namespace

TEST_CASE("the first caller wins the lease, later ones learn who has it",
          "[actors][cache][lease]") {
  table leases;
  const auto first = leases.acquire(one, "a", 10s, 0, start);
  REQUIRE(first.won);
  const auto id = first.lease->id;
  CHECK(id != 0);
  CHECK(first.lease->leader == "a");
  const auto second = leases.acquire(one, "b", 99s, 0, start + 1s);
  CHECK(!second.won);
  REQUIRE(second.lease != nullptr);
  CHECK(second.lease->id == id);
  CHECK(second.lease->leader == "a");
  CHECK(leases.acquire(two, "b", 10s, 0, start).won);
  CHECK(leases.size() == 2);
  CHECK(leases.stats().granted == 2);
  CHECK(leases.stats().waited == 1);
}

TEST_CASE("a lease ends with its value, by release and by itself", "[actors][cache][lease]") {
  table leases;
  const auto id = leases.acquire(one, "a", 10s, 0, start).lease->id;
  SECTION("a value") {
    leases.end(one);
  }
  SECTION("given back") {
    CHECK(!leases.release(one, id + 1));
    CHECK(!leases.release(two, id));
    CHECK(leases.find(one, start) != nullptr);
    CHECK(leases.release(one, id));
    CHECK(!leases.release(one, id));
  }
  SECTION("its time") {
    CHECK(leases.find(one, start + 10s - 1ns) != nullptr);
    CHECK(leases.find(one, start + 10s) == nullptr);
    const auto next = leases.acquire(one, "b", 10s, 0, start + 10s);
    CHECK(next.won);
    CHECK(next.lease->id != id);
    CHECK(leases.stats().expired == 1);
    return;
  }
  CHECK(leases.find(one, start) == nullptr);
  CHECK(leases.size() == 0);
  CHECK(leases.stats().expired == 0);
  CHECK(leases.acquire(one, "b", 10s, 0, start).lease->id != id);
}

TEST_CASE("a caller that lost its leader takes over once", "[actors][cache][lease]") {
  table leases;
  const auto lost = leases.acquire(one, "a", 10s, 0, start).lease->id;
  const auto heir = leases.acquire(one, "b", 10s, lost, start);
  REQUIRE(heir.won);
  const auto id = heir.lease->id;
  CHECK(id != lost);
  // The next one that tells of the same loss finds the heir.
  const auto late = leases.acquire(one, "c", 10s, lost, start);
  CHECK(!late.won);
  CHECK(late.lease->id == id);
  CHECK(late.lease->leader == "b");
  CHECK(leases.stats().lost == 1);
  CHECK(!leases.release(one, lost));
}

TEST_CASE("beyond the bound there is no lease until one ends", "[actors][cache][lease]") {
  table leases{2};
  CHECK(leases.acquire({1, 0}, "a", 1s, 0, start).won);
  CHECK(leases.acquire({2, 0}, "a", 10s, 0, start).won);
  const auto none = leases.acquire({3, 0}, "a", 10s, 0, start);
  CHECK(!none.won);
  CHECK(none.lease == nullptr);
  CHECK(leases.stats().refused == 1);
  CHECK(!leases.acquire({2, 0}, "a", 10s, 0, start).won); // There still is the one to wait for.
  CHECK(leases.acquire({3, 0}, "a", 10s, 0, start + 1100ms).won);
  CHECK(leases.stats().expired == 1);
  CHECK(leases.size() == 2);
}

TEST_CASE("ids of two tables differ", "[actors][cache][lease]") {
  table here{1000, 1};
  table there{1000, 2};
  std::set<std::uint64_t> ids;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    ids.insert(here.acquire({n, 0}, "a", 1s, 0, start).lease->id);
    ids.insert(there.acquire({n, 0}, "a", 1s, 0, start).lease->id);
  }
  CHECK(ids.size() == 2000);
}

TEST_CASE("random calls do what a simple model of leases does", "[actors][cache][lease]") {
  const auto seed = GENERATE(range(1u, 51u));
  INFO("seed=" << seed);
  flow::rng random{seed};
  // Room for every key, so that the wheel's coarser end of a lease never matters.
  constexpr std::uint32_t keys = 20;
  table leases{keys, seed};
  struct held {
    std::uint64_t id = 0;
    std::string leader;
    time_point ends{};
  };
  std::map<std::uint32_t, held> model;
  std::set<std::uint64_t> ids;
  auto now = start;
  for (int step = 0; step < 2000; ++step) {
    now += std::chrono::milliseconds{random.below(200)};
    const auto n = random.below(keys);
    const store::key128 key{n, n};
    const auto known = model.find(n);
    const bool alive = known != model.end() && known->second.ends > now;
    const auto present = alive ? known->second.id : 0;
    switch (random.below(6)) {
      case 0:
        leases.end(key);
        model.erase(n);
        break;
      case 1:
        // An id of another key, or of another time, must not do.
        if (random.below(2) == 0) {
          CHECK(!leases.release(key, present + 1));
        } else if (alive) {
          CHECK(leases.release(key, present));
          model.erase(n);
        }
        break;
      case 2: leases.expire(now); break;
      default: {
        const auto lost = random.below(4) == 0 ? present : random.below(4) == 0 ? 12345u : 0u;
        const auto node = std::to_string(random.below(3));
        const auto span = std::chrono::milliseconds{1 + random.below(5000)};
        const auto got = leases.acquire(key, node, span, lost, now);
        REQUIRE(got.lease != nullptr);
        REQUIRE(got.won == (!alive || (lost != 0 && lost == present)));
        if (got.won) {
          CHECK(ids.insert(got.lease->id).second);
          model[n] = {got.lease->id, node, now + span};
        }
        CHECK(got.lease->id == model[n].id);
        CHECK(got.lease->leader == model[n].leader);
        CHECK(got.lease->ends == model[n].ends);
      }
    }
    const auto* found = leases.find(key, now);
    const auto expected = model.find(n);
    CHECK((found != nullptr) == (expected != model.end() && expected->second.ends > now));
  }
  const auto& did = leases.stats();
  CHECK(did.granted == ids.size());
  CHECK(did.refused == 0);
  leases.expire(now + 1h);
  CHECK(leases.size() == 0);
}
