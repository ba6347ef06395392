#include "actors/balancer/balancer.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/flow/rng.hpp"
#include "runtime/flow/thread_rng.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <algorithm>
#include <map>
#include <string>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;

namespace {

/// Answers, or fails like a server's 5xx, as often as the test says.
class moody : public bounded_actor {
public:
  struct mood {
    double failures = 0;
    flow::rng random{1};
    std::uint64_t calls = 0;
  };

  moody(caf::actor_config& config, environment& env, const actor_kind& kind, mood& mine)
    : bounded_actor(config, env, kind), mood_(mine) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::chat_request& r) {
      ++mood_.calls;
      if (mood_.random.uniform() < mood_.failures)
        return refuse(c, failure{errc::provider_failed, "it said 500"});
      msg::chat_reply answer;
      answer.model = r.model;
      reply(c, std::move(answer));
    }};
  }

private:
  mood& mood_;
};

struct house {
  explicit house(std::size_t count, health_rules rules = {}, bool breakers = false) : moods(count) {
    flow::thread_rng() = flow::rng{7}; // All picks are made on this thread.
    guard_config guarding;
    guarding.use_breaker = breakers;
    std::vector<balancer_member> members;
    for (std::size_t n = 0; n < count; ++n) {
      moods[n].random = flow::rng{n + 1};
      const auto name = "m" + std::to_string(n);
      guards.push_back(guard::make(sys.env(), name, guarding));
      guard::of(guards.back()).put(sys.adopt(sys.env().spawn<moody>(sys.kind(name), moods[n])));
      members.push_back({guards.back(), 1, 1000, 0});
    }
    to = sys.adopt(
      sys.env().spawn<balancer>(sys.kind("balancer"), "b", members, affinity_rules{}, rules));
  }

  /// So many calls in so much time; each member's share of them.
  std::vector<double> run(int calls, duration length) {
    for (auto& each : moods)
      each.calls = 0;
    for (int n = 0; n < calls; ++n) {
      errors += sys.ask(to, test::please("echo"))->why().code != errc::none ? 1 : 0;
      sys.advance(length / calls);
    }
    std::vector<double> shares;
    for (const auto& each : moods)
      shares.push_back(static_cast<double>(each.calls) / calls);
    return shares;
  }
  std::int64_t ejected() {
    return sys.env().metrics().gauge("skep_balancer_ejected", "", {{"name", "b"}}).value();
  }
  std::uint64_t ejections(const std::string& reason) {
    return sys.env()
      .metrics()
      .counter("skep_balancer_ejections_total", "", {{"name", "b"}, {"reason", reason}})
      .value();
  }

  test_system sys;
  std::vector<moody::mood> moods;
  std::vector<caf::actor> guards;
  caf::actor to;
  int errors = 0;
};

} // namespace

TEST_CASE("a member that only fails is ejected after five calls and comes back by a ramp",
          "[actors][balancer][outlier]") {
  house h{3};
  h.moods[1].failures = 1;
  h.run(60, 1s);
  CHECK(h.ejected() == 1);
  CHECK(h.ejections("consecutive_failures") == 1);
  CHECK(h.errors == 5);
  h.moods[1].failures = 0;
  CHECK(h.run(300, 28s)[1] == 0);
  h.sys.advance(2s); // 30 s since its ejection at the latest.
  CHECK(h.ejected() == 0);
  // A tenth of its weight at first, then more and more.
  const auto first = h.run(200, 1s)[1];
  CHECK(first > 0);
  CHECK(first < 0.15);
  h.sys.advance(4s);
  const auto middle = h.run(300, 1s)[1];
  CHECK(middle > first);
  CHECK(middle < 0.32);
  h.sys.advance(6s);
  CHECK(h.run(600, 1s)[1] == Approx(1 / 3.0).margin(0.07));
  CHECK(h.errors == 5);
}

TEST_CASE("of two members none is ejected", "[actors][balancer][outlier]") {
  house h{2};
  h.moods[0].failures = 1;
  h.run(100, 1s);
  CHECK(h.ejected() == 0);
}

