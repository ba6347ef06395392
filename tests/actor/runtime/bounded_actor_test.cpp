#include "messages/cache.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

using namespace skep;
using namespace skep::rt;
using skep::test::please;
using skep::test::worker;

namespace {

// Every test runs twice: with native sends, and with each hop through codec and ZeroMQ.
test_system::hops each_way() {
  worker::reset();
  return GENERATE(test_system::hops::native, test_system::hops::force_wire);
}

std::uint64_t ended(const mailbox_metrics& m) {
  return m.processed.value() + m.failed.value() + m.expired.value() + m.cancelled.value()
         + m.dead_lettered.value();
}

bounded_actor& inside(const caf::actor& who) {
  return static_cast<bounded_actor&>(*caf::actor_cast<caf::abstract_actor*>(who));
}

/// Hands the lease of the call it got last to the test.
class lender : public bounded_actor {
public:
  using bounded_actor::bounded_actor;
  static lease_ptr& last() {
    static lease_ptr lent;
    return lent;
  }

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::chat_request&) {
      last() = c.lease;
      held_ = take(c);
    }};
  }

private:
  responder held_;
};

} // namespace

TEST_CASE("a request gets one reply", "[actor][mailbox]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask_for<msg::chat_reply>(to, please("echo"));
  REQUIRE(got);
  CHECK(got->model == "echo");
}

TEST_CASE("a message the actor does not serve is refused, not ignored", "[actor][mailbox]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask(to, msg::cache_clear_request{});
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::unexpected_message);
}

TEST_CASE("a handler that forgets to answer fails its call", "[actor][lease]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  for (const auto* way : {"silent", "drop"}) {
    auto got = sys.ask(to, please(way));
    CHECK(got->story() == "failed");
    CHECK(got->why().code == errc::actor_failed);
  }
}

TEST_CASE("a full mailbox refuses data with a retry-after and never exceeds its bound",
          "[actor][mailbox]") {
  test_system sys;
  worker::reset();
  const auto& kind = sys.kind("worker", 8);
  auto to = sys.spawn<worker>(kind);
  // Nothing runs while these are sent: the ninth finds the mailbox full.
  caf::scoped_actor client{sys.env().system()};
  for (int i = 0; i < 20; ++i)
    client->send(to, call{sys.context(), nullptr, 1}, please("echo"));
  CHECK(inside(to).depth() == 8);
  CHECK(kind.metrics.refused.value() == 12);
  auto got = sys.ask(to, please("echo"));
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::overloaded);
  CHECK(got->why().retry_after > 0ms);
  CHECK(worker::served().size() == 8);
  CHECK(sys.ask(to, please("echo"))->story() == "reply");
}

TEST_CASE("the byte bound holds whatever the number of messages", "[actor][mailbox]") {
  test_system sys;
  const auto& kind = sys.kind("worker", 1000, 1000);
  auto to = sys.spawn<worker>(kind);
  caf::scoped_actor client{sys.env().system()};
  for (int i = 0; i < 5; ++i)
    client->send(to, call{sys.context(), nullptr, 300}, please("echo"));
  CHECK(inside(to).depth() == 3);
  CHECK(kind.metrics.refused.value() == 2);
  auto huge = please("echo");
  huge.parameters.assign(2000, 'x');
  sys.run();
  // It will never fit, so it is not worth another try.
  CHECK(sys.ask(to, huge)->why().code == errc::too_large);
}

TEST_CASE("drop_oldest keeps the newest messages and answers the oldest", "[actor][mailbox]") {
  test_system sys;
  worker::reset();
  mailbox_bounds bounds;
  bounds.messages_max = 3;
  bounds.policy = overload_policy::drop_oldest;
  actor_kind feed{sys.env().metrics(), "feed", bounds};
  auto to = sys.spawn<worker>(feed);
  caf::scoped_actor client{sys.env().system()};
  for (int i = 0; i < 7; ++i)
    client->send(to, call{sys.context(), nullptr, 1}, please(std::to_string(i)));
  CHECK(inside(to).depth() == 3);
  sys.run();
  CHECK(worker::served() == std::vector<std::string>{"4", "5", "6"});
  CHECK(feed.metrics.dead_lettered.value() == 4);
}

