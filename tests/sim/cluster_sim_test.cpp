// Whole nodes above a seeded network. SKEP_SIM_SEED=n replays one seed, SKEP_SIM_SEEDS=n sets how
// many run.
#include "tests/sim/sim_cluster.hpp"
#include "tests/support/catch.hpp"

#include <fmt/format.h>

#include <cstdlib>

using namespace skep;
using namespace skep::test;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Runs `scenario` for every seed; a failure names its seed.
template <class Scenario>
void for_seeds(std::uint64_t count, Scenario scenario) {
  const auto one = number_from("SKEP_SIM_SEED", 0);
  const auto first = one != 0 ? one : 1;
  const auto last = one != 0 ? one : number_from("SKEP_SIM_SEEDS", count);
  for (auto seed = first; seed <= last; ++seed) {
    std::string broken;
    try {
      scenario(seed);
    } catch (const std::exception& what) {
      broken = what.what();
    }
    INFO("seed=" << seed << " (replay with SKEP_SIM_SEED=" << seed << ")");
    REQUIRE(broken == "");
  }
}

std::size_t failures(const sim_cluster& sim) {
  std::size_t count = 0;
  for (const auto& each : sim.requests())
    count += each.got->complete() && each.got->why().code != errc::none ? 1 : 0;
  return count;
}

/// Something that may happen to a cluster.
void disturb(sim_cluster& sim, flow::rng& random) {
  const auto n = random.below(static_cast<std::uint32_t>(sim.size()));
  const auto other = (n + 1) % sim.size();
  switch (random.below(9)) {
    case 0:
      if (sim.is_up(n))
        sim.crash(n);
      break;
    case 1:
      if (!sim.is_up(n))
        sim.start(n);
      break;
    case 2: sim.partition({n}); break;
    case 3: sim.cut_one_way(n, other); break;
    case 4: sim.sky().loss = 0.2 * random.uniform(); break;
    case 5: sim.sky().duplication = 0.2 * random.uniform(); break;
    case 6: sim.sky().delay_max = 5ms + 1ms * random.below(200); break;
    case 7:
      if (sim.is_up(n))
        sim.pause(n, 1ms * random.below(5'000));
      break;
    default: sim.heal(); break;
  }
}

void work(sim_cluster& sim, flow::rng& random) {
  for (int n = 0; n < 4; ++n) {
    const auto from = random.below(static_cast<std::uint32_t>(sim.size()));
    const auto to = (from + 1) % sim.size();
    if (!sim.is_up(from) || sim.is_paused(from))
      continue;
    sim.ask(from, 1ms * (50 + random.below(3'000)), random.below(2) == 0);
    sim.tell(from, to);
  }
}

} // namespace

TEST_CASE("a cluster under every kind of trouble keeps its promises", "[sim][cluster]") {
  for_seeds(2000, [](std::uint64_t seed) {
    sim_cluster sim{seed, 3 + seed % 2};
    flow::rng random{seed * 77};
    for (int round = 0; round < 40; ++round) {
      if (random.below(3) == 0)
        disturb(sim, random);
      work(sim, random);
      sim.run_for(1ms * (20 + random.below(500)));
    }
    sim.heal();
    for (std::size_t n = 0; n < sim.size(); ++n)
      if (!sim.is_up(n))
        sim.start(n);
    sim.run_for(10s);
    sim.check_agreement();
    sim.check_books();
  });
}

TEST_CASE("a killed node costs its peers' clients nothing", "[sim][cluster]") {
  for_seeds(1000, [](std::uint64_t seed) {
    sim_cluster sim{seed, 3};
    flow::rng random{seed};
    sim.run_for(3s);
    sim.check_agreement();
    const auto victim = 1 + random.below(2); // The first node's calls all cross the network.
    for (int round = 0; round < 20; ++round) {
      if (round == 5)
        sim.crash(victim);
      for (int n = 0; n < 3; ++n)
        sim.ask(0, 8s, false);
      sim.run_for(1ms * (50 + random.below(200)));
    }
    sim.run_for(9s);
    sim.check_agreement();
    sim.check_books();
    if (failures(sim) != 0)
      throw violation{fmt::format("{} requests failed", failures(sim))};
    if (sim.cluster_of(0).port().stats().run_again == 0 && seed == 1)
      throw violation{"nothing was at work at the victim: the test proves nothing"};
  });
}

TEST_CASE("a rolling restart loses no request", "[sim][cluster]") {
  for_seeds(500, [](std::uint64_t seed) {
    sim_cluster sim{seed, 3};
    flow::rng random{seed};
    sim.run_for(3s);
    for (std::size_t n = 1; n < 3; ++n) {
      sim.drain(n);
      for (int round = 0; round < 10; ++round) {
        sim.ask(0, 8s, random.below(2) == 0);
        sim.run_for(1ms * (20 + random.below(200)));
      }
      sim.run_for(1s);
      sim.crash(n);
      sim.ask(0, 8s, false);
      sim.run_for(300ms);
      sim.start(n);
      sim.run_for(4s);
    }
    sim.check_agreement();
    sim.check_books();
    if (failures(sim) != 0)
      throw violation{fmt::format("{} requests failed", failures(sim))};
  });
}

TEST_CASE("a node that stops for five seconds accuses nobody", "[sim][cluster]") {
  for_seeds(500, [](std::uint64_t seed) {
    sim_cluster sim{seed, 3};
    sim.run_for(3s);
    const auto before = sim.views_seen();
    sim.pause(0, 5s);
    sim.run_for(5s);
    // The others went on without it, in one change of the view.
    const auto meanwhile = sim.cluster_of(1).state()->view;
    if (meanwhile->members.size() != 2)
      throw violation{fmt::format("{} members while one stands still", meanwhile->members.size())};
    sim.run_for(6s);
    sim.check_agreement();
    if (sim.views_seen() > before + 2)
      throw violation{fmt::format("{} views for one pause", sim.views_seen() - before)};
  });
}
