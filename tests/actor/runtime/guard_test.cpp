#include "runtime/actor/guard.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"
#include "tests/support/log_folder.hpp"
#include "tests/support/real_system.hpp"

#include <list>
#include <thread>

using namespace skep;
using namespace skep::rt;
using skep::test::please;

namespace {

/// Answers as a provider would: "throttle" with a 429 of its own making, "ok" after having noted a
/// latency of 300 ms, "hold" never, else with the failure that has this name and asks for as many
/// seconds as the request's parameters say.
class upstream : public bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::chat_request& r) { serve(c, r); }};
  }

private:
  void serve(const call& c, const msg::chat_request& r) {
    auto out = take(c);
    if (r.model == "hold") {
      auto at = held_.emplace(held_.end(), std::move(out));
      at->on_cancel([this, at] { held_.erase(at); });
      return;
    }
    if (r.model == "throttle") {
      c.lease->note_not_asked();
      out.fail(failure{errc::rate_limited, "our own limit", 5s});
      return;
    }
    if (r.model == "ok") {
      out.note_latency(300ms);
      out.reply(msg::chat_reply{});
      return;
    }
    for (std::uint8_t code = 1; code < errc_count; ++code)
      if (to_string(errc{code}) == r.model)
        out.fail(failure{errc{code}, "as the test asked",
                         std::chrono::seconds{r.parameters.empty() ? 0 : std::stoi(r.parameters)}});
  }

  std::list<responder> held_;
};

struct route {
  explicit route(const guard_config& rules, test_system::hops how = test_system::hops::native)
    : sys(how), handle(guard::make(sys.env(), "upstream", rules)) {
    auto child = sys.env().spawn<upstream>(sys.kind("connector"));
    sys.adopt(child);
    guard::of(handle).put(child);
    to = sys.env().reach(handle);
  }
  ~route() {
    guard::of(handle).absent();
  }

  failure ask(const std::string& what, const std::string& seconds = {}) {
    auto request = please(what);
    request.parameters = seconds;
    return sys.ask(to, std::move(request))->why();
  }
  std::uint64_t refused(const char* reason) {
    return sys.env()
      .metrics()
      .counter("skep_guard_refused_total", "", {{"name", "upstream"}, {"reason", reason}})
      .value();
  }
  std::int64_t gauge(const char* name) {
    return sys.env().metrics().gauge(name, "", {{"name", "upstream"}}).value();
  }

  test_system sys;
  caf::actor handle;
  caf::actor to;
};

guard_config upstream_rules() {
  guard_config rules;
  rules.use_quota_hold = true;
  return rules;
}

const auto both_ways = {test_system::hops::native, test_system::hops::force_wire};

} // namespace

TEST_CASE("a guard refuses a call that has less time than the fastest answer takes",
          "[actor][guard]") {
  route r{upstream_rules()};
  for (int n = 0; n < 20; ++n)
    REQUIRE(r.ask("ok").code == errc::none);
  const auto late = r.sys.ask(r.to, please("hold"), r.sys.context(200ms));
  CHECK(late->why().code == errc::deadline_exceeded);
  CHECK(r.refused("deadline") == 1);
  CHECK(guard::of(r.handle).in_flight() == 0);
  CHECK(r.sys.ask(r.to, please("ok"), r.sys.context(400ms))->why().code == errc::none);
}

TEST_CASE("a spent quota is answered at once with the time that remains", "[actor][guard]") {
  route r{upstream_rules(), GENERATE(values(both_ways))};
  CHECK(r.ask("quota_exhausted").code == errc::quota_exhausted);
  CHECK(guard::of(r.handle).state() == flow::breaker_state::closed);
  r.sys.advance(20s);
  const auto refused = r.ask("ok");
  CHECK(refused.code == errc::quota_exhausted);
  CHECK(refused.retry_after > 30s);
  CHECK(refused.retry_after <= 41s);
  CHECK(r.refused("quota_exhausted") == 1);
  CHECK_FALSE(guard::of(r.handle).would_admit());
  r.sys.advance(41s);
  CHECK(r.ask("quota_exhausted", "90").code == errc::quota_exhausted); // The probe.
  r.sys.advance(100s);
  CHECK(r.ask("ok").code == errc::quota_exhausted); // Doubled: 120 s.
  r.sys.advance(21s);
  CHECK(r.ask("ok").code == errc::none);
  CHECK(r.ask("ok").code == errc::none);
}

TEST_CASE("a circuit that opens, is probed and closes is told once each in the log",
          "[actor][guard][log]") {
  const test::log_folder folder;
  REQUIRE(log::init(folder.config()));
  route r{upstream_rules()};
  for (int n = 0; n < 20; ++n)
    r.ask("provider_failed"); // The fifth opens it, the others are refused.
  r.sys.advance(2s);
  r.ask("provider_failed"); // The probe.
  r.sys.advance(4s);
  r.ask("ok");
  r.ask("ok");
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 3);
  CHECK(
    lines[0].ends_with("warn [-] circuit opened name=upstream wait_ms=1000 error=provider_failed"));
  CHECK(lines[1].ends_with("warn [-] circuit stays open: the probe failed name=upstream "
                           "wait_ms=2000 error=provider_failed"));
  CHECK(lines[2].ends_with("info [-] circuit closed name=upstream"));
}

