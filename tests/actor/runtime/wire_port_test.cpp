#include "messages/chat.hpp"
#include "messages/schema.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/cluster/route.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/net/link_frame.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

using namespace skep;
using namespace skep::rt;
using skep::test::worker;

namespace {

/// Watches an actor and remembers why it ended.
class watcher : public bounded_actor {
public:
  watcher(caf::actor_config& config, environment& env, const actor_kind& kind, caf::actor watched,
          failure& why)
    : bounded_actor(config, env, kind), watched_(std::move(watched)), why_(why) {}

protected:
  caf::behavior make_behavior() override {
    monitor(watched_);
    return {[](const msg::ack&) {
      // Only to be woken.
    }};
  }
  void on_down(const caf::down_msg& down) override {
    why_ = from_caf_error(down.reason);
  }

private:
  const caf::actor watched_;
  failure& why_;
};

/// Two nodes in one test system, whose link is carried by hand.
class two_nodes {
public:
  two_nodes() {
    here_out_ = std::make_shared<net::link_outbox>("there", net::link_outbox::bounds{}, [] {});
    there_out_ = std::make_shared<net::link_outbox>("here", net::link_outbox::bounds{}, [] {});
    here = wire_port::make(sys.env(), types, incarnation{1});
    there = wire_port::make(sys.env(), types, incarnation{2});
    to_there = here->open("there", incarnation{2}, here_out_);
    to_here = there->open("here", incarnation{1}, there_out_);
  }
  ~two_nodes() {
    here->close(to_there, failure{errc::shutting_down, "end of the test"});
    there->close(to_here, failure{errc::shutting_down, "end of the test"});
    sys.run();
  }

  /// A worker published at "there" under this name.
  caf::actor serve(const std::string& name) {
    auto who = sys.spawn<worker>(sys.kind(name));
    sys.env().directory().add(name, who);
    return who;
  }
  caf::actor remote(const std::string& name) {
    auto handle = here->handle(to_there, {name, {}});
    carry();
    return handle;
  }

  /// Carries messages both ways until none is left.
  void carry() {
    sys.run();
    while (carry_one_way(*here_out_, *there, to_here) | carry_one_way(*there_out_, *here, to_there))
      sys.run();
  }
  std::shared_ptr<answers> ask(const caf::actor& to, const std::string& model, bool stream = false,
                               std::uint64_t window = 0) {
    msg::chat_request request;
    request.model = model;
    request.stream = stream;
    auto got = sys.ask(to, std::move(request), sys.context(), window);
    carry();
    return got;
  }
  void lose_there() {
    here->close(to_there, failure{errc::node_down, "silent for 2000 ms"});
    sys.run();
  }

  test_system sys;
  wire_types types;
  std::shared_ptr<wire_port> here;
  std::shared_ptr<wire_port> there;
  wire_session_ptr to_there;
  wire_session_ptr to_here;

private:
  static bool carry_one_way(net::link_outbox& from, wire_port& to,
                            const wire_session_ptr& session) {
    std::uint64_t messages = 0;
    const auto block = from.take(1u << 20, messages);
    net::record_reader records{block};
    std::string message;
    while (const auto record = records.next()) {
      message += record->bytes;
      if (!record->more) {
        to.message_came(session, message);
        message.clear();
      }
    }
    return messages != 0;
  }

  std::shared_ptr<net::link_outbox> here_out_;
  std::shared_ptr<net::link_outbox> there_out_;
};

} // namespace

TEST_CASE("every message of the schema can cross the wire", "[runtime][cluster]") {
  const wire_types types;
  for (const auto& each : built_in_schema()) {
    INFO(each.name);
    CHECK((each.tag == 0 || types.find(each.tag) != nullptr));
  }
  CHECK(types.find(user_tag_min) == nullptr);
}

TEST_CASE("a call to another node is answered like a local one", "[cluster][wire]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto far = nodes.remote("agent/x");
  CHECK(nodes.ask(far, "echo")->story() == "reply");
  CHECK(nodes.ask(far, "stream", true, 1u << 20)->story()
        == "open chunk chunk chunk chunk chunk chunk chunk chunk chunk chunk end");
  CHECK(nodes.here->stats().outgoing_open == 0);
  CHECK(nodes.there->stats().incoming_open == 0);
}

TEST_CASE("failures at the other node keep their code", "[cluster][wire]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  CHECK(nodes.ask(nodes.remote("agent/x"), "throw")->why().code == errc::actor_failed);
  CHECK(nodes.ask(nodes.remote("agent/nobody"), "echo")->why().code == errc::not_found);
}

