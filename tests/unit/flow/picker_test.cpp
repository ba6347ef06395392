#include "runtime/flow/picker.hpp"
#include "tests/support/catch.hpp"

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

using namespace skep::flow;

namespace {

constexpr std::uint32_t unbounded = 1'000'000'000;

void add_workers(picker& p, const std::vector<std::uint32_t>& weights,
                 std::uint32_t inflight_max = unbounded) {
  for (auto weight : weights) {
    auto slot = p.add(weight, inflight_max);
    REQUIRE(slot);
    p.enable(*slot, true);
  }
}

/// Chi-square of counts against shares by weight.
double chi_square(const std::vector<int>& counts, const std::vector<std::uint32_t>& weights) {
  auto total = std::accumulate(counts.begin(), counts.end(), 0.0);
  auto whole = std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    auto expected = total * weights[i] / whole;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

} // namespace

TEST_CASE("picker shares light traffic by weight", "[flow][picker]") {
  auto seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  std::vector<std::uint32_t> weights{1, 2, 3, 4, 10, 0}; // 0 counts as 1.
  picker p{{.slots_max = 16}};
  add_workers(p, weights);
  weights.back() = 1;
  rng random{seed};
  std::vector<int> counts(weights.size());
  for (int i = 0; i < 100'000; ++i) {
    auto slot = p.take(random);
    REQUIRE(slot);
    ++counts[*slot];
    p.release(*slot);
  }
  CHECK(chi_square(counts, weights) < 20.5); // p = .001 at five degrees of freedom.
}

TEST_CASE("picker shares standing load by weight", "[flow][picker]") {
  std::vector<std::uint32_t> weights{1, 2, 3, 4, 10};
  picker p{{.slots_max = 5}};
  add_workers(p, weights);
  rng random{6};
  for (int i = 0; i < 20'000; ++i)
    REQUIRE(p.take(random));
  for (std::uint32_t i = 0; i < 5; ++i) {
    auto expected = 1000.0 * weights[i];
    CHECK(p.slot(i).inflight.load() == Approx(expected).margin(5.0 * weights[i]));
  }
}

TEST_CASE("new weights are honoured from the next pick", "[flow][picker]") {
  picker p{{.slots_max = 2}};
  add_workers(p, {1, 1});
  p.set_weight(1, 9);
  rng random{7};
  int second = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto slot = p.take(random);
    second += *slot == 1;
    p.release(*slot);
  }
  CHECK(second == Approx(9000).margin(120)); // Four sigma.
}

TEST_CASE("picker never gives out a disabled or a full slot", "[flow][picker]") {
  picker p{{.slots_max = 8}};
  rng random{8};
  CHECK_FALSE(p.take(random));
  add_workers(p, {1, 1, 1, 1}, 3);
  p.enable(2, false);
  for (int i = 0; i < 9; ++i)
    CHECK(p.take(random).value_or(2) != 2); // Finds the last free place too.
  CHECK_FALSE(p.take(random));
  CHECK_FALSE(p.take_slot(0));
  CHECK_FALSE(p.take_slot(2));
  p.release(3);
  CHECK(p.take(random) == 3u);
  p.enable(2, true);
  CHECK(p.take(random) == 2u);
}

TEST_CASE("picker looks at no more than scan_max slots", "[flow][picker]") {
  picker p{{.slots_max = 1000, .scan_max = 4}};
  add_workers(p, std::vector<std::uint32_t>(1000, 1), 1);
  rng random{9};
  int missed = 0;
  for (int i = 0; i < 1000; ++i)
    missed += !p.take(random).has_value();
  CHECK(missed > 0); // At most six looks find some of the last free ones, not all.
  CHECK(missed < 500);
}

TEST_CASE("a removed slot is not used again before its last release", "[flow][picker]") {
  picker p{{.slots_max = 1}};
  add_workers(p, {1});
  REQUIRE(p.take_slot(0));
  p.remove(0);
  CHECK(p.enabled_count() == 0);
  CHECK_FALSE(p.add(1, 1));
  p.release(0);
  auto slot = p.add(1, 1);
  REQUIRE(slot == 0u);
  CHECK_FALSE(p.take_slot(0)); // Not before its owner says so.
  p.enable(0, true);
  CHECK(p.take_slot(0));
}

TEST_CASE("picks stay valid while workers come and go", "[flow][picker][threads]") {
  constexpr std::uint32_t slots = 8;
  constexpr std::uint32_t per_slot = 3;
  picker p{{.slots_max = slots}};
  // Not atomic on purpose: written between add and enable, read between take and release.
  std::vector<int> worker_of(slots, 0);
  std::vector<std::atomic<std::uint32_t>> calls(slots);
  std::atomic<int> taken{0};
  std::atomic<int> broken{0};
  std::atomic<bool> stop{false};
  auto caller = [&](std::uint64_t seed) {
    rng random{seed};
    while (!stop) {
      auto slot = p.take(random);
      if (!slot)
        continue;
      if (calls[*slot].fetch_add(1) >= per_slot)
        ++broken;
      auto before = worker_of[*slot];
      std::this_thread::yield();
      if (before == 0 || worker_of[*slot] != before)
        ++broken;
      calls[*slot].fetch_sub(1);
      ++taken;
      p.release(*slot);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    threads.emplace_back(caller, seed);
  rng random{99};
  std::vector<std::uint32_t> here;
  int next_worker = 1;
  for (int i = 0; i < 20'000 || taken < 1000; ++i) {
    auto choice = random.below(4);
    if (choice == 0 || here.empty()) {
      if (auto slot = p.add(1 + random.below(5), per_slot)) {
        worker_of[*slot] = next_worker++;
        p.enable(*slot, true);
        here.push_back(*slot);
      }
    } else {
      auto at = random.below(static_cast<std::uint32_t>(here.size()));
      if (choice == 1) {
        p.remove(here[at]);
        here.erase(here.begin() + at);
      } else {
        p.enable(here[at], choice == 2);
      }
    }
  }
  stop = true;
  for (auto& thread : threads)
    thread.join();
  CHECK(broken == 0);
  CHECK(next_worker > 100);
  for (std::uint32_t i = 0; i < slots; ++i)
    CHECK(p.slot(i).inflight.load() == 0);
}
