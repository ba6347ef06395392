#include "actors/balancer/balancer.hpp"
#include "actors/pool/pool.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <caf/send.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::please;
using skep::test::worker;

namespace {

struct house {
  explicit house(pool_config bounds, test_system::hops how = test_system::hops::native) : sys(how) {
    worker::reset();
    const auto& workers = sys.kind("worker");
    auto& env = sys.env();
    raw = sys.env().spawn<pool>(sys.kind("pool"), "worker", bounds,
                                [&env, &workers] { return env.spawn<worker>(workers); });
    to = sys.adopt(raw);
    caf::anon_send(raw, msg::ack{});
    sys.run();
  }
  pool_stats stats() const {
    return static_cast<pool&>(*caf::actor_cast<caf::abstract_actor*>(raw)).stats();
  }

  test_system sys;
  caf::actor raw;
  caf::actor to;
};

pool_config bounds(std::uint32_t idle_min, std::uint32_t size_max, bool warm_up = true) {
  pool_config c;
  c.idle_min = idle_min;
  c.size_max = size_max;
  c.overflow_max = 0;
  c.warm_up = warm_up;
  c.idle_ttl = std::chrono::seconds{10};
  return c;
}

} // namespace

TEST_CASE("a pool warms up and reuses its instances", "[actors][pool]") {
  house h{bounds(3, 10), GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  CHECK(h.stats().size == 3);
  CHECK(h.stats().idle == 3);
  for (int n = 0; n < 20; ++n)
    CHECK(h.sys.ask(h.to, please("echo"))->story() == "reply");
  CHECK(h.stats().spawned == 3);
  CHECK(h.stats().checkouts == 20);
  CHECK(h.stats().idle == 3);
}

TEST_CASE("a pool grows to its bound, refuses beyond it and recovers at once", "[actors][pool]") {
  house h{bounds(0, 2)};
  auto first = h.sys.ask(h.to, please("hold"));
  auto second = h.sys.ask(h.to, please("hold"));
  auto third = h.sys.ask(h.to, please("echo"));
  CHECK(third->why().code == errc::overloaded);
  CHECK(third->why().retry_after > 0ms);
  h.sys.give_up(first);
  CHECK(h.sys.ask(h.to, please("echo"))->story() == "reply");
  CHECK(h.stats().size == 2);
  CHECK(h.stats().refused == 1);
  h.sys.give_up(second);
  CHECK(h.stats().idle == 2);
}

TEST_CASE("instances idle too long go, the least recently used first, down to idle_min",
          "[actors][pool]") {
  house h{bounds(1, 10, false)};
  std::vector<std::shared_ptr<answers>> held;
  for (int n = 0; n < 4; ++n)
    held.push_back(h.sys.ask(h.to, please("hold")));
  for (auto& each : held)
    h.sys.give_up(each);
  CHECK(h.stats().idle == 4);
  h.sys.advance(5s);
  h.sys.ask(h.to, please("echo")); // One of them is younger now.
  h.sys.advance(8s);
  CHECK(h.stats().size == 1);
  CHECK(h.stats().evicted == 3);
  h.sys.advance(60s);
  CHECK(h.stats().size == 1);
}

TEST_CASE("an instance that fails is replaced and its call answered", "[actors][pool]") {
  house h{bounds(1, 1), GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  for (int n = 0; n < 3; ++n) {
    CHECK(h.sys.ask(h.to, please("throw"))->why().code == errc::actor_failed);
    CHECK(h.sys.ask(h.to, please("echo"))->story() == "reply");
  }
  CHECK(h.stats().discarded == 3);
  CHECK(h.stats().size == 1);
}

TEST_CASE("a pool that ends fails what its instances held", "[actors][pool]") {
  house h{bounds(0, 4)};
  auto held = h.sys.ask(h.to, please("hold"));
  caf::anon_send_exit(h.raw, caf::exit_reason::user_shutdown);
  h.sys.run();
  CHECK(held->story() == "failed");
  CHECK(held->ends() == 1);
}

TEST_CASE("a balancer spreads calls over live in-flight counts", "[actors][balancer]") {
  test_system sys{GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  worker::reset();
  std::vector<balancer_member> members;
  for (int n = 0; n < 4; ++n)
    members.push_back({sys.spawn<worker>(sys.kind("w" + std::to_string(n))), 1, 3});
  auto raw = sys.env().spawn<balancer>(sys.kind("balancer"), "workers", members);
  auto to = sys.adopt(raw);
  auto& inside = static_cast<balancer&>(*caf::actor_cast<caf::abstract_actor*>(raw));
  std::vector<std::shared_ptr<answers>> held;
  for (int n = 0; n < 12; ++n)
    held.push_back(sys.ask(to, please("hold")));
  for (std::size_t n = 0; n < 4; ++n)
    CHECK(inside.in_flight(n) == 3);
  CHECK(sys.ask(to, please("echo"))->why().code == errc::overloaded);
  for (auto& each : held)
    sys.give_up(each);
  for (std::size_t n = 0; n < 4; ++n)
    CHECK(inside.in_flight(n) == 0);
  CHECK(sys.ask(to, please("echo"))->story() == "reply");
}

TEST_CASE("a balancer passes over members whose circuit is open", "[actors][balancer]") {
  test_system sys;
  worker::reset();
  guard_config rules;
  rules.breaker.failures_max = 1;
  std::vector<balancer_member> members;
  std::vector<caf::actor> guards;
  for (int n = 0; n < 2; ++n) {
    auto child = sys.env().spawn<worker>(sys.kind("w" + std::to_string(n)));
    sys.adopt(child);
    guards.push_back(guard::make(sys.env(), "w" + std::to_string(n), rules));
    guard::of(guards.back()).put(child);
    members.push_back({guards.back(), 1, 100});
  }
  auto to = sys.spawn<balancer>(sys.kind("balancer"), "workers", members);
  sys.ask(guards[0], please("silent"));
  REQUIRE(guard::of(guards[0]).state() == flow::breaker_state::open);
  for (int n = 0; n < 50; ++n)
    CHECK(sys.ask(to, please("echo"))->story() == "reply");
}

TEST_CASE("a pool remembers for five minutes how many of its instances were at work at once",
          "[actors][pool]") {
  house h{bounds(2, 10)};
  CHECK(h.stats().busy_peak == 0); // To be warm is not to be at work.
  std::vector<std::shared_ptr<answers>> held;
  for (int n = 0; n < 4; ++n)
    held.push_back(h.sys.ask(h.to, please("hold")));
  CHECK(h.stats().busy_peak == 4); // Though none has come back.
  for (const auto& each : held)
    h.sys.give_up(each);
  CHECK(h.sys.ask(h.to, please("echo"))->story() == "reply");
  CHECK(h.stats().busy_peak == 4);
  h.sys.advance(6min);
  CHECK(h.stats().busy_peak == 0);
}

TEST_CASE("an instance that a call beyond size_max breaks is replaced as well", "[actors][pool]") {
  auto limits = bounds(1, 1);
  limits.overflow_max = 4;
  house h{limits};
  auto owner = h.sys.ask(h.to, please("hold"));
  CHECK(h.sys.ask(h.to, please("throw"))->why().code == errc::actor_failed);
  CHECK(h.stats().overflow == 0);
  h.sys.give_up(owner);
  CHECK(h.sys.ask(h.to, please("echo"))->story() == "reply");
  CHECK(h.stats().size == 1);
}
