#include "runtime/flow/pool_sizer.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr time_point start{1h};

pool_sizer_config small_pool() {
  pool_sizer_config config;
  config.size_min = 2;
  config.size_max = 64;
  config.window = 1s;
  config.shrink_after = 30s;
  return config;
}

/// Members at work and callers that wait, as a pool with calls of random length has them: calls
/// come at `rate(t)` a second and take `hold` on average, both exponentially spread.
class simulated_pool {
public:
  simulated_pool(pool_sizer_config config, duration hold, std::uint64_t seed)
    : sizer(config), hold_(hold), random_{seed} {}

  void run(duration length, const std::function<double(double)>& rate) {
    const auto end = now + length;
    auto arrival = now + exponential(rate(elapsed()));
    while (now < end) {
      auto at = std::min(arrival, end);
      if (!ends_.empty())
        at = std::min(at, ends_.top());
      if (const auto due = sizer.next())
        at = std::min(at, std::max(*due, now));
      now = at;
      while (!ends_.empty() && ends_.top() <= now)
        ends_.pop();
      if (now == arrival) {
        ++waiting_;
        ++calls;
        arrival = now + exponential(rate(elapsed()));
      }
      look();
    }
  }

  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(now - start).count();
  }
  [[nodiscard]] int turns() const {
    int changes = 0;
    for (std::size_t n = 1; n < steps.size(); ++n)
      changes += (steps[n].to > steps[n].from) != (steps[n - 1].to > steps[n - 1].from);
    return changes;
  }

  pool_sizer sizer;
  time_point now = start;
  std::vector<resize> steps;
  std::uint64_t calls = 0;
  std::uint64_t waits = 0;

private:
  void look() {
    admit();
    const auto demand = static_cast<double>(ends_.size() + waiting_);
    if (const auto step = sizer.observe(now, demand, waiting_ > 0))
      steps.push_back(*step);
    const auto before = waiting_;
    admit();
    waits += before > 0 ? 1u : 0u;
  }
  void admit() {
    for (; waiting_ > 0 && ends_.size() < sizer.size(); --waiting_)
      ends_.push(now + exponential(1 / std::chrono::duration<double>(hold_).count()));
  }
  duration exponential(double per_second) {
    const auto u = (static_cast<double>(random_() >> 11) + 1) * 0x1p-53;
    return std::chrono::duration_cast<duration>(
      std::chrono::duration<double>(-std::log(u) / per_second));
  }

  duration hold_;
  rng random_;
  std::priority_queue<time_point, std::vector<time_point>, std::greater<>> ends_;
  std::size_t waiting_ = 0;
};

} // namespace

TEST_CASE("a pool starts at its minimum and stays there without demand", "[flow][pool_sizer]") {
  pool_sizer sizer{small_pool()};
  CHECK(sizer.size() == 2);
  CHECK_FALSE(sizer.observe(start, 0, false));
  CHECK_FALSE(sizer.check(start + 1h));
  CHECK_FALSE(sizer.next());
  CHECK(sizer.at_rest());
}

TEST_CASE("a pool grows once the average of utilisation is above the limit, not before",
          "[flow][pool_sizer]") {
  pool_sizer sizer{small_pool()};
  CHECK_FALSE(sizer.observe(start, 2, false)); // All at work, but only just.
  // 2 (1 - e^-t) passes 1.6 after ln 5 = 1.609 windows.
  const auto due = sizer.next();
  REQUIRE(due);
  CHECK(*due - start > 1600ms);
  CHECK(*due - start < 1620ms);
  CHECK_FALSE(sizer.check(start + 1500ms));
  const auto step = sizer.check(*due);
  REQUIRE(step);
  CHECK(step->from == 2);
  CHECK(step->to == 4);
  CHECK(step->why == resize_reason::busy);
  CHECK(step->utilisation == Approx(0.8).margin(0.01));
}

TEST_CASE("while nobody waits a pool takes one step per window", "[flow][pool_sizer]") {
  auto config = small_pool();
  config.size_min = 1;
  config.growth_factor = 1.1;
  pool_sizer sizer{config};
  sizer.observe(start, 3, false);
  REQUIRE(sizer.check(start + 900ms));
  const auto size = sizer.size();
  CHECK_FALSE(sizer.check(start + 901ms));
  REQUIRE(sizer.check(start + 1900ms));
  CHECK(sizer.size() == size + 1);
}

