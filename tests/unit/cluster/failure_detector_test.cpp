#include "runtime/cluster/failure_detector.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::rt;

namespace {

/// An observer that ticks every 100 ms and one peer it hears when the test says so.
struct observed_peer {
  failure_detector detector;
  time_point now{1h};

  explicit observed_peer(failure_detector_config config = {}) : detector(config) {
    detector.tick(now);
    detector.watch("b", now);
  }

  /// Runs for `length` in ticks of `step`; `gap` says how long after one beat the next one comes.
  /// How often the peer counted as lost is returned.
  int run(duration length, const std::function<duration()>& gap, duration step = 100ms) {
    int accusations = 0;
    auto next = now + gap();
    for (const auto until = now + length; now < until;) {
      now += step;
      for (; next <= now; next += gap())
        detector.heard("b", next);
      detector.tick(now);
      accusations += lost() ? 1 : 0;
    }
    return accusations;
  }

  /// Silence, until the peer counts as lost; nothing when it does not within a minute.
  std::optional<duration> silence_until_lost(duration step = 100ms) {
    const auto from = now;
    while (now - from < 1min) {
      now += step;
      detector.tick(now);
      if (lost())
        return now - from;
    }
    return std::nullopt;
  }

  bool lost() const {
    return !detector.lost(now).empty();
  }
};

duration every_250ms() {
  return 250ms;
}

} // namespace

TEST_CASE("a peer that goes silent is lost after about two seconds", "[cluster][detector]") {
  observed_peer p;
  CHECK(p.run(30s, every_250ms) == 0);
  const auto found = p.silence_until_lost();
  REQUIRE(found);
  CHECK(*found >= 1500ms);
  CHECK(*found <= 2200ms);
}

TEST_CASE("a peer that is never heard after its session began is lost as well",
          "[cluster][detector]") {
  observed_peer p;
  const auto found = p.silence_until_lost();
  REQUIRE(found);
  CHECK(*found >= 1500ms);
  CHECK(*found <= 2200ms);
}

TEST_CASE("suspicion grows with the silence and falls with the next beat", "[cluster][detector]") {
  observed_peer p;
  p.run(10s, every_250ms);
  double before = p.detector.phi("b", p.now);
  CHECK(before < 0.1);
  for (int i = 0; i < 40; ++i) {
    p.now += 100ms;
    p.detector.tick(p.now);
    const double phi = p.detector.phi("b", p.now);
    CHECK(phi >= before);
    before = phi;
  }
  CHECK(before == 100.0);
  p.detector.heard("b", p.now);
  CHECK(p.detector.phi("b", p.now) < 0.1);
  CHECK_FALSE(p.lost());
}

TEST_CASE("jitter up to 400 ms gives no false accusation in 100,000 beats", "[cluster][detector]") {
  observed_peer p;
  flow::rng random{7};
  const auto jitter = [&random] { return duration{1ms} * random.below(401); };
  // 100,000 beats of 200 ms on average.
  CHECK(p.run(20'000s, jitter) == 0);
  SECTION("and a death is still found in time") {
    const auto found = p.silence_until_lost();
    REQUIRE(found);
    CHECK(*found <= 2600ms);
  }
}

TEST_CASE("silence above three seconds is a loss whatever the history", "[cluster][detector]") {
  flow::rng random{11};
  for (int round = 0; round < 200; ++round) {
    observed_peer p;
    const auto longest = random.below(2500) + 1;
    p.run(60s, [&] { return duration{1ms} * (random.below(longest) + 1); });
    const auto found = p.silence_until_lost();
    REQUIRE(found);
    CHECK(*found <= 3100ms); // One tick of 100 ms on top.
  }
}

TEST_CASE("heavy traffic does not make the detector hasty", "[cluster][detector]") {
  observed_peer p;
  p.run(10s, [] { return duration{5ms}; });
  CHECK(p.run(60s, every_250ms) == 0);
  const auto found = p.silence_until_lost();
  REQUIRE(found);
  CHECK(*found >= 1500ms);
}

TEST_CASE("an observer that was stopped accuses nobody until it has run for long enough",
          "[cluster][detector]") {
  observed_peer p;
  p.run(30s, every_250ms);
  const auto silence_before = GENERATE(0ms, 200ms, 800ms);
  for (auto left = silence_before; left > 0ms; left -= 100ms) {
    p.now += 100ms;
    p.detector.tick(p.now);
  }
  p.now += 5s;
  // Before the tick that shows the pause as well as after it.
  CHECK_FALSE(p.lost());
  p.detector.tick(p.now);
  CHECK_FALSE(p.lost());
  CHECK(p.detector.health() < 0.5);
  SECTION("a peer that beats again is never accused") {
    CHECK(p.run(30s, every_250ms) == 0);
    CHECK(p.detector.health() > 0.99);
  }
  SECTION("a peer that died meanwhile is found, later than by a healthy observer") {
    const auto found = p.silence_until_lost();
    REQUIRE(found);
    CHECK(*found >= 2s);
    CHECK(*found <= 6s);
  }
}

TEST_CASE("a starved observer accuses nobody and still finds the dead", "[cluster][detector]") {
  observed_peer p;
  flow::rng random{3};
  // It runs once in 1.5 s; what came in between is told late.
  CHECK(p.run(600s, every_250ms, 1500ms) == 0);
  CHECK(p.detector.health() < 0.5);
  const auto found = p.silence_until_lost(1500ms);
  REQUIRE(found);
  CHECK(*found <= 20s);
}

TEST_CASE("what was heard before our own pause may be told after it", "[cluster][detector]") {
  observed_peer p;
  p.run(10s, every_250ms);
  p.now += 100ms;
  p.detector.tick(p.now);
  const auto heard = p.now + 50ms;
  p.now += 20s;
  p.detector.tick(p.now);
  p.detector.heard("b", heard);
  CHECK_FALSE(p.lost());
  CHECK(p.detector.phi("b", p.now) < 1.0);
}

TEST_CASE("news of the past changes nothing", "[cluster][detector]") {
  observed_peer p;
  p.run(10s, every_250ms);
  const auto heard = p.now;
  p.detector.heard("b", heard);
  p.now += 2500ms;
  for (int i = 0; i < 25; ++i)
    p.detector.tick(p.now - 100ms * (24 - i));
  CHECK(p.lost());
  p.detector.heard("b", heard);
  p.detector.heard("b", heard - 1s);
  CHECK(p.lost());
}

TEST_CASE("forgotten and unknown peers are never lost; a new session starts afresh",
          "[cluster][detector]") {
  observed_peer p;
  REQUIRE(p.silence_until_lost());
  CHECK(p.detector.lost(p.now) == std::vector<std::string>{"b"});
  p.detector.watch("b", p.now);
  CHECK_FALSE(p.lost());
  REQUIRE(p.silence_until_lost());
  p.detector.forget("b");
  CHECK_FALSE(p.lost());
  CHECK(p.detector.phi("b", p.now) == 0.0);
  p.detector.heard("nobody", p.now);
  CHECK(p.detector.phi("nobody", p.now) == 0.0);
}
