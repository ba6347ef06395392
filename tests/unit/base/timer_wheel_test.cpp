#include "runtime/base/timer_wheel.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <random>

using namespace skep;

namespace {

const time_point start{};

std::vector<int> run(timer_wheel<int>& wheel, duration to) {
  std::vector<int> fired;
  wheel.advance(start + to, [&](int& payload) { fired.push_back(payload); });
  return fired;
}

} // namespace

TEST_CASE("a timer fires once, at its deadline and not before", "[base][timer]") {
  timer_wheel<int> wheel{start, 1ms};
  wheel.add(start + 50ms, 1);
  CHECK(wheel.next() <= start + 50ms);
  CHECK(run(wheel, 49ms).empty());
  CHECK(run(wheel, 50ms) == std::vector{1});
  CHECK(run(wheel, 10h).empty());
  CHECK(!wheel.next());
}

TEST_CASE("earlier timers fire first, however far apart", "[base][timer]") {
  timer_wheel<int> wheel{start, 1ms};
  wheel.add(start + 30h, 4);
  wheel.add(start + 3h, 3);
  wheel.add(start + 70ms, 2);
  wheel.add(start + 3ms, 1);
  CHECK(run(wheel, 40h) == std::vector{1, 2, 3, 4});
}

TEST_CASE("a cancelled timer does not fire, and its id stays dead", "[base][timer]") {
  timer_wheel<int> wheel{start, 1ms};
  const auto id = wheel.add(start + 5ms, 1);
  CHECK(wheel.cancel(id));
  CHECK(!wheel.cancel(id));
  const auto reused = wheel.add(start + 5ms, 2);
  CHECK(reused != id);
  CHECK(!wheel.cancel(id));
  CHECK(run(wheel, 6ms) == std::vector{2});
  CHECK(!wheel.cancel(reused));
}

TEST_CASE("a deadline in the past fires with the next tick", "[base][timer]") {
  timer_wheel<int> wheel{start, 1ms};
  run(wheel, 10s);
  wheel.add(start, 1);
  CHECK(run(wheel, 10s + 1ms) == std::vector{1});
}

TEST_CASE("a timer that fires may set and cancel others", "[base][timer]") {
  timer_wheel<int> wheel{start, 1ms};
  const auto doomed = wheel.add(start + 20ms, 9);
  wheel.add(start + 10ms, 1);
  std::vector<int> fired;
  wheel.advance(start + 1s, [&](int& payload) {
    fired.push_back(payload);
    if (payload < 3)
      wheel.add(start + 10ms * (payload + 1), payload + 1);
    wheel.cancel(doomed);
  });
  CHECK(fired == std::vector{1, 2, 3});
}

TEST_CASE("the wheel does what an ordered map does", "[base][timer]") {
  std::mt19937_64 random{7};
  for (int round = 0; round < 40; ++round) {
    timer_wheel<int> wheel{start, 1ms};
    std::map<int, std::pair<timer_id, time_point>> alive;
    auto now = start;
    for (int step = 0; step < 1000; ++step) {
      const auto kind = random() % 10;
      if (kind < 5) {
        const auto range = random() % 5 == 0   ? 20'000'000'000ull
                           : random() % 2 == 0 ? 100'000ull
                                               : 10'000'000ull;
        const auto deadline = now + std::chrono::microseconds{random() % range};
        alive[step] = {wheel.add(deadline, step), deadline};
      } else if (kind < 7 && !alive.empty()) {
        const auto some
          = std::next(alive.begin(), static_cast<std::ptrdiff_t>(random() % alive.size()));
        REQUIRE(wheel.cancel(some->second.first));
        alive.erase(some);
      } else {
        now
          += std::chrono::microseconds{random() % (random() % 4 == 0 ? 500'000'000ull : 5'000ull)};
        const auto promised = wheel.next();
        wheel.advance(now, [&](int& payload) {
          REQUIRE(alive.count(payload) == 1);
          REQUIRE(alive[payload].second <= now);
          REQUIRE(promised <= now);
          alive.erase(payload);
        });
        for (const auto& [payload, timer] : alive)
          REQUIRE(timer.second + 1ms > now);
      }
      REQUIRE(wheel.size() == alive.size());
    }
  }
}