TEST_CASE("a stream across nodes waits for credit", "[cluster][wire]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto got = nodes.ask(nodes.remote("agent/x"), "stream", true, 1);
  CHECK(got->story() == "open chunk");
  nodes.sys.grant(got, 1u << 20);
  nodes.carry();
  CHECK(got->complete());
  CHECK(got->size() == 12);
}

TEST_CASE("a caller that gives up is heard at the other node", "[cluster][wire]") {
  worker::reset();
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto got = nodes.ask(nodes.remote("agent/x"), "hold");
  CHECK(nodes.here->stats().outgoing_open == 1);
  nodes.sys.give_up(got);
  nodes.carry();
  CHECK(worker::cancels() == 1);
  CHECK(nodes.here->stats().outgoing_open == 0);
  CHECK(nodes.there->stats().incoming_open == 0);
}

TEST_CASE("a lost node answers every call and fires down at every monitor", "[cluster][wire]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto far = nodes.remote("agent/x");
  failure why;
  const auto eye = nodes.sys.spawn<watcher>(nodes.sys.kind("watcher"), far, std::ref(why));
  caf::anon_send(eye, msg::ack{});
  const auto held = nodes.ask(far, "hold");
  const auto begun = nodes.ask(far, "stream", true, 1);
  REQUIRE_FALSE(held->complete());
  nodes.lose_there();
  CHECK(held->why().code == errc::node_down);
  CHECK(begun->why().code == errc::node_down);
  CHECK(begun->ends() == 1);
  CHECK(why.code == errc::node_down);
  CHECK(nodes.here->stats().outgoing_open == 0);
  SECTION("and calls to it fail at once from then on") {
    CHECK(nodes.ask(far, "echo")->why().code == errc::node_down);
    CHECK(nodes.ask(nodes.remote("agent/x"), "echo")->why().code == errc::node_down);
  }
}

TEST_CASE("a lost caller cancels its calls here", "[cluster][wire]") {
  worker::reset();
  two_nodes nodes;
  nodes.serve("agent/x");
  nodes.ask(nodes.remote("agent/x"), "hold");
  nodes.there->close(nodes.to_here, failure{errc::node_down, "silent"});
  nodes.sys.run();
  CHECK(worker::cancels() == 1);
  CHECK(nodes.there->stats().incoming_open == 0);
}

TEST_CASE("an actor's end at one node is seen at the other", "[cluster][wire]") {
  two_nodes nodes;
  const auto who = nodes.serve("agent/x");
  const auto far = nodes.remote("agent/x");
  failure why;
  const auto eye = nodes.sys.spawn<watcher>(nodes.sys.kind("watcher"), far, std::ref(why));
  caf::anon_send(eye, msg::ack{});
  nodes.carry();
  CHECK(why.code == errc::none);
  nodes.sys.kill(who);
  nodes.carry();
  CHECK(why.code != errc::none);
}

TEST_CASE("a link between actors of two nodes ends both", "[cluster][wire]") {
  two_nodes nodes;
  const auto who = nodes.serve("agent/x");
  const auto far = nodes.remote("agent/x");
  const auto near = nodes.sys.spawn<worker>(nodes.sys.kind("near"));
  auto* raw = caf::actor_cast<caf::abstract_actor*>(near);
  SECTION("when the near one ends") {
    bool ended = false;
    who->attach_functor([&ended] { ended = true; });
    static_cast<caf::local_actor*>(raw)->link_to(far);
    caf::anon_send_exit(near, caf::exit_reason::kill);
    nodes.carry();
    CHECK(ended);
  }
  SECTION("when the far one ends") {
    bool ended = false;
    near->attach_functor([&ended] { ended = true; });
    static_cast<caf::local_actor*>(raw)->link_to(far);
    nodes.sys.kill(who);
    nodes.carry();
    CHECK(ended);
  }
}

TEST_CASE("what is no envelope is counted and changes nothing", "[cluster][wire]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  nodes.there->message_came(nodes.to_here, "garbage");
  nodes.there->message_came(nodes.to_here, "");
  envelope head;
  head.kind = envelope_kind::request;
  head.target_name = "agent/x";
  head.correlation = ~std::uint64_t{0};
  std::string bytes;
  encode_envelope(head, "", nodes.sys.now(), bytes);
  nodes.there->message_came(nodes.to_here, bytes);
  CHECK(nodes.there->stats().malformed == 3);
  CHECK(nodes.ask(nodes.remote("agent/x"), "echo")->story() == "reply");
}

