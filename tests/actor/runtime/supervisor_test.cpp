#include "runtime/actor/guard.hpp"
#include "runtime/actor/supervisor.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <caf/send.hpp>

#include <map>

using namespace skep;
using namespace skep::rt;
using skep::test::please;
using skep::test::worker;

namespace {

/// A supervisor over workers "a", "b", "c" that counts their starts.
struct family {
  explicit family(restart_strategy strategy = restart_strategy::one_for_one,
                  restart_policy policy = restart_policy::permanent,
                  test_system::hops how = test_system::hops::native)
    : sys(how) {
    worker::reset();
    supervisor_config rules;
    rules.strategy = strategy;
    rules.restarts_max = 3;
    rules.restarts_window = 10s;
    rules.backoff_min = 10ms;
    rules.backoff_max = 40ms;
    guard_config guarded;
    guarded.breaker.failures_max = 100;
    std::vector<child_spec> specs;
    for (const auto* name : {"a", "b", "c"})
      specs.push_back({name, [this, name] { return start(name); }, policy, guarded});
    tree = supervisor::make(sys.env(), sys.kind("supervisor"), rules, std::move(specs));
    sys.adopt(tree.root);
    sys.run();
  }

  caf::actor start(const std::string& name) {
    ++starts[name];
    if (starts[name] <= failing_starts)
      throw std::runtime_error("no luck");
    auto made = sys.env().spawn<worker>(sys.kind(name));
    sys.adopt(made);
    return made;
  }
  caf::actor reach(std::size_t n) {
    return sys.env().reach(tree.guards[n]);
  }
  std::string story(std::size_t n) {
    return sys.ask(reach(n), please("echo"))->story();
  }

  test_system sys;
  std::map<std::string, int> starts;
  int failing_starts = 0;
  supervisor::tree tree;
};

/// Hears when somebody it monitors ends.
class watcher : public bounded_actor {
public:
  watcher(caf::actor_config& config, environment& env, const actor_kind& kind, caf::actor whom,
          int& heard)
    : bounded_actor(config, env, kind), heard_(heard) {
    monitor(whom);
  }

protected:
  caf::behavior make_behavior() override {
    return {[](const msg::ack&) {
      // It only watches.
    }};
  }
  void on_down(const caf::down_msg&) override {
    ++heard_;
  }

private:
  int& heard_;
};

} // namespace