TEST_CASE("a quota that is spent and released is told once each in the log",
          "[actor][guard][log]") {
  const test::log_folder folder;
  REQUIRE(log::init(folder.config()));
  route r{upstream_rules()};
  r.ask("quota_exhausted");
  r.ask("ok");
  r.sys.advance(61s);
  r.ask("ok");
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("warn [-] quota spent: calls are held back name=upstream wait_ms=60000")
        != std::string::npos);
  CHECK(lines[1].ends_with("info [-] quota released: there is some again name=upstream"));
}

TEST_CASE("a guard in front of several routes is not closed by one route's quota",
          "[actor][guard]") {
  route r{guard_config{}};
  for (int n = 0; n < 10; ++n)
    CHECK(r.ask("quota_exhausted").code == errc::quota_exhausted);
  CHECK(r.ask("ok").code == errc::none);
}

TEST_CASE("calls that are turned away for overload open a circuit by their share alone",
          "[actor][guard]") {
  route r{upstream_rules()};
  const auto how = GENERATE("rate_limited", "provider_overloaded");
  for (int n = 0; n < 19; ++n)
    CHECK(r.ask(how).retry_after == 0ms);
  CHECK(guard::of(r.handle).state() == flow::breaker_state::closed);
  r.ask(how, "7");
  const auto refused = r.ask("ok");
  CHECK(refused.code == errc::circuit_open);
  CHECK(refused.retry_after > 6s);
  CHECK(r.refused("circuit_open") == 1);
}

TEST_CASE("what a connector refuses by itself does not open the circuit", "[actor][guard]") {
  route r{upstream_rules()};
  for (int n = 0; n < 50; ++n)
    CHECK(r.ask("throttle").code == errc::rate_limited);
  CHECK(guard::of(r.handle).state() == flow::breaker_state::closed);
}

TEST_CASE("a guard's adaptive limit follows what the holder of a call notes", "[actor][guard]") {
  auto rules = upstream_rules();
  rules.use_limit = true;
  rules.use_breaker = false;
  rules.limit.limit_initial = 10;
  rules.limit.limit_min = 2;
  rules.limit.samples_min = 5;
  rules.limit.sample_window = 100ms;
  route r{rules, GENERATE(values(both_ways))};
  CHECK(r.gauge("skep_guard_limit") == 10);
  for (int n = 0; n < 400; ++n) {
    r.ask("provider_overloaded");
    r.sys.advance(50ms);
  }
  CHECK(guard::of(r.handle).limit() == 2);
  CHECK(r.gauge("skep_guard_limit") == 2);
  auto first = r.sys.ask(r.to, please("hold"));
  auto second = r.sys.ask(r.to, please("hold"));
  const auto refused = r.ask("ok");
  CHECK(refused.code == errc::overloaded);
  CHECK(refused.retry_after > 0ms);
  CHECK(r.refused("adaptive_limit") == 1);
  r.sys.give_up(first);
  for (int n = 0; n < 200; ++n) { // One is held, so the limit is nearly used.
    REQUIRE(r.ask("ok").code == errc::none);
    r.sys.advance(20ms);
  }
  CHECK(guard::of(r.handle).limit() > 2);
  r.sys.give_up(second);
  CHECK(guard::of(r.handle).in_flight() == 0);
}

TEST_CASE("a guard without an adaptive limit shows none", "[actor][guard]") {
  route r{guard_config{}};
  r.ask("ok");
  for (const auto& family : r.sys.env().metrics().collect())
    CHECK(family.name != "skep_guard_limit");
}

TEST_CASE("a guard's places come back from many threads at once", "[actor][guard][threads]") {
  // What the actor tests cannot show: admission on the senders' threads, ends on the actors'.
  struct ledger final : settler {
    void settled(const outcome& how, std::uint64_t) noexcept override {
      ++(how.code == errc::none ? answered : refused);
    }
    std::atomic<int> answered{0};
    std::atomic<int> refused{0};
  };
  constexpr int threads = 4;
  constexpr int calls = 5'000;
  ledger books;
  test::real_system sys;
  const auto& kind = sys.kind("connector");
  auto rules = upstream_rules();
  rules.use_limit = true;
  rules.limit.sample_window = 1ms;
  const auto handle = guard::make(sys.env, "upstream", rules);
  guard::of(handle).put(sys.adopt(sys.env.spawn<upstream>(kind)));
  std::vector<std::jthread> senders;
  for (int n = 0; n < threads; ++n)
    senders.emplace_back([&] {
      for (int sent = 0; sent < calls; ++sent) {
        auto token = caf::make_counted<lease>(nullptr, caf::make_message_id(1), 0);
        token->on_settled(nullptr, books, 0);
        handle->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(1), {},
                                                  call{{}, std::move(token), 64}, please("ok")),
                        nullptr);
      }
    });
  senders.clear();
  CHECK(test::eventually([&] { return books.answered + books.refused == threads * calls; }));
  CHECK(books.answered > 0);
  CHECK(guard::of(handle).in_flight() == 0);
  CHECK(guard::of(handle).limit() <= 200);
  CHECK(guard::of(handle).would_admit());
  guard::of(handle).absent();
}
