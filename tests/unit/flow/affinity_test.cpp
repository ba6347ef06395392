#include "runtime/flow/affinity.hpp"
#include "runtime/flow/rendezvous.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

using namespace skep::flow;

namespace {

/// A picker of `n` workers with ids 100, 101, ... and room for `inflight_max` calls each.
struct workers {
  picker slots;
  affinity sticky;

  explicit workers(std::uint32_t n, std::uint32_t inflight_max = 1000)
    : slots({.slots_max = 32}), sticky(slots) {
    for (std::uint32_t i = 0; i < n; ++i) {
      auto slot = slots.add(1, inflight_max);
      sticky.set_id(*slot, 100 + *slot);
      slots.enable(*slot, true);
    }
  }

  std::uint32_t home_of(std::uint64_t key) {
    auto slot = sticky.take(key);
    REQUIRE(slot);
    slots.release(*slot);
    return *slot;
  }
};

} // namespace

TEST_CASE("a key keeps its worker while nobody is overloaded", "[flow][affinity]") {
  workers all{10};
  std::map<std::uint32_t, int> keys;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    auto home = all.home_of(key);
    CHECK(all.home_of(key) == home);
    ++keys[home];
  }
  for (std::uint32_t i = 0; i < 10; ++i)
    CHECK(keys[i] == Approx(100).margin(40)); // Four sigma.
}

TEST_CASE("only the keys of a disabled worker move, and they come back", "[flow][affinity]") {
  workers all{10};
  std::vector<std::uint32_t> homes;
  for (std::uint64_t key = 0; key < 500; ++key)
    homes.push_back(all.home_of(key));
  all.slots.enable(4, false);
  for (std::uint64_t key = 0; key < 500; ++key) {
    auto home = all.home_of(key);
    CHECK(home != 4);
    CHECK((home == homes[key] || homes[key] == 4));
  }
  all.slots.enable(4, true);
  for (std::uint64_t key = 0; key < 500; ++key)
    CHECK(all.home_of(key) == homes[key]);
}

TEST_CASE("a hot key spills over and never overloads a worker", "[flow][affinity]") {
  workers all{10};
  for (int i = 1; i <= 2000; ++i) {
    REQUIRE(all.sticky.take(42));
    std::uint32_t fullest = 0;
    for (std::uint32_t w = 0; w < 10; ++w)
      fullest = std::max(fullest, all.slots.slot(w).inflight.load());
    REQUIRE(fullest <= std::ceil(1.25 * i / 10));
  }
}

TEST_CASE("affinity gives nothing when every worker is full or gone", "[flow][affinity]") {
  workers all{2, 1};
  REQUIRE(all.sticky.take(1));
  REQUIRE(all.sticky.take(1));
  CHECK_FALSE(all.sticky.take(1));
  workers none{0};
  CHECK_FALSE(none.sticky.take(1));
}

TEST_CASE("rendezvous scores never change between releases", "[flow][affinity]") {
  // Ownership hangs on these across nodes of different versions.
  CHECK(mix(0, 0) == 0xe220a8397b1dcdafu);
  CHECK(mix(1, 2) == 0x3706970b052f16b1u);
  CHECK(rendezvous_score(1, 2, 2.0) == Approx(2 * rendezvous_score(1, 2, 1.0)));
}
