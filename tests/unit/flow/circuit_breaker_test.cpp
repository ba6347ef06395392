#include "runtime/flow/circuit_breaker.hpp"
#include "tests/support/catch.hpp"

#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

using enum breaker_outcome;

constexpr time_point start{1h};

breaker_config small_config() {
  breaker_config config;
  config.failures_max = 3;
  return config;
}

void fail_times(circuit_breaker& breaker, int n, time_point now, duration hint = {}) {
  for (int i = 0; i < n; ++i)
    breaker.settle(breaker.acquire(now), failure, now, hint);
}

/// A breaker that tripped at `start`.
circuit_breaker tripped(breaker_config config = small_config()) {
  circuit_breaker breaker{config};
  fail_times(breaker, static_cast<int>(config.failures_max), start);
  REQUIRE(breaker.state(start) == breaker_state::open);
  return breaker;
}

} // namespace

TEST_CASE("breaker trips on consecutive failures and says when to come back", "[flow][breaker]") {
  circuit_breaker breaker{small_config()};
  fail_times(breaker, 2, start);
  CHECK(breaker.state(start) == breaker_state::closed);
  fail_times(breaker, 1, start);
  CHECK(breaker.state(start) == breaker_state::open);
  auto refused = breaker.acquire(start + 400ms);
  CHECK_FALSE(refused.granted);
  CHECK(refused.retry_after == 600ms);
  CHECK(breaker.counts().trips == 1);
  CHECK(breaker.counts().refusals == 1);
}

TEST_CASE("a success between failures starts the count again", "[flow][breaker]") {
  circuit_breaker breaker{small_config()};
  for (int round = 0; round < 5; ++round) {
    fail_times(breaker, 2, start);
    breaker.settle(breaker.acquire(start), success, start);
  }
  CHECK(breaker.state(start) == breaker_state::closed);
}

TEST_CASE("breaker trips on the failure rate once it has seen enough", "[flow][breaker]") {
  circuit_breaker breaker{breaker_config{}};
  auto now = start;
  for (int i = 0; i < 9; ++i, now += 100ms) {
    breaker.settle(breaker.acquire(now), success, now);
    breaker.settle(breaker.acquire(now), failure, now);
  }
  CHECK(breaker.state(now) == breaker_state::closed); // 18 results.
  breaker.settle(breaker.acquire(now), success, now);
  breaker.settle(breaker.acquire(now), failure, now);
  CHECK(breaker.state(now) == breaker_state::open);
}

TEST_CASE("failures older than the window do not count in the rate", "[flow][breaker]") {
  circuit_breaker breaker{breaker_config{}};
  for (int i = 0; i < 9; ++i) {
    breaker.settle(breaker.acquire(start), success, start);
    breaker.settle(breaker.acquire(start), failure, start);
  }
  auto later = start + 11s;
  breaker.settle(breaker.acquire(later), success, later);
  breaker.settle(breaker.acquire(later), failure, later);
  CHECK(breaker.state(later) == breaker_state::closed);
}

TEST_CASE("calls turned away for overload count in the rate, not in a row", "[flow][breaker]") {
  circuit_breaker breaker{breaker_config{}};
  const auto turn_away = [&](int times) {
    for (int n = 0; n < times; ++n)
      breaker.settle(breaker.acquire(start), overloaded, start);
  };
  turn_away(19);
  CHECK(breaker.state(start) == breaker_state::closed);
  SECTION("a failure rate of one half trips") {
    turn_away(1);
    CHECK(breaker.state(start) == breaker_state::open);
    auto now = start + 1s;
    breaker.settle(breaker.acquire(now), overloaded, now);
    CHECK(breaker.retry_after(now) == 2s); // It fails a probe.
  }
  SECTION("less than that does not") {
    for (int n = 0; n < 25; ++n)
      breaker.settle(breaker.acquire(start), success, start);
    turn_away(5);
    CHECK(breaker.state(start) == breaker_state::closed);
  }
}

TEST_CASE("half-open lets one probe out and its success closes the breaker", "[flow][breaker]") {
  auto breaker = tripped();
  auto now = start + 1s;
  CHECK(breaker.state(now) == breaker_state::half_open);
  auto probe = breaker.acquire(now);
  REQUIRE(probe.granted);
  CHECK(probe.probe);
  auto second = breaker.acquire(now);
  CHECK_FALSE(second.granted);
  CHECK(second.retry_after > duration::zero());
  breaker.settle(probe, success, now);
  CHECK(breaker.state(now) == breaker_state::closed);
  CHECK(breaker.acquire(now).granted);
}

