// The bars of the upstream policy, with the defaults of its parts (docs/upstream-policy.md).
#include "tests/sim/overload_sim.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

using namespace skep;
using skep::test::overload_result;
using skep::test::overload_rules;
using skep::test::overload_sim;
using skep::test::upstream_mood;

namespace {

/// 20 places of half a second each, asked through the whole policy.
overload_rules standard(std::uint64_t seed) {
  overload_rules rules;
  rules.seed = seed;
  rules.gate.use_limit = true;
  rules.gate.use_quota_hold = true;
  return rules;
}

overload_rules loaded(std::uint64_t seed, std::uint32_t places, double load) {
  auto rules = standard(seed);
  rules.upstream.places = places;
  rules.offered = load * rules.upstream.capacity();
  return rules;
}

double counted_seconds(const overload_rules& rules) {
  return std::chrono::duration<double>(rules.length - rules.warm_up).count();
}

/// Answers in time, as a share of what the upstream could give.
double goodput(const overload_rules& rules, const overload_result& result) {
  return static_cast<double>(result.good) / counted_seconds(rules) / rules.upstream.capacity();
}

double answered(const overload_result& result) {
  return static_cast<double>(result.good) / static_cast<double>(result.calls);
}

std::string line(const char* what, const overload_rules& rules, const overload_result& r) {
  char out[200];
  std::snprintf(out, sizeof out,
                "seed=%llu %s: goodput %.3f, answered %.3f, attempts per call %.3f, per admitted "
                "call %.3f, limit %u..%u, trips %llu",
                static_cast<unsigned long long>(rules.seed), what, goodput(rules, r), answered(r),
                r.per_call(), r.per_admitted(), r.limit_least, r.limit_most,
                static_cast<unsigned long long>(r.trips));
  return out;
}

/// How long after `from` the answers of five seconds in a row first reach nine tenths of what is
/// offered.
std::optional<std::size_t> recovered_after(const overload_rules& rules, const overload_result& r,
                                           std::size_t from) {
  for (auto second = from; second + 5 < r.good_by_second.size(); ++second) {
    double good = 0;
    for (std::size_t n = 0; n < 5; ++n)
      good += r.good_by_second[second + n];
    if (good >= 0.9 * 5 * rules.offered)
      return second - from;
  }
  return std::nullopt;
}

constexpr std::uint64_t seeds = 3;

} // namespace

TEST_CASE("an overloaded upstream without the policy answers nobody in time", "[sim][overload]") {
  auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), 20, GENERATE(1.5, 2.0, 3.0));
  rules.policy = false;
  const auto result = overload_sim{rules}.run();
  INFO(line("no policy", rules, result));
  CHECK(goodput(rules, result) < 0.05);
}

TEST_CASE("with the policy an overloaded upstream is used to at least nine tenths",
          "[sim][overload]") {
  const auto places = GENERATE(8u, 20u, 60u, 120u);
  const auto load = GENERATE(1.0, 1.5, 2.0, 3.0);
  const auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), places, load);
  const auto result = overload_sim{rules}.run();
  INFO(line("policy", rules, result));
  CHECK(goodput(rules, result) >= 0.9);
}

TEST_CASE("below its capacity nearly every call is answered", "[sim][overload]") {
  const auto places = GENERATE(4u, 20u, 120u);
  const auto rules
    = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), places, GENERATE(0.25, 0.5, 0.75));
  const auto result = overload_sim{rules}.run();
  INFO(line("below capacity", rules, result));
  CHECK(answered(result) >= (places == 4 ? 0.97 : 0.99)); // Four places queue now and then.
}

TEST_CASE("an upstream that sheds what it cannot queue is used to nine tenths, too",
          "[sim][overload]") {
  auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), GENERATE(8u, 20u, 60u), 2.0);
  rules.upstream.queue_max = GENERATE(0u, 10u, 40u);
  const auto result = overload_sim{rules}.run();
  INFO(line("shedding", rules, result));
  CHECK(goodput(rules, result) >= 0.9);
}

TEST_CASE("a rate limit at half of what is offered is used to nine tenths", "[sim][overload]") {
  auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), 60, 0.35);
  rules.upstream.rate_max = rules.offered / 2;
  rules.patience = GENERATE(duration{2500ms}, duration{20s});
  const auto result = overload_sim{rules}.run();
  INFO(line("rate limited", rules, result));
  CHECK(answered(result) >= 0.45);
  // Calls turned away with a Retry-After may come back half as often as there are calls.
  CHECK(result.per_call() <= 1.6);
}