TEST_CASE("when all members fail one may be out, the others go on being asked",
          "[actors][balancer][outlier]") {
  house h{6};
  for (auto& each : h.moods)
    each.failures = 1;
  const auto shares = h.run(600, 20s);
  CHECK(h.ejected() == 1);
  CHECK(std::count_if(shares.begin(), shares.end(), [](double s) { return s > 0.1; }) >= 5);
}

TEST_CASE("ejection can be switched off", "[actors][balancer][outlier]") {
  health_rules rules;
  rules.eject = false;
  house h{6, rules};
  h.moods[0].failures = 1;
  CHECK(h.run(600, 60s)[0] > 0.1);
  CHECK(h.ejected() == 0);
}

TEST_CASE("of six members one that fails half of its calls is out in time, again and again, and "
          "comes back gradually",
          "[actors][balancer][outlier]") {
  house h{6};
  h.moods[4].failures = 0.5;
  // 120 calls a second, 20 at each: by chance five in a row within seconds, by the success rate
  // with the second sweep at the latest.
  auto out_after = 0s;
  while (h.ejected() == 0 && out_after < 60s) {
    h.run(120, 1s);
    out_after += 1s;
  }
  CHECK(out_after <= 21s);
  h.run(2400, 20s);
  h.errors = 0;
  CHECK(h.run(600, 5s)[4] == 0);
  CHECK(h.errors == 0);
  h.moods[4].failures = 0; // Mended.
  while (h.ejected() != 0)
    h.run(120, 1s);
  double last = 0;
  for (int n = 0; n < 3; ++n) {
    const auto share = h.run(600, 3s)[4];
    CHECK(share > last);
    CHECK(share < 1 / 6.0);
    last = share;
  }
  h.sys.advance(3s);
  CHECK(h.run(1200, 1s)[4] == Approx(1 / 6.0).margin(0.04));
  CHECK(h.errors == 0);
}

TEST_CASE("the success rate alone ejects a member that never fails five times in a row",
          "[actors][balancer][outlier]") {
  health_rules rules;
  rules.outlier.consecutive_failures_max = 0;
  house h{6, rules};
  h.moods[2].failures = 0.4;
  h.run(3000, 25s);
  CHECK(h.ejections("success_rate") == 1);
  CHECK(h.ejected() == 1);
}

TEST_CASE("when the others refuse, the ejected member is taken back",
          "[actors][balancer][outlier]") {
  house h{3, {}, true};
  h.moods[0].failures = 1;
  for (int n = 0; h.ejected() == 0 && n < 100; ++n)
    h.run(1, 1ms);
  REQUIRE(h.ejected() == 1);
  h.moods[0].failures = 0;
  h.sys.advance(2s); // Its circuit lets a probe in.
  for (const auto n : {1u, 2u})
    guard::of(h.guards[n]).set_draining(true);
  h.run(1, 1ms); // Finds nobody, and says so.
  CHECK(h.ejected() == 0);
  h.errors = 0;
  h.run(20, 1s);
  CHECK(h.errors == 0);
}

TEST_CASE("a member whose circuit closed again begins with a small share",
          "[actors][balancer][outlier]") {
  health_rules rules;
  rules.eject = false; // The breaker alone.
  house h{4, rules, true};
  h.moods[3].failures = 1;
  h.run(400, 500ms);
  REQUIRE(guard::of(h.guards[3]).state() != flow::breaker_state::closed);
  h.moods[3].failures = 0;
  for (int n = 0; guard::of(h.guards[3]).state() != flow::breaker_state::closed && n < 100; ++n)
    h.run(20, 200ms);
  REQUIRE(guard::of(h.guards[3]).state() == flow::breaker_state::closed);
  CHECK(h.run(300, 1s)[3] < 0.12);
  h.sys.advance(10s);
  CHECK(h.run(800, 1s)[3] == Approx(0.25).margin(0.07));
}