TEST_CASE("each failed probation doubles the open time up to its bound", "[flow][breaker]") {
  auto breaker = tripped();
  auto now = start;
  for (auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    CHECK(breaker.retry_after(now) == expected);
    now += expected;
    auto probe = breaker.acquire(now);
    REQUIRE(probe.granted);
    breaker.settle(probe, failure, now);
  }
  now += 60s;
  breaker.settle(breaker.acquire(now), success, now);
  fail_times(breaker, 3, now);
  CHECK(breaker.retry_after(now) == 1s); // Closing reset the back-off.
}

TEST_CASE("an upstream's retry-after prolongs the open time within its bound", "[flow][breaker]") {
  circuit_breaker patient{small_config()};
  fail_times(patient, 3, start, 20s);
  CHECK(patient.retry_after(start) == 20s);

  circuit_breaker doubtful{small_config()};
  fail_times(doubtful, 3, start, 24h);
  CHECK(doubtful.retry_after(start) == 300s);

  circuit_breaker hurried{small_config()};
  fail_times(hurried, 3, start, 10ms);
  CHECK(hurried.retry_after(start) == 1s);

  circuit_breaker forgiving{small_config()};
  fail_times(forgiving, 1, start, 20s);
  forgiving.settle(forgiving.acquire(start), success, start);
  fail_times(forgiving, 3, start);
  CHECK(forgiving.retry_after(start) == 1s); // The success made the old hint moot.
}

TEST_CASE("a failed probe's retry-after counts too", "[flow][breaker]") {
  auto breaker = tripped();
  auto now = start + 1s;
  breaker.settle(breaker.acquire(now), failure, now, 45s);
  CHECK(breaker.retry_after(now) == 45s);
}

TEST_CASE("an ignored probe gives its permit back unjudged", "[flow][breaker]") {
  auto breaker = tripped();
  auto now = start + 1s;
  breaker.settle(breaker.acquire(now), ignored, now);
  CHECK(breaker.state(now) == breaker_state::half_open);
  CHECK(breaker.acquire(now).granted);
}

TEST_CASE("a probe that does not report in time frees its place for another", "[flow][breaker]") {
  auto breaker = tripped();
  auto now = start + 1s;
  auto lost = breaker.acquire(now);
  CHECK_FALSE(breaker.acquire(now + 29s).granted);
  now += 30s;
  auto next = breaker.acquire(now);
  REQUIRE(next.granted);
  CHECK(breaker.counts().permits_expired == 1);
  CHECK(breaker.state(now) == breaker_state::half_open);
  CHECK(breaker.permits_inflight(now) == 1);
  breaker.settle(next, success, now);
  CHECK(breaker.state(now) == breaker_state::closed);
  breaker.settle(lost, failure, now); // The probation it belonged to is over.
  CHECK(breaker.state(now) == breaker_state::closed);
}

TEST_CASE("a probe that outlives its lease still judges the probation", "[flow][breaker]") {
  // Every answer of this upstream takes a minute, twice as long as the lease. If only results
  // within the lease counted, it would stay half-open for ever.
  auto breaker = tripped();
  auto now = start + 1s;
  auto slow = breaker.acquire(now);
  now += 60s;
  SECTION("a late success closes") {
    breaker.settle(slow, success, now);
    CHECK(breaker.state(now) == breaker_state::closed);
  }
  SECTION("a late failure opens for twice as long") {
    breaker.settle(slow, failure, now);
    CHECK(breaker.retry_after(now) == 2s);
  }
}

TEST_CASE("results of calls admitted before the trip do not judge the probation",
          "[flow][breaker]") {
  circuit_breaker breaker{small_config()};
  auto early = breaker.acquire(start);
  fail_times(breaker, 3, start);
  auto now = start + 1s;
  auto probe = breaker.acquire(now);
  breaker.settle(early, success, now);
  CHECK(breaker.state(now) == breaker_state::half_open);
  breaker.settle(early, failure, now);
  CHECK(breaker.state(now) == breaker_state::half_open);
  breaker.settle(probe, success, now);
  fail_times(breaker, 2, now);
  breaker.settle(early, failure, now);
  CHECK(breaker.state(now) == breaker_state::closed);
}

TEST_CASE("several successes can be asked for before the breaker closes", "[flow][breaker]") {
  auto config = small_config();
  config.successes_min = 2;
  auto breaker = tripped(config);
  auto now = start + 1s;
  breaker.settle(breaker.acquire(now), success, now);
  CHECK(breaker.state(now) == breaker_state::half_open);
  breaker.settle(breaker.acquire(now), success, now);
  CHECK(breaker.state(now) == breaker_state::closed);
}
