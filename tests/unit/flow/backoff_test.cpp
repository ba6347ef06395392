#include "runtime/flow/backoff.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::flow;

TEST_CASE("full jitter stays below a bound that doubles up to its limit", "[flow][backoff]") {
  rng random{1};
  duration longest[8] = {};
  for (int run = 0; run < 2000; ++run) {
    backoff wait{{.initial = 100ms, .wait_max = 2s}};
    duration bound = 100ms;
    for (auto& seen : longest) {
      auto w = wait.next(random);
      REQUIRE(w >= duration::zero());
      REQUIRE(w <= bound);
      seen = std::max(seen, w);
      bound = std::min<duration>(bound * 2, 2s);
    }
  }
  CHECK(longest[0] > 95ms);
  CHECK(longest[3] > 760ms);
  CHECK(longest[7] > 1900ms);
}

TEST_CASE("decorrelated jitter stays between the first wait and thrice the last",
          "[flow][backoff]") {
  rng random{2};
  backoff wait{{.initial = 100ms, .wait_max = 5s, .jitter = backoff_jitter::decorrelated}};
  duration last = 100ms;
  duration longest{};
  for (int i = 0; i < 10'000; ++i) {
    auto w = wait.next(random);
    REQUIRE(w >= 100ms);
    REQUIRE(w <= std::min<duration>(3 * last, 5s));
    longest = std::max(longest, w);
    last = w;
  }
  CHECK(longest > 4s);
}

TEST_CASE("back-off begins again after a reset", "[flow][backoff]") {
  auto jitter = GENERATE(backoff_jitter::full, backoff_jitter::decorrelated);
  rng random{3};
  backoff wait{{.initial = 10ms, .wait_max = 60s, .jitter = jitter}};
  for (int i = 0; i < 200; ++i) // Far beyond where a naive 2^n would overflow.
    REQUIRE(wait.next(random) <= 60s);
  CHECK(wait.attempts() == 200);
  wait.reset();
  CHECK(wait.attempts() == 0);
  CHECK(wait.next(random) <= 30ms);
}

TEST_CASE("the same seed gives the same waits", "[flow][backoff]") {
  rng a{4};
  rng b{4};
  backoff left;
  backoff right;
  for (int i = 0; i < 50; ++i)
    REQUIRE(left.next(a) == right.next(b));
}
