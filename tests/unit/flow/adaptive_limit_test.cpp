#include "runtime/flow/adaptive_limit.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::flow;

namespace {

/// Fills the limit and ends all calls, in ten rounds a second. The upstream serves `places` calls
/// at once in 100 ms and queues the rest.
void run_saturated(adaptive_limit& limit, time_point& now, int seconds, double places) {
  for (int round = 0; round < seconds * 10; ++round) {
    std::uint32_t out = 0;
    while (limit.try_acquire())
      ++out;
    auto latency = 100ms * std::max(1.0, out / places);
    now += 100ms;
    for (; out > 0; --out)
      limit.on_success(std::chrono::duration_cast<duration>(latency), now);
  }
}

} // namespace

TEST_CASE("adaptive limit grows while latency does not", "[flow][limit]") {
  adaptive_limit limit;
  time_point now{1h};
  run_saturated(limit, now, 400, 1000);
  CHECK(limit.limit() == 200);
}

TEST_CASE("adaptive limit shrinks when latency says that calls queue", "[flow][limit]") {
  adaptive_limit limit{{.limit_initial = 100, .limit_min = 5}};
  time_point now{1h};
  run_saturated(limit, now, 60, 1000);
  auto before = limit.limit();
  run_saturated(limit, now, 60, 20); // The upstream lost most of its capacity.
  CHECK(limit.limit() < before / 3);
  CHECK(limit.limit() >= 20); // And is still used in full.
  run_saturated(limit, now, 300, 1000);
  CHECK(limit.limit() > 100);
}

TEST_CASE("adaptive limit stays put while it is not used", "[flow][limit]") {
  adaptive_limit limit{{.limit_initial = 50}};
  time_point now{1h};
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(limit.try_acquire());
    now += 50ms;
    limit.on_success(50ms, now);
  }
  CHECK(limit.limit() == 50);
}

TEST_CASE("adaptive limit admits exactly its limit and counts refusals", "[flow][limit]") {
  adaptive_limit limit;
  for (int i = 0; i < 20; ++i)
    REQUIRE(limit.try_acquire());
  CHECK_FALSE(limit.try_acquire());
  CHECK(limit.refusals() == 1);
  limit.on_ignored();
  CHECK(limit.inflight() == 19);
  CHECK(limit.try_acquire());
}

namespace {

/// Seconds in each of which this many calls go out, of which `overloads` are turned away at once.
void run_seconds(adaptive_limit& limit, time_point& now, int seconds, int calls, int overloads) {
  for (int second = 0; second < seconds; ++second) {
    int out = 0;
    while (out < calls && limit.try_acquire())
      ++out;
    now += 1s;
    for (int n = 0; n < out; ++n)
      n < overloads ? limit.on_overload(now) : limit.on_success(100ms, now);
  }
}

} // namespace

TEST_CASE("adaptive limit shrinks when the upstream says that it has too much to do",
          "[flow][limit]") {
  adaptive_limit limit{{.limit_initial = 100, .limit_min = 7}};
  time_point now{1h};
  run_seconds(limit, now, 1, 100, 100);
  run_seconds(limit, now, 1, 100, 100);
  CHECK(limit.limit() >= 80); // A tenth a second, no more.
  run_seconds(limit, now, 60, 100, 100);
  CHECK(limit.limit() == 7);
}

TEST_CASE("stray overload does not pin the adaptive limit down", "[flow][limit]") {
  adaptive_limit limit{{.limit_initial = 50}};
  time_point now{1h};
  run_seconds(limit, now, 120, 200, 1);
  CHECK(limit.limit() > 100);
}

TEST_CASE("adaptive limit does not grow while a twentieth of the calls meet overload",
          "[flow][limit]") {
  adaptive_limit limit{{.limit_initial = 40}};
  time_point now{1h};
  run_seconds(limit, now, 120, 40, 3);
  CHECK(limit.limit() < 40);
}

TEST_CASE("adaptive limit stays between its bounds under mild overload that never ends",
          "[flow][limit]") {
  // The known flaw: the long-term latency follows, and the limit creeps up, to limit_max at most.
  adaptive_limit limit{{.limit_initial = 20, .limit_min = 10, .limit_max = 60}};
  time_point now{1h};
  run_saturated(limit, now, 7200, 15);
  CHECK(limit.limit() >= 15);
  CHECK(limit.limit() <= 60);
}

TEST_CASE("every way to end a call gives the adaptive limit its place back", "[flow][limit]") {
  adaptive_limit limit;
  time_point now{1h};
  for (int round = 0; round < 3; ++round)
    REQUIRE(limit.try_acquire());
  limit.on_success(10ms, now);
  limit.on_overload(now);
  limit.on_ignored();
  CHECK(limit.inflight() == 0);
}