TEST_CASE("a correlation in use is refused", "[cluster][wire]") {
  worker::reset();
  two_nodes nodes;
  nodes.serve("agent/x");
  nodes.ask(nodes.remote("agent/x"), "hold");
  envelope head;
  head.kind = envelope_kind::request;
  head.target_name = "agent/x";
  head.correlation = 1;
  head.tag = msg::chat_request::message_tag;
  head.context = nodes.sys.context();
  std::string payload;
  encode(msg::chat_request{}, payload);
  std::string bytes;
  encode_envelope(head, payload, nodes.sys.now(), bytes);
  nodes.there->message_came(nodes.to_here, bytes);
  CHECK(nodes.there->stats().malformed == 1);
  CHECK(nodes.there->stats().incoming_open == 1);
}

// -- routes ---------------------------------------------------------------------------------------

namespace {

route& added(two_nodes& nodes, const caf::actor& handle) {
  auto& made = route::of(handle);
  made.add(nodes.to_there, 2, 1);
  return made;
}

} // namespace

TEST_CASE("a route prefers this node until it is loaded", "[cluster][route]") {
  two_nodes nodes;
  const auto near = nodes.sys.spawn<worker>(nodes.sys.kind("near"));
  nodes.serve("agent/x");
  route_config rules;
  rules.local_in_flight_max = 2;
  const auto handle = route::make(nodes.sys.env(), nodes.here, "agent/x", rules);
  added(nodes, handle).set_local(near, 1);
  nodes.ask(handle, "hold");
  nodes.ask(handle, "hold");
  CHECK(nodes.there->stats().calls_in == 0);
  nodes.ask(handle, "hold");
  CHECK(nodes.there->stats().calls_in == 1);
}

TEST_CASE("a call whose node is lost before its answer began runs again", "[cluster][route]") {
  worker::reset();
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto handle = route::make(nodes.sys.env(), nodes.here, "agent/x", {});
  auto& way = added(nodes, handle);
  const auto held = nodes.ask(handle, "hold");
  const auto begun = nodes.ask(handle, "stream", true, 1);
  const auto near = nodes.sys.spawn<worker>(nodes.sys.kind("near"));
  way.set_local(near, 1);
  nodes.lose_there();
  CHECK_FALSE(held->complete()); // Held again, here.
  CHECK(begun->why().code == errc::node_down);
  CHECK(worker::served() == std::vector<std::string>{"hold", "stream", "hold"});
}

TEST_CASE("a call that must not run twice fails with its node", "[cluster][route]") {
  two_nodes nodes;
  nodes.serve("agent/x");
  const auto near = nodes.sys.spawn<worker>(nodes.sys.kind("near"));
  const auto handle = route::make(nodes.sys.env(), nodes.here, "agent/x", {});
  auto& way = added(nodes, handle);
  auto once = nodes.sys.context();
  once.flags = 0;
  msg::chat_request request;
  request.model = "hold";
  const auto got = nodes.sys.ask(handle, request, once);
  nodes.carry();
  way.set_local(near, 1);
  nodes.lose_there();
  CHECK(got->why().code == errc::node_down);
}

TEST_CASE("a name nobody serves is unavailable, with a retry-after", "[cluster][route]") {
  two_nodes nodes;
  const auto handle = route::make(nodes.sys.env(), nodes.here, "agent/x", {});
  const auto got = nodes.ask(handle, "echo");
  CHECK(got->why().code == errc::unavailable);
  CHECK(got->why().retry_after.count() > 0);
  auto& way = added(nodes, handle);
  nodes.serve("agent/x");
  CHECK(nodes.ask(handle, "echo")->story() == "reply");
  way.remove("there");
  CHECK(nodes.ask(handle, "echo")->why().code == errc::unavailable);
}

TEST_CASE("the calls of a session stay at one node", "[cluster][route]") {
  two_nodes nodes;
  const auto near = nodes.sys.spawn<worker>(nodes.sys.kind("near"));
  nodes.serve("agent/x");
  const auto handle = route::make(nodes.sys.env(), nodes.here, "agent/x", {});
  added(nodes, handle).set_local(near, 1);
  std::size_t moved = 0;
  std::size_t far = 0;
  for (int session = 0; session < 40; ++session) {
    std::vector<std::uint64_t> seen;
    for (int n = 0; n < 5; ++n) {
      const auto before = nodes.there->stats().calls_in;
      auto context = nodes.sys.context();
      context.session = "s-" + std::to_string(session);
      msg::chat_request request;
      request.model = "echo";
      const auto got = nodes.sys.ask(handle, request, context);
      nodes.carry();
      REQUIRE(got->story() == "reply");
      seen.push_back(nodes.there->stats().calls_in - before);
    }
    for (const auto at : seen)
      moved += at != seen.front() ? 1 : 0;
    far += seen.front();
  }
  CHECK(moved == 0);
  CHECK(far > 8); // Both nodes have their share of 40 sessions.
  CHECK(far < 32);
}