TEST_CASE("control overtakes data and is taken by a full mailbox", "[actor][mailbox]") {
  test_system sys;
  worker::reset();
  const auto& kind = sys.kind("worker", 4);
  auto to = sys.spawn<worker>(kind);
  caf::scoped_actor client{sys.env().system()};
  for (int i = 0; i < 4; ++i)
    client->send(to, call{sys.context(), nullptr, 1}, please("echo"));
  caf::anon_send_exit(to, caf::exit_reason::user_shutdown);
  sys.run();
  CHECK(worker::served().empty());
  CHECK(kind.metrics.dead_lettered.value() == 4);
}

TEST_CASE("a message whose deadline passed is not worked on", "[actor][mailbox]") {
  test_system sys{each_way()};
  const auto& kind = sys.kind("worker");
  auto to = sys.spawn<worker>(kind);
  auto context = sys.context(100ms);
  sys.advance(200ms);
  sys.tell(to, please("before"));
  CHECK(sys.ask(to, please("late"), context)->why().code == errc::deadline_exceeded);
  CHECK(worker::served() == std::vector<std::string>{"before"});
}

TEST_CASE("an expired message in the queue is answered and counted", "[actor][mailbox]") {
  test_system sys;
  worker::reset();
  const auto& kind = sys.kind("worker");
  auto to = sys.spawn<worker>(kind);
  caf::scoped_actor client{sys.env().system()};
  client->send(to, call{sys.context(50ms), nullptr, 1}, please("echo"));
  sys.env().timers().advance_to(sys.now() + 60ms);
  sys.run();
  CHECK(worker::served().empty());
  CHECK(kind.metrics.expired.value() == 1);
}

TEST_CASE("an unanswered request ends at its deadline and cancels the work", "[actor][requests]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask(to, please("hold"), sys.context(1s));
  CHECK(got->story() == "");
  sys.advance(999ms);
  CHECK(got->story() == "");
  sys.advance(2ms);
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK(worker::cancels() == 1);
}

TEST_CASE("an answer that came before its deadline counts, however late the actor looks at it",
          "[actor][requests]") {
  test_system sys;
  auto to = sys.spawn<lender>(sys.kind("lender"));
  const bool streamed = GENERATE(false, true);
  auto got = sys.ask(to, please("lend"), sys.context(1s));
  auto lent = std::exchange(lender::last(), {});
  // Both lie in the caller's mailbox before it runs; the timer is urgent.
  if (streamed)
    lent->open(msg::chat_open{});
  else
    lent->reply(msg::chat_reply{});
  sys.env().timers().advance_to(sys.now() + 2s);
  sys.run();
  CHECK(got->story() == (streamed ? "open" : "reply"));
  lent->fail(failure{errc::cancelled, ""});
}

TEST_CASE("a stream that has begun is no longer bound by the deadline", "[actor][requests]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask(to, please("stream"), sys.context(1s), 1);
  const auto begun = got->story();
  CHECK(begun.starts_with("open"));
  sys.advance(1h);
  CHECK(got->story() == begun);
  sys.give_up(got);
  CHECK(worker::cancels() == 1);
}

TEST_CASE("giving a request up cancels the work and brings no answer", "[actor][requests]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask(to, please("hold"));
  sys.give_up(got);
  CHECK(got->story() == "");
  CHECK(worker::cancels() == 1);
}

TEST_CASE("a request given up while it waits is never worked on", "[actor][requests]") {
  test_system sys;
  worker::reset();
  const auto& kind = sys.kind("worker");
  auto to = sys.spawn<worker>(kind);
  auto token = caf::make_counted<lease>(nullptr, caf::message_id{}, 0);
  caf::scoped_actor client{sys.env().system()};
  client->send(to, call{sys.context(), token, 1}, please("echo"));
  token->cancel();
  sys.run();
  CHECK(worker::served().empty());
  CHECK(kind.metrics.cancelled.value() == 1);
}

TEST_CASE("a stream sends no more than its credit and goes on with a grant", "[actor][streams]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  const auto cost = skep::test::chunk_cost();
  auto got = sys.ask(to, please("stream"), sys.context(), 3 * cost);
  CHECK(got->story() == "open chunk chunk chunk");
  sys.grant(got, cost);
  CHECK(got->size() == 5);
  sys.grant(got, 100 * cost);
  CHECK(got->story() == "open chunk chunk chunk chunk chunk chunk chunk chunk chunk chunk end");
  for (int i = 0; i < worker::chunks_total; ++i)
    CHECK(got->get<msg::chat_chunk>(static_cast<std::size_t>(i) + 1)->content == std::to_string(i));
}

