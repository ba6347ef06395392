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