TEST_CASE("a burst that waits is followed at once, and the faster the larger it is",
          "[flow][pool_sizer]") {
  const auto time_to_serve = [](std::uint32_t burst) {
    pool_sizer sizer{small_pool()};
    auto now = start;
    sizer.observe(now, burst, true);
    while (sizer.size() < burst) {
      const auto due = sizer.next();
      REQUIRE(due);
      REQUIRE(*due > now);
      now = *due;
      sizer.observe(now, burst, sizer.size() < burst);
    }
    return now - start;
  };
  // From 2 to 64 in five doublings; the last one needs the average at 0.8 x 32: ln(64 / 38.4).
  CHECK(time_to_serve(64) < 530ms);
  CHECK(time_to_serve(33) < 1700ms);
  CHECK(time_to_serve(60) < time_to_serve(40));
}

TEST_CASE("somebody who waits for a moment opens nothing", "[flow][pool_sizer]") {
  pool_sizer sizer{small_pool()};
  auto now = start;
  for (int n = 0; n < 100; ++n) {
    CHECK_FALSE(sizer.observe(now, 3, true));
    CHECK_FALSE(sizer.observe(now + 20ms, 0, false));
    now += 100ms;
  }
  CHECK(sizer.size() == 2);
}

TEST_CASE("a pool never grows beyond its maximum nor shrinks below its minimum",
          "[flow][pool_sizer]") {
  auto config = small_pool();
  config.size_min = 3;
  config.size_max = 10;
  pool_sizer sizer{config};
  auto now = start;
  for (int n = 0; n < 100; ++n, now += 100ms)
    sizer.observe(now, 1000, true);
  CHECK(sizer.size() == 10);
  CHECK_FALSE(sizer.next());
  sizer.observe(now, 0, false);
  for (int n = 0; n < 100; ++n) {
    const auto due = sizer.next();
    if (!due)
      break;
    sizer.check(*due);
  }
  CHECK(sizer.size() == 3);
  CHECK(sizer.at_rest());
  config.size_min = 20; // More than the maximum: that wins.
  CHECK(pool_sizer{config}.size() == 10);
}

TEST_CASE("an idle pool shrinks gently, a step per shrink_after", "[flow][pool_sizer]") {
  pool_sizer sizer{small_pool()};
  for (int n = 0; n <= 40; ++n)
    sizer.observe(start + n * 100ms, 64, true);
  REQUIRE(sizer.size() == 64);
  auto now = start + 5s;
  sizer.observe(now, 0, false);
  std::vector<std::uint32_t> sizes;
  std::vector<duration> when;
  while (const auto due = sizer.next()) {
    if (const auto step = sizer.check(*due)) {
      CHECK(step->why == resize_reason::idle);
      sizes.push_back(step->to);
      when.push_back(*due - now);
    }
  }
  CHECK(sizes == std::vector<std::uint32_t>{32, 16, 8, 4, 2});
  CHECK(when.front() >= 30s);
  for (std::size_t n = 1; n < when.size(); ++n)
    CHECK(when[n] - when[n - 1] >= 30s);
}

TEST_CASE("a small pool does not shrink below what it needed", "[flow][pool_sizer]") {
  auto config = small_pool();
  config.size_min = 1;
  config.growth_factor = 1.5;
  config.shrink_below = 0.5;
  pool_sizer sizer{config};
  for (int n = 0; n < 5; ++n)
    sizer.observe(start + n * 1s, 1.5, false);
  REQUIRE(sizer.size() == 2);
  sizer.observe(start + 5s, 0.9, false); // 0.9 of 2 is low, 0.9 of 1 would be high.
  for (int n = 0; n < 1000; ++n)
    sizer.check(start + 6s + n * 1s);
  CHECK(sizer.size() == 2);
}

TEST_CASE("at constant demand a pool finds its size and never turns", "[flow][pool_sizer]") {
  for (int demand = 0; demand <= 80; ++demand) {
    pool_sizer sizer{small_pool()};
    const auto wanted = [&] { return demand > static_cast<int>(sizer.size()); };
    sizer.observe(start, demand, wanted());
    auto before = sizer.size();
    for (int n = 0; n < 1000; ++n) {
      const auto due = sizer.next();
      if (!due)
        break;
      sizer.observe(*due, demand, wanted());
      REQUIRE(sizer.size() >= before);
      before = sizer.size();
    }
    CHECK(static_cast<int>(sizer.size()) >= std::min(demand, 64));
    CHECK(static_cast<int>(sizer.size()) <= std::max(2, 4 * demand));
  }
}

