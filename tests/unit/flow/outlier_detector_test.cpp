#include "runtime/flow/outlier_detector.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr time_point start{1h};
const outlier_detector::usable_fn everybody = [](std::size_t) { return true; };

bool fail_times(outlier_detector& detector, std::size_t member, int times) {
  bool tripped = false;
  for (int n = 0; n < times; ++n)
    tripped = detector.report(member, false);
  return tripped;
}

void calls(outlier_detector& detector, std::size_t member, int ok, int failed) {
  for (int n = 0; n < std::max(ok, failed); ++n) {
    // Mixed, so that no row of failures forms.
    if (n < failed)
      detector.report(member, false);
    if (n < ok)
      detector.report(member, true);
  }
}

bool eject(outlier_detector& detector, std::size_t member, time_point now,
           const outlier_detector::usable_fn& usable = everybody) {
  return detector.try_eject(member, ejection_reason::consecutive_failures, now, usable).has_value();
}

} // namespace

TEST_CASE("five failures in a row trip a member, a success in between does not",
          "[flow][outlier]") {
  outlier_detector detector{{}, 5};
  CHECK_FALSE(fail_times(detector, 0, 4));
  CHECK(detector.report(0, false));
  CHECK_FALSE(fail_times(detector, 1, 4));
  CHECK_FALSE(detector.report(1, true));
  CHECK_FALSE(fail_times(detector, 1, 4));
  CHECK(detector.report(1, false));
  CHECK_FALSE(fail_times(detector, 0, 4)); // Counted on, in case it was not ejected.
  CHECK(detector.report(0, false));
}

TEST_CASE("an ejection takes 30 s times its number, at most 300 s, and is forgotten slowly",
          "[flow][outlier]") {
  outlier_detector detector{{}, 5};
  auto now = start;
  for (int n = 1; n <= 12; ++n) {
    const auto until = detector.try_eject(0, ejection_reason::consecutive_failures, now, everybody);
    REQUIRE(until);
    CHECK(*until - now == std::min(30s * n, 300s));
    CHECK(detector.ejected(0));
    CHECK_FALSE(eject(detector, 0, now));
    CHECK(detector.take_back(*until - 1ms).empty());
    CHECK(detector.take_back(*until) == std::vector<std::size_t>{0});
    CHECK_FALSE(detector.ejected(0));
    now = *until;
  }
  // The sweep after its return still belongs to the ejection; eleven good intervals leave one.
  for (int n = 0; n < 12; ++n)
    detector.sweep(now += 10s, everybody);
  const auto again = detector.try_eject(0, ejection_reason::consecutive_failures, now, everybody);
  REQUIRE(again);
  CHECK(*again - now == 60s);
}

TEST_CASE("at most a tenth is ejected, but one always may be", "[flow][outlier]") {
  for (const std::size_t members : {3u, 9u, 20u, 35u}) {
    outlier_detector detector{{}, members};
    std::size_t out = 0;
    for (std::size_t n = 0; n < members; ++n)
      out += eject(detector, n, start) ? 1u : 0u;
    CHECK(out == std::max<std::size_t>(1, members / 10));
    CHECK(detector.counts().suppressed == members - out);
  }
}

TEST_CASE("with fewer than three members nobody is ejected", "[flow][outlier]") {
  outlier_detector detector{{}, 2};
  CHECK_FALSE(eject(detector, 0, start));
  CHECK_FALSE(eject(detector, 1, start));
}

TEST_CASE("nobody is ejected while too few others would take calls", "[flow][outlier]") {
  outlier_detector detector{{}, 3};
  // One other's circuit is open: with the member out, one of three would be left.
  CHECK_FALSE(eject(detector, 0, start, [](std::size_t n) { return n != 1; }));
  CHECK(detector.counts().suppressed == 1);
  CHECK(eject(detector, 0, start));
  CHECK(detector.take_back_in_panic(everybody).empty());
  const auto back = detector.take_back_in_panic([](std::size_t n) { return n != 1; });
  CHECK(back == std::vector<std::size_t>{0});
  CHECK_FALSE(detector.ejected(0));
}