TEST_CASE("a failing upstream sees at most a fifth more attempts than there are calls",
          "[sim][overload]") {
  auto rules = standard(GENERATE(range<std::uint64_t>(1, seeds + 1)));
  rules.upstream.places = 60;
  rules.offered = GENERATE(4.0, 20.0, 80.0);
  rules.warm_up = 0s; // The onset counts.
  const auto failing = GENERATE(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0);
  const auto how = GENERATE(errc::provider_failed, errc::provider_overloaded, errc::rate_limited);
  SECTION("with the whole policy") {
    overload_sim sim{rules};
    sim.at(0s, {failing, how});
    const auto result = sim.run();
    INFO(line("failing", rules, result) << ", failing " << failing);
    CHECK(result.per_call() <= 1.2);
  }
  SECTION("even without the breaker and the limit: by the budget alone") {
    rules.gate.use_breaker = false;
    rules.gate.use_limit = false;
    overload_sim sim{rules};
    sim.at(0s, {failing, how});
    const auto result = sim.run();
    INFO(line("failing, no breaker", rules, result) << ", failing " << failing);
    CHECK(result.per_admitted() <= 1.21); // The budget's window has an edge at the start.
  }
}

TEST_CASE("without the policy a failing upstream sees three attempts per call", "[sim][overload]") {
  auto rules = standard(1);
  rules.policy = false;
  rules.offered = 20;
  overload_sim sim{rules};
  sim.at(0s, {1.0});
  CHECK(sim.run().per_call() > 2.9);
}

TEST_CASE("an upstream that is back is used again within a minute", "[sim][overload]") {
  auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), 20, 0.8);
  const std::size_t outage = GENERATE(5u, 30u, 120u, 300u);
  const bool silent = GENERATE(false, true);
  rules.length = 900s;
  overload_sim sim{rules};
  sim.at(150s, silent ? upstream_mood{0.0, errc::none, true} : upstream_mood{1.0});
  sim.at(150s + std::chrono::seconds{outage}, {});
  const auto result = sim.run();
  const auto took = recovered_after(rules, result, 150 + outage);
  INFO(line("outage", rules, result)
       << ", outage " << outage << " s, silent " << silent << ", recovered after "
       << (took ? std::to_string(*took) : "never"));
  REQUIRE(took);
  // The circuit is open for about as long as it was before, at most open_max; then one probe.
  CHECK(*took <= std::min<std::size_t>(outage, 60) + 10);
}

TEST_CASE("the adaptive limit finds what an upstream serves at once", "[sim][overload]") {
  const auto places = GENERATE(8u, 20u, 60u, 120u);
  auto rules = loaded(GENERATE(range<std::uint64_t>(1, seeds + 1)), places, 2.0);
  const auto share = [&](std::uint32_t limit) { return static_cast<double>(limit) / places; };
  SECTION("closely, when it sheds the excess") {
    rules.upstream.queue_max = 0;
    const auto result = overload_sim{rules}.run();
    INFO(line("shedding", rules, result));
    CHECK(share(result.limit_least) >= 0.75);
    CHECK(share(result.limit_most) <= 1.4);
  }
  SECTION("up to what deadlines allow, when it queues and was never seen unloaded") {
    const auto result = overload_sim{rules}.run();
    INFO(line("queueing", rules, result));
    CHECK(share(result.limit_least) >= 0.8);
    CHECK(share(result.limit_most) <= 5.0); // Patience over service time: later answers are late.
  }
}

TEST_CASE("lasting overload does not carry the limit past what deadlines allow",
          "[sim][overload]") {
  auto rules = loaded(1, 20, 2.0);
  rules.warm_up = 3600s;
  rules.length = 4 * 3600s;
  const auto result = overload_sim{rules}.run();
  INFO(line("hours of overload", rules, result));
  CHECK(goodput(rules, result) >= 0.9);
  CHECK(result.limit_most <= 100);
}

TEST_CASE("a simulation of one seed repeats itself", "[sim][overload]") {
  const auto rules = loaded(7, 20, 2.0);
  const auto first = overload_sim{rules}.run();
  const auto second = overload_sim{rules}.run();
  CHECK(first.good == second.good);
  CHECK(first.attempts == second.attempts);
  CHECK(first.good_by_second == second.good_by_second);
}