TEST_CASE("a restarted child keeps its address", "[actor][supervisor]") {
  family f{restart_strategy::one_for_one, restart_policy::permanent,
           GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  CHECK(f.story(0) == "reply");
  CHECK(f.sys.ask(f.reach(0), please("throw"))->why().code == errc::actor_failed);
  auto absent = f.sys.ask(f.reach(0), please("echo"));
  CHECK(absent->why().code == errc::unavailable);
  CHECK(absent->why().retry_after > 0ms);
  f.sys.advance(50ms);
  CHECK(f.story(0) == "reply");
  CHECK(f.starts["a"] == 2);
  CHECK(f.starts["b"] == 1);
}

TEST_CASE("one_for_all restarts every child, rest_for_one those behind", "[actor][supervisor]") {
  const auto strategy = GENERATE(restart_strategy::one_for_all, restart_strategy::rest_for_one);
  family f{strategy};
  f.sys.ask(f.reach(1), please("throw"));
  f.sys.advance(50ms);
  CHECK(f.starts["a"] == (strategy == restart_strategy::one_for_all ? 2 : 1));
  CHECK(f.starts["b"] == 2);
  CHECK(f.starts["c"] == 2);
  for (std::size_t n = 0; n < 3; ++n)
    CHECK(f.story(n) == "reply");
}

TEST_CASE("a transient child comes back after a crash, not after a normal end",
          "[actor][supervisor]") {
  family f{restart_strategy::one_for_one, restart_policy::transient};
  f.sys.ask(f.reach(0), please("throw"));
  caf::anon_send_exit(f.tree.guards[1], caf::exit_reason::user_shutdown);
  f.sys.advance(1s);
  CHECK(f.starts["a"] == 2);
  CHECK(f.starts["b"] == 1);
  CHECK(f.story(1) == "failed");
}

TEST_CASE("a monitor on a guard hears of the retirement, not of restarts", "[actor][supervisor]") {
  const auto policy = GENERATE(restart_policy::permanent, restart_policy::temporary);
  family f{restart_strategy::one_for_one, policy};
  int heard = 0;
  auto who = f.sys.env().spawn<watcher>(f.sys.kind("watcher"), f.tree.guards[0], heard);
  f.sys.adopt(who);
  f.sys.ask(f.reach(0), please("throw"));
  f.sys.advance(1s);
  CHECK(heard == (policy == restart_policy::temporary ? 1 : 0));
}

TEST_CASE("a supervisor whose children fail too often fails itself", "[actor][supervisor]") {
  family f;
  int heard = 0;
  f.sys.adopt(f.sys.env().spawn<watcher>(f.sys.kind("watcher"), f.tree.root, heard));
  for (int i = 0; i < 4; ++i) {
    CHECK(heard == 0);
    f.sys.ask(f.reach(0), please("throw"));
    f.sys.advance(50ms);
  }
  CHECK(heard == 1);
  CHECK(f.story(1) == "failed");
}

TEST_CASE("failures far apart do not add up", "[actor][supervisor]") {
  family f;
  for (int i = 0; i < 12; ++i) {
    f.sys.ask(f.reach(0), please("throw"));
    f.sys.advance(11s);
  }
  CHECK(f.story(0) == "reply");
  CHECK(f.starts["a"] == 13);
}

TEST_CASE("a child that does not start is tried again within the limit", "[actor][supervisor]") {
  family f;
  f.failing_starts = 3; // The next two starts of "a" fail: numbers 2 and 3.
  f.sys.ask(f.reach(0), please("throw"));
  f.sys.advance(1s);
  CHECK(f.starts["a"] == 4);
  CHECK(f.story(0) == "reply");
}

TEST_CASE("a guard's circuit opens on failures and closes after a good probe", "[actor][guard]") {
  test_system sys{GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  worker::reset();
  guard_config rules;
  rules.breaker.failures_max = 3;
  rules.breaker.open_min = 1s;
  auto handle = guard::make(sys.env(), "upstream", rules);
  auto child = sys.env().spawn<worker>(sys.kind("worker"));
  sys.adopt(child);
  guard::of(handle).put(child);
  auto to = sys.env().reach(handle);
  for (int i = 0; i < 3; ++i)
    CHECK(sys.ask(to, please("silent"))->why().code == errc::actor_failed);
  auto refused = sys.ask(to, please("echo"));
  CHECK(refused->why().code == errc::circuit_open);
  CHECK(refused->why().retry_after > 0ms);
  CHECK(guard::of(handle).state() == flow::breaker_state::open);
  sys.advance(5s);
  CHECK(sys.ask(to, please("echo"))->story() == "reply");
  CHECK(guard::of(handle).state() == flow::breaker_state::closed);
  CHECK(guard::of(handle).in_flight() == 0);
}

TEST_CASE("a call that is given up says nothing about the callee", "[actor][guard]") {
  test_system sys;
  worker::reset();
  guard_config rules;
  rules.breaker.failures_max = 1;
  auto handle = guard::make(sys.env(), "upstream", rules);
  auto child = sys.env().spawn<worker>(sys.kind("worker"));
  sys.adopt(child);
  guard::of(handle).put(child);
  auto held = sys.ask(handle, please("hold"));
  CHECK(guard::of(handle).in_flight() == 1);
  sys.give_up(held);
  CHECK(guard::of(handle).in_flight() == 0);
  CHECK(guard::of(handle).state() == flow::breaker_state::closed);
}

TEST_CASE("a guard admits no more calls than its in-flight bound", "[actor][guard]") {
  test_system sys;
  worker::reset();
  guard_config rules;
  rules.in_flight_max = 2;
  auto handle = guard::make(sys.env(), "upstream", rules);
  auto child = sys.env().spawn<worker>(sys.kind("worker"));
  sys.adopt(child);
  guard::of(handle).put(child);
  auto first = sys.ask(handle, please("hold"));
  auto second = sys.ask(handle, please("hold"));
  CHECK(sys.ask(handle, please("echo"))->why().code == errc::overloaded);
  sys.give_up(first);
  CHECK(sys.ask(handle, please("echo"))->story() == "reply");
}