TEST_CASE("a cancelled stream stops at its producer", "[actor][streams]") {
  test_system sys{each_way()};
  auto to = sys.spawn<worker>(sys.kind("worker"));
  auto got = sys.ask(to, please("stream"), sys.context(), 1);
  CHECK(got->story() == "open chunk");
  sys.give_up(got);
  CHECK(worker::cancels() == 1);
  CHECK(got->ends() == 0);
}

TEST_CASE("however an actor dies, every open call ends exactly once", "[actor][lease]") {
  test_system sys{each_way()};
  const auto& kind = sys.kind("worker");
  auto raw = sys.env().spawn<worker>(kind);
  auto to = sys.adopt(raw);
  const auto how = GENERATE(as<std::string>{}, "exception", "exit", "kill");
  auto held = sys.ask(to, please("hold"));
  auto streamed = sys.ask(to, please("stream"), sys.context(), 1);
  if (how == "exception")
    sys.ask(to, please("throw"));
  else
    caf::anon_send_exit(raw,
                        how == "exit" ? caf::exit_reason::user_shutdown : caf::exit_reason::kill);
  sys.advance(100ms);
  CHECK(held->ends() == 1);
  CHECK(held->story() == "failed");
  CHECK(streamed->ends() == 1);
  CHECK(streamed->story() == "open chunk failed");
  CHECK(sys.ask(to, please("echo"))->story() == "failed");
  CHECK(kind.metrics.accepted.value() == ended(kind.metrics));
}

TEST_CASE("a crash with a backlog answers the backlog", "[actor][lease]") {
  test_system sys;
  worker::reset();
  const auto& kind = sys.kind("worker");
  auto to = sys.spawn<worker>(kind);
  caf::scoped_actor client{sys.env().system()};
  client->send(to, call{sys.context(), nullptr, 1}, please("throw"));
  std::vector<lease_ptr> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(caf::make_counted<lease>(nullptr, caf::message_id{}, 0));
    client->send(to, call{sys.context(), waiting.back(), 1}, please("echo"));
  }
  sys.run();
  for (const auto& token : waiting)
    CHECK(token->is_settled());
  CHECK(kind.metrics.dead_lettered.value() == 5);
  CHECK(kind.metrics.failed.value() == 1);
  CHECK(kind.metrics.accepted.value() == ended(kind.metrics));
}

TEST_CASE("plain CAF requests are served like our own", "[actor][lease]") {
  test_system sys;
  auto to = sys.spawn<worker>(sys.kind("worker"));
  caf::scoped_actor client{sys.env().system()};
  auto pending
    = client->request(to, caf::infinite, call{sys.context(), nullptr, 1}, please("echo"));
  sys.run();
  std::string model;
  pending.receive([&](const msg::chat_reply& r) { model = r.model; },
                  [&](const caf::error& e) { model = to_string(from_caf_error(e)); });
  CHECK(model == "echo");
}

TEST_CASE("timers fire in order, once, and not after they were cancelled", "[actor][timers]") {
  test_system sys;
  auto raw = sys.env().spawn<worker>(sys.kind("worker"));
  sys.adopt(raw);
  std::vector<int> fired;
  auto& self = inside(raw);
  self.after(30ms, [&] { fired.push_back(3); });
  self.after(10ms, [&] { fired.push_back(1); });
  const auto gone = self.after(20ms, [&] { fired.push_back(2); });
  self.cancel_timer(gone);
  sys.advance(9ms);
  CHECK(fired.empty());
  sys.advance(1s);
  CHECK(fired == std::vector<int>{1, 3});
}

TEST_CASE("100,000 requests in flight are all answered when the target dies", "[actor][requests]") {
  test_system sys;
  worker::reset();
  auto to = sys.spawn<worker>(sys.kind("worker", 1'000'000, 1u << 30));
  auto asker_raw = sys.env().spawn<worker>(sys.kind("asker"));
  sys.adopt(asker_raw);
  auto& asker = inside(asker_raw);
  int answered = 0;
  const auto context = sys.context(60s);
  for (int i = 0; i < 100'000; ++i)
    asker.ask(to, context, please("hold"), [&](const answer&) { ++answered; });
  sys.run();
  CHECK(asker.requests_open() == 100'000);
  sys.kill(to);
  CHECK(answered == 100'000);
  CHECK(asker.requests_open() == 0);
  CHECK(sys.env().timers().size() == 0);
}