TEST_CASE("under random calls at a constant rate a pool comes to rest", "[flow][pool_sizer]") {
  // Offered loads of 1 to 40 members, an hour each; several seeds. A rare peak makes it turn, and
  // each such turn doubles the time to the next one.
  for (const double load : {1.0, 3.0, 6.4, 12.8, 25.6, 40.0}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      simulated_pool pool{small_pool(), 500ms, seed};
      pool.run(30min, [load](double) { return load / 0.5; });
      const auto first_half = pool.turns();
      pool.run(30min, [load](double) { return load / 0.5; });
      INFO("load " << load << ", seed " << seed << ", size " << pool.sizer.size());
      CHECK(first_half <= 6);
      CHECK(pool.turns() - first_half <= 3); // One in ten minutes.
      CHECK(pool.sizer.size() >= load);
    }
  }
}

TEST_CASE("a step of load up and down is followed both ways", "[flow][pool_sizer]") {
  simulated_pool pool{small_pool(), 500ms, 7};
  pool.run(60s, [](double) { return 2.0; });
  const auto low = pool.sizer.size();
  pool.run(20s, [](double) { return 60.0; }); // 30 members.
  CHECK(pool.sizer.size() >= 32);
  pool.run(600s, [](double) { return 2.0; });
  CHECK(pool.sizer.size() <= std::max(low, 8u));
  CHECK(pool.turns() <= 2);
}

TEST_CASE("a spike of a second is served and given back", "[flow][pool_sizer]") {
  simulated_pool pool{small_pool(), 100ms, 11};
  pool.run(30s, [](double) { return 5.0; });
  pool.run(1s, [](double) { return 400.0; });
  CHECK(pool.sizer.size() >= 32);
  const auto grown = pool.sizer.size();
  pool.run(25s, [](double) { return 5.0; });
  CHECK(pool.sizer.size() == grown); // Another one may follow.
  pool.run(300s, [](double) { return 5.0; });
  CHECK(pool.sizer.size() <= 4);
}

TEST_CASE("a sine of load turns the size at most twice a period", "[flow][pool_sizer]") {
  simulated_pool pool{small_pool(), 200ms, 3};
  constexpr double period = 600;
  constexpr int periods = 6;
  pool.run(std::chrono::seconds{static_cast<int>(period) * periods},
           [](double t) { return (21 + 20 * std::sin(t * 2 * 3.14159265 / period)) / 0.2; });
  CHECK(pool.turns() <= 2 * periods);
  CHECK(pool.sizer.size() <= 64);
  // Nearly all of them found a member at once.
  CHECK(static_cast<double>(pool.waits) < 0.02 * static_cast<double>(pool.calls));
}

TEST_CASE("a load on the edge makes a pool patient instead of flapping", "[flow][pool_sizer]") {
  auto config = small_pool();
  config.shrink_after = 5s;
  pool_sizer sizer{config};
  int steps = 0;
  auto now = start;
  // Every 50 s there are 8 for 3 s, then 4 again: each peak grows it, each pause would shrink it.
  for (int n = 0; n < 200; ++n) {
    for (const auto& [demand, length] : {std::pair{8.0, 3000ms}, std::pair{4.0, 47'000ms}}) {
      sizer.observe(now, demand, demand > sizer.size());
      const auto end = now + length;
      for (auto due = sizer.next(); due && *due < end; due = sizer.next())
        steps += sizer.observe(*due, demand, demand > sizer.size()) ? 1 : 0;
      now = end;
    }
  }
  CHECK(steps < 20); // Without the patience two a round, 400 in all.
}

TEST_CASE("whatever is asked of it, a pool keeps its bounds and names a time to look again",
          "[flow][pool_sizer]") {
  rng random{42};
  for (int round = 0; round < 200; ++round) {
    auto config = small_pool();
    config.size_min = 1 + random.below(5);
    config.size_max = config.size_min + random.below(200);
    config.growth_factor = 1.05 + random.below(100) / 100.0;
    config.shrink_below = 0.7 / config.growth_factor;
    pool_sizer sizer{config};
    auto now = start;
    for (int n = 0; n < 300; ++n) {
      now += std::chrono::milliseconds{random.below(20'000)};
      const double demand = random.below(300);
      const auto before = sizer.size();
      const auto step = sizer.observe(now, demand, demand > before);
      REQUIRE(sizer.size() >= config.size_min);
      REQUIRE(sizer.size() <= config.size_max);
      REQUIRE((step ? step->to : before) == sizer.size());
      REQUIRE((step && step->to > step->from ? sizer.size() > before : sizer.size() <= before));
      if (sizer.size() > config.size_min && demand == 0)
        REQUIRE(sizer.next());
      if (const auto due = sizer.next())
        REQUIRE(*due >= now);
    }
  }
}
