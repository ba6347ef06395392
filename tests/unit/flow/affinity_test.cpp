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

TEST_CASE("workers that cannot be used count as if they were not there", "[flow][affinity]") {
  workers all{4};
  const auto all_but_two = [](std::uint32_t slot) { return slot < 2; };
  std::vector<std::uint32_t> homes;
  for (std::uint64_t key = 0; key < 200; ++key)
    homes.push_back(all.home_of(key));
  for (std::uint64_t key = 0; key < 200; ++key) {
    const auto taken = all.sticky.take_usable(key, all_but_two);
    REQUIRE(taken);
    CHECK(taken->slot < 2);
    CHECK(taken->first);
    if (homes[key] < 2)
      CHECK(taken->slot == homes[key]);
    all.slots.release(taken->slot);
  }
  // Two take the whole load, so the bound follows from their mean, not from that of four.
  for (int n = 0; n < 100; ++n)
    REQUIRE(all.sticky.take_usable(7, all_but_two));
  CHECK(all.slots.slot(0).inflight + all.slots.slot(1).inflight == 100);
  CHECK(std::max(all.slots.slot(0).inflight.load(), all.slots.slot(1).inflight.load()) <= 63);
  CHECK_FALSE(all.sticky.take_usable(7, [](std::uint32_t) { return false; }));
}

TEST_CASE("affinity says when a key had to spill over", "[flow][affinity]") {
  workers all{2};
  const auto any = [](std::uint32_t) { return true; };
  int first = 0;
  for (int n = 0; n < 40; ++n)
    first += all.sticky.take_usable(9, any)->first ? 1 : 0;
  // Five of eight stay: 1.25 times the mean of two.
  CHECK(first == Approx(25).margin(1));
}
