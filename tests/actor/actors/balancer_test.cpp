#include "actors/balancer/affinity_key.hpp"
#include "actors/balancer/balancer.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <array>
#include <map>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::worker;

namespace {

/// A conversation that begins with `topic`; the model tells the worker what to do with it.
msg::chat_request about(const std::string& topic, const std::string& what = "hold") {
  auto request = test::please(what);
  request.messages = {{"system", "Be brief.", {}}, {"user", topic, {}}};
  return request;
}

/// The conversation one turn later.
msg::chat_request continued(msg::chat_request request) {
  auto messages = request.messages.get();
  messages.push_back({"assistant", "An answer.", {}});
  messages.push_back({"user", "Go on.", {}});
  request.messages = std::move(messages);
  return request;
}

struct house {
  explicit house(affinity_rules rules, std::size_t count = 4) {
    worker::reset();
    guard_config breaker;
    breaker.breaker.failures_max = 1;
    std::vector<balancer_member> members;
    for (std::size_t n = 0; n < count; ++n) {
      const auto name = "w" + std::to_string(n);
      guards.push_back(guard::make(sys.env(), name, breaker));
      guard::of(guards.back()).put(sys.adopt(sys.env().spawn<worker>(sys.kind(name))));
      members.push_back({guards.back(), 1, 1000, 0});
    }
    raw = sys.env().spawn<balancer>(sys.kind("balancer"), "workers", members, rules);
    to = sys.adopt(raw);
  }

  /// Which worker the call goes to; the call is given up again.
  std::size_t home_of(msg::chat_request request, const std::string& session = {}) {
    auto context = sys.context();
    context.session = session;
    const auto held = sys.ask(to, std::move(request), context);
    const auto home = busy_member();
    sys.give_up(held);
    return home;
  }
  std::uint32_t in_flight(std::size_t n) const {
    return static_cast<balancer&>(*caf::actor_cast<caf::abstract_actor*>(raw)).in_flight(n);
  }
  std::uint64_t affine(const std::string& result) {
    return sys.env()
      .metrics()
      .counter("skep_balancer_affinity_total", "", {{"name", "workers"}, {"result", result}})
      .value();
  }
  /// Opens the circuit of a worker.
  void take_down(std::size_t n) {
    sys.ask(guards[n], test::please("silent"));
    REQUIRE(guard::of(guards[n]).state() == flow::breaker_state::open);
  }

  test_system sys;
  std::vector<caf::actor> guards;
  caf::actor raw;
  caf::actor to;

private:
  std::size_t busy_member() const {
    for (std::size_t n = 0; n < guards.size(); ++n)
      if (in_flight(n) > 0)
        return n;
    return guards.size();
  }
};

affinity_rules by_prefix(std::size_t bytes = 1024, double load = 1.25) {
  return {affinity_kind::prefix, bytes, load};
}

} // namespace

TEST_CASE("conversations keep their worker as they grow, and are spread over all",
          "[actors][balancer][affinity]") {
  house h{by_prefix()};
  std::map<std::size_t, int> share;
  for (int n = 0; n < 200; ++n) {
    const auto first = about("topic " + std::to_string(n));
    const auto home = h.home_of(first);
    CHECK(h.home_of(continued(first)) == home);
    CHECK(h.home_of(continued(continued(first))) == home);
    ++share[home];
  }
  for (std::size_t n = 0; n < 4; ++n)
    CHECK(share[n] == Approx(50).margin(25)); // Four sigma.
  CHECK(h.affine("kept") == 600);
  CHECK(h.affine("spilled") == 0);
}

TEST_CASE("a hot conversation spills over before it drowns its worker",
          "[actors][balancer][affinity]") {
  house h{by_prefix(1024, 1.25)};
  std::vector<std::shared_ptr<answers>> held;
  for (int n = 0; n < 80; ++n)
    held.push_back(h.sys.ask(h.to, about("the one topic")));
  for (std::size_t n = 0; n < 4; ++n)
    CHECK(h.in_flight(n) <= 25); // 1.25 times the mean of 20.
  CHECK(h.affine("spilled") > 0);
  CHECK(h.affine("kept") + h.affine("spilled") == 80);
  for (auto& each : held)
    h.sys.give_up(each);
  for (std::size_t n = 0; n < 4; ++n)
    CHECK(h.in_flight(n) == 0);
}

TEST_CASE("a worker that is down moves only its own conversations",
          "[actors][balancer][affinity]") {
  house h{by_prefix()};
  constexpr std::size_t topics = 100;
  std::array<std::size_t, topics> home{};
  for (std::size_t n = 0; n < topics; ++n)
    home[n] = h.home_of(about("topic " + std::to_string(n)));
  h.take_down(2);
  for (std::size_t n = 0; n < topics; ++n) {
    const auto now = h.home_of(about("topic " + std::to_string(n)));
    CHECK(now != 2);
    CHECK((now == home[n] || home[n] == 2));
  }
  CHECK(h.affine("spilled") == 0);
}

TEST_CASE("sessions keep their worker whatever they talk about", "[actors][balancer][affinity]") {
  house h{{affinity_kind::session, 1024, 1.25}};
  std::map<std::size_t, int> share;
  for (int n = 0; n < 100; ++n) {
    const auto session = "session " + std::to_string(n);
    const auto home = h.home_of(about("one thing"), session);
    CHECK(h.home_of(about("another"), session) == home);
    ++share[home];
  }
  CHECK(share.size() == 4);
  CHECK(h.affine("kept") == 200);
  h.home_of(about("nobody's"));
  CHECK(h.affine("kept") + h.affine("spilled")
        == 200); // Without a session there is nothing to keep.
}

TEST_CASE("with all workers down the caller is told why", "[actors][balancer][affinity]") {
  house h{by_prefix(), 2};
  h.take_down(0);
  h.take_down(1);
  CHECK(h.sys.ask(h.to, about("anything", "echo"))->why().code == errc::circuit_open);
}

TEST_CASE("a prefix ends with the first user message or with its bytes",
          "[actors][balancer][affinity]") {
  const auto base = about("what is a hive?");
  CHECK(prefix_key(base, 1024) == prefix_key(continued(base), 1024));
  CHECK(prefix_key(base, 1024) != prefix_key(about("what is a bee?"), 1024));
  CHECK(prefix_key(base, 9) == prefix_key(about("what is a bee?"), 9)); // "Be brief." is all.
  auto other_model = base;
  other_model.model = "other";
  CHECK(prefix_key(base, 1024) != prefix_key(other_model, 1024));
  const auto with_part = [&](const std::string& text) {
    auto parts = base;
    parts.messages = {base.messages[0],
                      {"user", {}, R"({"content":[{"type":"text","text":")" + text + R"("}]})"}};
    return parts;
  };
  const auto parts = with_part("a");
  const auto other_parts = with_part("b");
  CHECK(prefix_key(parts, 1024) != prefix_key(other_parts, 1024));
  auto shifted = base;
  shifted.messages = {{"system", "Be brief.x", {}}, base.messages[1]};
  CHECK(prefix_key(base, 1024) != prefix_key(shifted, 1024));
}
