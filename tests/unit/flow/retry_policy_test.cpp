#include "runtime/flow/retry_policy.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr time_point start{1h};
constexpr auto never_late = time_point::max();

/// A policy whose waits are short and whose budget is no bound, unless a test says otherwise.
retry_policy_config plain() {
  retry_policy_config config;
  config.budget.reserve_per_second = 1'000'000;
  config.invited.reserve_per_second = 1'000'000;
  return config;
}

/// A call whose every attempt fails at once, until the policy gives up.
struct failing_call {
  failing_call(retry_policy& rules, retry_class why, duration retry_after = {},
               time_point deadline = never_late) {
    auto state = rules.begin(now);
    while (const auto wait = rules.next(state, why, retry_after, deadline, now, random)) {
      ++attempts;
      shortest = std::min(shortest, *wait);
      longest = std::max(longest, *wait);
      now += *wait;
    }
  }

  rng random{5};
  time_point now = start;
  int attempts = 1;
  duration shortest = duration::max();
  duration longest{};
};

} // namespace

TEST_CASE("a failure that would come again is never retried", "[flow][retry]") {
  retry_policy rules{plain()};
  failing_call call{rules, retry_class::never, 1s};
  CHECK(call.attempts == 1);
  CHECK(rules.refusals() == 0);
}

TEST_CASE("a call is tried attempts_max times, the first included", "[flow][retry]") {
  auto config = plain();
  config.attempts_max = GENERATE(1u, 2u, 5u);
  retry_policy rules{config};
  failing_call call{rules, retry_class::counted};
  CHECK(call.attempts == static_cast<int>(config.attempts_max));
}

TEST_CASE("a paced call is tried paced_attempts_max times, never at once", "[flow][retry]") {
  auto config = plain();
  config.paced_attempts_max = GENERATE(1u, 4u, 7u);
  config.wait_max = 1h;
  retry_policy rules{config};
  failing_call call{rules, retry_class::paced};
  CHECK(call.attempts == static_cast<int>(config.paced_attempts_max));
  CHECK(call.shortest >= config.backoff.initial);
}

TEST_CASE("a lasting 429 is told within five seconds and four attempts", "[flow][retry]") {
  const duration asked = GENERATE(duration{}, duration{300ms}, duration{1s}, duration{3s});
  retry_policy rules{plain()};
  failing_call call{rules, retry_class::paced, asked};
  CHECK(call.attempts <= 4);
  CHECK(call.now - start <= 5s);
}

TEST_CASE("a bucket that fills once a minute lets a paced call in", "[flow][retry]") {
  auto config = plain();
  config.wait_max = 90s;
  retry_policy rules{config};
  rng random{5};
  auto state = rules.begin(start);
  const auto wait = rules.next(state, retry_class::paced, 60s, never_late, start, random);
  REQUIRE(wait);
  CHECK(*wait >= 60s);
}

TEST_CASE("paced failures leave the counted attempts alone", "[flow][retry]") {
  retry_policy rules{plain()};
  rng random{5};
  auto state = rules.begin(start);
  auto now = start;
  for (int n = 0; n < 3; ++n) {
    now += 1s;
    REQUIRE(rules.next(state, retry_class::paced, 1s, never_late, now, random));
  }
  CHECK(rules.next(state, retry_class::counted, {}, never_late, now, random));
  CHECK(rules.next(state, retry_class::counted, {}, never_late, now, random));
  CHECK_FALSE(rules.next(state, retry_class::counted, {}, never_late, now, random));
}

TEST_CASE("what the upstream asked for is spread a little and never undercut", "[flow][retry]") {
  auto config = plain();
  config.attempts_max = 100;
  config.paced_attempts_max = 100;
  config.wait_max = 1h;
  const auto why = GENERATE(retry_class::counted, retry_class::paced);
  const duration asked = GENERATE(duration{50ms}, duration{10s});
  retry_policy rules{config};
  failing_call call{rules, why, asked};
  const auto spread = std::max<duration>(config.backoff.initial, asked / 10);
  CHECK(call.attempts > 3);
  CHECK(call.shortest >= asked);
  CHECK(call.longest <= asked + spread);
  CHECK(call.longest > call.shortest);
}

TEST_CASE("a wait that goes beyond wait_max is not begun", "[flow][retry]") {
  auto config = plain();
  config.attempts_max = 100;
  config.paced_attempts_max = 100;
  config.wait_max = 4s;
  retry_policy rules{config};
  failing_call call{rules, GENERATE(retry_class::counted, retry_class::paced), 1s};
  CHECK(call.attempts == 4); // Three waits of a second and a bit; the fourth would not fit.
  CHECK(call.now - start <= 4s);
}

TEST_CASE("a wait takes at most half of the time that is left", "[flow][retry]") {
  const auto why = GENERATE(retry_class::counted, retry_class::paced);
  retry_policy rules{plain()};
  CHECK(failing_call{rules, why, 1s, start + 1s}.attempts == 1);
  CHECK(failing_call{rules, why, 1s, start + 2s}.attempts == 1);
  CHECK(failing_call{rules, why, 1s, start + 3s}.attempts == 2);
}

TEST_CASE("retries of all calls together stay within the budget", "[flow][retry]") {
  auto config = plain();
  config.budget = {.retry_ratio = 0.1, .reserve_per_second = 0};
  retry_policy rules{config};
  rng random{5};
  int retries = 0;
  for (int n = 0; n < 1'000; ++n) {
    auto state = rules.begin(start);
    while (rules.next(state, retry_class::counted, {}, never_late, start, random))
      ++retries;
  }
  CHECK(retries == 100);
  CHECK(rules.refusals() >= 900);
}

TEST_CASE("retries the upstream asked for have a budget of their own", "[flow][retry]") {
  auto config = plain();
  config.budget = {.retry_ratio = 0.0, .reserve_per_second = 0};
  config.invited = {.retry_ratio = 0.5, .reserve_per_second = 0};
  retry_policy rules{config};
  rng random{5};
  int retries = 0;
  for (int n = 0; n < 100; ++n) {
    auto state = rules.begin(start);
    CHECK_FALSE(rules.next(state, retry_class::counted, 1s, never_late, start, random));
    CHECK_FALSE(rules.next(state, retry_class::paced, {}, never_late, start, random));
    if (rules.next(state, retry_class::paced, 1s, never_late, start, random))
      ++retries;
  }
  CHECK(retries == 50);
}

TEST_CASE("a call that stops for its own reason leaves the budget to others", "[flow][retry]") {
  auto config = plain();
  config.attempts_max = 1;
  config.budget = {.retry_ratio = 1.0, .reserve_per_second = 0};
  retry_policy rules{config};
  rng random{5};
  auto spent = rules.begin(start);
  CHECK_FALSE(rules.next(spent, retry_class::counted, {}, never_late, start, random));
  CHECK_FALSE(rules.next(spent, retry_class::paced, 1s, start + 1s, start, random));
  CHECK(rules.next(spent, retry_class::paced, 1s, never_late, start, random));
}
