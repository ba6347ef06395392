#include "runtime/flow/hedge_policy.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <vector>

using namespace skep;
using namespace skep::flow;
using std::chrono::milliseconds;

namespace {

constexpr time_point start{1h};

hedge_config of_few() {
  hedge_config config;
  config.samples_min = 20;
  config.samples_max = 100;
  return config;
}

} // namespace

TEST_CASE("nothing is hedged before enough latencies are known", "[flow][hedge]") {
  hedge_policy policy{of_few()};
  for (int n = 0; n < 19; ++n)
    policy.on_latency(100, 10ms);
  CHECK(!policy.delay(100));
  policy.on_latency(100, 10ms);
  CHECK(policy.delay(100) == 10ms);
}

TEST_CASE("the delay is the percentile of the latest latencies", "[flow][hedge]") {
  hedge_policy policy{of_few()};
  for (int n = 100; n > 0; --n)
    policy.on_latency(100, milliseconds{n});
  CHECK(policy.delay(100) == 95ms);
  // Faster ones take the places of the oldest, which were the slowest.
  for (int n = 0; n < 50; ++n)
    policy.on_latency(100, 1ms);
  CHECK(policy.delay(100) == 45ms);
  for (int n = 0; n < 50; ++n)
    policy.on_latency(100, duration{5});
  CHECK(policy.delay(100) == 1ms);
  for (int n = 0; n < 50; ++n)
    policy.on_latency(100, duration{5});
  CHECK(policy.delay(100) == of_few().delay_min);
}

TEST_CASE("a large call is compared with calls of its own size", "[flow][hedge]") {
  hedge_policy policy{of_few()};
  for (int n = 0; n < 20; ++n) {
    policy.on_latency(100, 10ms);
    policy.on_latency(100'000, 900ms);
  }
  CHECK(policy.delay(100) == 10ms);
  CHECK(policy.delay(90'000) == 900ms);
  CHECK(!policy.delay(5'000));
  CHECK(!policy.delay(0));
  CHECK(!policy.delay(~std::uint64_t{0}));
}

TEST_CASE("the budget grants a share of the calls and counts what it refuses", "[flow][hedge]") {
  hedge_policy policy{of_few()};
  CHECK(!policy.try_hedge(start));
  for (int n = 0; n < 40; ++n)
    policy.on_call(start);
  CHECK(policy.try_hedge(start));
  CHECK(policy.try_hedge(start));
  CHECK(!policy.try_hedge(start));
  CHECK(policy.refusals() == 2);
  // What was earned long ago is worth nothing any more.
  for (int n = 0; n < 40; ++n)
    policy.on_call(start + 1min);
  CHECK(!policy.try_hedge(start + 3min));
}

namespace {

/// One upstream with a tail, one call a time, played through as an owner of the policy does.
struct upstream_play {
  hedge_policy policy{hedge_config{}};
  rng random{5};
  time_point now = start;
  int calls = 0;
  int hedges = 0;

  /// What the caller waits, and the upstream's own time with it.
  duration call(double straggler_share, duration usual, duration straggler) {
    const auto draw = [&] {
      const auto body = usual + usual / 10 * random.below(5) / 5;
      return random.uniform() < straggler_share ? straggler : body;
    };
    now += 10ms;
    ++calls;
    policy.on_call(now);
    auto took = draw();
    const auto wait = policy.delay(100);
    if (wait && took > *wait && policy.try_hedge(now + *wait)) {
      ++hedges;
      took = std::min(took, *wait + draw());
    }
    policy.on_latency(100, took);
    return took;
  }
};

} // namespace

TEST_CASE("hedging cuts a tail of stragglers for few calls more", "[flow][hedge]") {
  upstream_play play;
  int slow = 0;
  for (int n = 0; n < 20'000; ++n)
    slow += play.call(0.02, 20ms, 1s) > 500ms ? 1 : 0;
  // Without hedging 2 % of 20,000 would be slow.
  CHECK(slow < 40);
  CHECK(play.hedges > 300);
  CHECK(play.hedges <= play.calls / 20);
}

TEST_CASE("when everything becomes slow at once, the percentile follows", "[flow][hedge]") {
  upstream_play play;
  for (int n = 0; n < 2000; ++n)
    play.call(0, 20ms, 1s);
  const auto before = play.hedges;
  for (int n = 0; n < 1000; ++n)
    play.call(0, 400ms, 1s);
  CHECK(play.hedges - before < 100);
  CHECK(*play.policy.delay(100) >= 400ms);
}

TEST_CASE("when everything gets slower and slower, hedging adds no more than its budget",
          "[flow][hedge]") {
  upstream_play play;
  for (int n = 0; n < 300; ++n)
    play.call(0, 20ms, 1s);
  auto usual = duration{20ms};
  for (int n = 0; n < 1000; ++n) {
    play.call(0, usual, 1s);
    usual += usual / 100; // Each call is slower than nearly all before it.
  }
  CHECK(play.hedges <= play.calls / 20);
  CHECK(play.policy.refusals() > 500);
}