TEST_CASE("a success rate far below the others' ejects, whatever the order of its failures",
          "[flow][outlier]") {
  outlier_detector detector{{}, 6};
  for (std::size_t n = 0; n < 6; ++n)
    calls(detector, n, n == 3 ? 60 : 118, n == 3 ? 60 : 2);
  CHECK(detector.sweep(start, everybody) == std::vector<std::size_t>{3});
  CHECK(detector.counts().success_rate == 1);
}

TEST_CASE("success rates decide nothing with few members or few calls", "[flow][outlier]") {
  const std::size_t members = GENERATE(as<std::size_t>{}, 4, 6);
  outlier_detector detector{{}, members};
  for (std::size_t n = 0; n < members; ++n)
    calls(detector, n, n == 0 ? 0 : 99, n == 0 ? 99 : 0);
  if (members == 4)
    for (std::size_t n = 0; n < members; ++n)
      calls(detector, n, n == 0 ? 0 : 99, n == 0 ? 99 : 0);
  CHECK(detector.sweep(start, everybody).empty());
  CHECK(detector.sweep(start + 10s, everybody).empty()); // A sweep begins the count anew.
}

TEST_CASE("equal success rates eject nobody, good or bad", "[flow][outlier]") {
  outlier_detector detector{{}, 10};
  for (std::size_t n = 0; n < 10; ++n)
    calls(detector, n, 0, 200);
  CHECK(detector.sweep(start, everybody).empty());
}

TEST_CASE("ejection never removes everybody, whatever happens", "[flow][outlier]") {
  rng random{7};
  for (int round = 0; round < 300; ++round) {
    outlier_config config;
    config.members_min = 2 + random.below(3);
    config.ejected_share_max = random.uniform();
    config.healthy_share_min = random.uniform();
    config.consecutive_failures_max = 1 + random.below(5);
    config.rate_members_min = 3;
    config.rate_calls_min = 5;
    config.rate_sigmas = random.uniform() * 2;
    const std::size_t members = 1 + random.below(12);
    outlier_detector detector{config, members};
    std::vector<bool> willing(members, true);
    const outlier_detector::usable_fn usable = [&](std::size_t n) { return willing[n]; };
    auto now = start;
    for (int step = 0; step < 500; ++step) {
      now += std::chrono::milliseconds{random.below(2000)};
      const auto member = random.below(static_cast<std::uint32_t>(members));
      switch (random.below(8)) {
        case 0: willing[member] = random.below(2) == 0; break;
        case 1: detector.sweep(now, usable); break;
        case 2: detector.take_back(now); break;
        case 3: detector.take_back_in_panic(usable); break;
        default:
          if (detector.report(member, random.below(3) == 0))
            eject(detector, member, now, usable);
      }
      std::size_t in = 0;
      std::size_t out = 0;
      for (std::size_t n = 0; n < members; ++n)
        (detector.ejected(n) ? out : in) += 1;
      REQUIRE(in >= 1);
      REQUIRE(out == detector.ejected_count());
      REQUIRE(static_cast<double>(out)
              <= std::max(1.0, config.ejected_share_max * static_cast<double>(members)));
      REQUIRE(detector.next().has_value() == (out > 0));
    }
  }
}

TEST_CASE("reports of many threads are all counted", "[flow][outlier]") {
  outlier_config config;
  config.rate_calls_min = 20'000;
  config.consecutive_failures_max = 0;
  outlier_detector detector{config, 5};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&detector] {
      for (int n = 0; n < 5'000; ++n)
        for (std::size_t member = 0; member < 5; ++member)
          detector.report(member, member != 2 || n % 2 == 0);
    });
  for (auto& each : threads)
    each.join();
  // Every one of the 20,000 calls per member is needed for the rates to count at all.
  CHECK(detector.sweep(start, everybody) == std::vector<std::size_t>{2});
}
