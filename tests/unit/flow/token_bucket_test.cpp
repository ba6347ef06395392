#include "runtime/flow/rng.hpp"
#include "runtime/flow/token_bucket.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::flow;

namespace {
constexpr time_point start{1h};
}

TEST_CASE("token bucket starts full, empties and refills at its rate", "[flow][bucket]") {
  token_bucket bucket{{.rate_per_second = 10, .burst_max = 5}, start};
  for (int i = 0; i < 5; ++i)
    CHECK(bucket.try_take(1, start));
  CHECK_FALSE(bucket.try_take(1, start));
  CHECK_FALSE(bucket.try_take(1, start + 99ms));
  CHECK(bucket.try_take(1, start + 100ms));
  CHECK(bucket.available(start + 1h) == 5.0);
}

TEST_CASE("waiting as long as the bucket says is enough", "[flow][bucket]") {
  rng random{5};
  token_bucket bucket{{.rate_per_second = 7.3, .burst_max = 20}, start};
  auto now = start;
  for (int i = 0; i < 10'000; ++i) {
    auto n = 1.0 + random.uniform() * 19.0;
    auto wait = bucket.wait_for(n, now);
    REQUIRE(bucket.try_take(n, now) == (wait == duration::zero()));
    if (wait == duration::zero())
      continue;
    REQUIRE(wait <= 3s); // 20 / 7.3
    now += wait;
    REQUIRE(bucket.try_take(n, now));
  }
}

TEST_CASE("no span of time admits more than burst plus rate", "[flow][bucket]") {
  rng random{6};
  token_bucket bucket{{.rate_per_second = 100, .burst_max = 50}, start};
  auto now = start;
  double taken = 0;
  double refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::microseconds{random.below(4000)};
    (bucket.try_take(1, now) ? taken : refused) += 1;
    auto seconds = std::chrono::duration<double>(now - start).count();
    REQUIRE(taken <= 50 + 100 * seconds + 1e-6);
  }
  auto seconds = std::chrono::duration<double>(now - start).count();
  CHECK(taken >= 100 * seconds - 1); // Nothing that was due is lost either.
  CHECK(refused > 0);
}

TEST_CASE("a charge beyond the estimate is paid by waiting longer", "[flow][bucket]") {
  token_bucket bucket{{.rate_per_second = 10, .burst_max = 10}, start};
  bucket.charge(30, start);
  CHECK(bucket.available(start) == -20.0);
  CHECK_FALSE(bucket.try_take(1, start + 2s));
  CHECK(bucket.try_take(1, start + 2100ms + 1us));
  bucket.give_back(100, start + 3s);
  CHECK(bucket.available(start + 3s) == 10.0);
}

TEST_CASE("a clock read before another caller's does not drain the bucket", "[flow][bucket]") {
  token_bucket bucket{{.rate_per_second = 1, .burst_max = 2}, start};
  CHECK(bucket.try_take(1, start + 1s));
  CHECK(bucket.try_take(1, start));
  CHECK_FALSE(bucket.try_take(1, start + 1s));
}
