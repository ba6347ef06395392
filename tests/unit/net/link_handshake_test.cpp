#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

/// The hellos `from` has sent, in order.
std::vector<link_packet> hellos_of(const link_net& net, const link_node& from) {
  std::vector<link_packet> all;
  for (const auto& each : net.sent)
    if (each.from == from.address && each.head.kind == frame_kind::hello)
      all.push_back(each);
  return all;
}

link_packet edited(link_packet packet, const std::function<void(msg::node_hello&)>& edit) {
  auto hello = decode<msg::node_hello>(packet.body).value();
  edit(hello);
  packet.body.clear();
  encode(hello, packet.body);
  return packet;
}

} // namespace

TEST_CASE("two nodes that greet each other get one session each", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.net.run(5s);
  CHECK(p.a.log == std::vector<std::string>{"up b"});
  CHECK(p.b.log == std::vector<std::string>{"up a"});
  CHECK(p.a.core.stats().sessions == 1);
  CHECK(p.b.hellos["a"].address == "sim://a");
  REQUIRE(p.a.say("b", "one"));
  REQUIRE(p.b.say("a", "two"));
  p.net.run(100ms);
  CHECK(p.b.got["a"] == std::vector<std::string>{"one"});
  CHECK(p.a.got["b"] == std::vector<std::string>{"two"});
  CHECK(p.a.core.stats().malformed == 0);
}

TEST_CASE("a stranger whose hello is fine becomes a peer and is forgotten when gone",
          "[net][link]") {
  link_pair p;
  REQUIRE(p.a.core.add_peer("b", p.b.address, p.net.now));
  REQUIRE(p.net.run_until([&] { return p.both_up(); }));
  p.net.filter = [](const link_packet&) { return false; };
  p.b.core.close_session("a", failure{errc::node_down, "test"}, p.net.now);
  CHECK(p.b.ways.size() == 1);
  p.net.run(29s);
  CHECK(p.b.ways.size() == 1);
  p.net.run(2s);
  CHECK(p.b.ways.empty());
  CHECK(p.b.core.peers().empty());
}

TEST_CASE("sessions begin under any loss, duplication and order of hellos", "[net][link]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    link_pair p{seed};
    p.net.faults = {0.4, 0.3, 0ms, 300ms};
    INFO("seed=" << seed);
    p.greet();
    REQUIRE(p.net.run_until([&] { return p.both_up(); }, 60s));
    p.net.faults = {};
    p.net.run(3s);
    REQUIRE(p.both_up());
    // Both must be ends of one session: what is said arrives.
    const auto marker = std::to_string(seed);
    REQUIRE(p.a.say("b", marker));
    REQUIRE(p.b.say("a", marker));
    REQUIRE(p.net.run_until([&] { return !p.b.got["a"].empty() && !p.a.got["b"].empty(); }));
    REQUIRE(p.b.got["a"].back() == marker);
    REQUIRE(p.a.got["b"].back() == marker);
  }
}

TEST_CASE("a node restarted under its name and address replaces its old life at once",
          "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  auto config = link_test_config("b");
  auto b = std::make_unique<link_node>(net, config);
  REQUIRE(a.core.add_peer("b", "sim://b", net.now));
  REQUIRE(net.run_until([&] { return a.up("b"); }));
  b.reset();
  config.incarnation = 2;
  config.seed += 1;
  b = std::make_unique<link_node>(net, config);
  REQUIRE(b->core.add_peer("a", "sim://a", net.now));
  REQUIRE(net.run_until([&] { return a.count("up b") == 2 && b->up("a"); }, 300ms));
  CHECK(a.log == std::vector<std::string>{"up b", "down b node_down", "up b"});
  CHECK(a.hellos["b"].incarnation == 2);
  CHECK(a.closed_first);
  REQUIRE(b->say("a", "again"));
  net.run(50ms);
  CHECK(a.got["b"] == std::vector<std::string>{"again"});
}

TEST_CASE("a life with a lower number is accepted once the old session is gone", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  auto config = link_test_config("b");
  config.incarnation = 100;
  auto b = std::make_unique<link_node>(net, config);
  REQUIRE(a.core.add_peer("b", "sim://b", net.now));
  REQUIRE(net.run_until([&] { return a.up("b"); }));
  b.reset();
  config.incarnation = 7; // The machine's clock was set back.
  b = std::make_unique<link_node>(net, config);
  REQUIRE(b->core.add_peer("a", "sim://a", net.now));
  net.run(3s);
  CHECK(a.count("up b") == 1);
  a.core.close_session("b", failure{errc::node_down, "silent"}, net.now);
  REQUIRE(net.run_until([&] { return a.up("b") && b->up("a"); }, 5s));
  CHECK(a.hellos["b"].incarnation == 7);
}

TEST_CASE("replayed hellos of any age do not end a live session", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  // A second session, so that there are hellos of a first one.
  p.a.core.close_session("b", failure{errc::node_down, "test"}, p.net.now);
  REQUIRE(p.net.run_until([&] { return p.a.up("b") && p.b.count("up a") == 2; }));
  const auto old = p.net.sent;
  const auto sessions = p.a.core.stats().sessions + p.b.core.stats().sessions;
  for (int round = 0; round < 20; ++round) {
    for (const auto& each : old)
      if (each.head.kind == frame_kind::hello)
        p.net.deliver(each);
    p.net.run(300ms);
  }
  CHECK(p.a.core.stats().sessions + p.b.core.stats().sessions == sessions);
  CHECK(p.both_up());
  CHECK(p.a.core.stats().duplicates > 0);
}

TEST_CASE("forged hellos with newer numbers do not end a live session", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  const auto sample = hellos_of(p.net, p.b).front();
  for (std::uint64_t n = 0; n < 200; ++n) {
    p.net.deliver(edited(sample, [n](msg::node_hello& hello) {
      hello.attempt = 1000 + n;
      hello.incarnation += n % 3;
      hello.token = 77 + n;
      hello.echo = n % 2 == 0 ? 0 : 12345;
    }));
    p.net.run(20ms);
  }
  CHECK(p.a.log == std::vector<std::string>{"up b"});
  CHECK(p.b.log == std::vector<std::string>{"up a"});
  REQUIRE(p.a.say("b", "still"));
  p.net.run(100ms);
  CHECK(p.b.got["a"].size() == 1);
}

TEST_CASE("a session begins while forged hellos for the peer rain down", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  const auto sample = hellos_of(p.net, p.b).front();
  p.a.core.close_session("b", failure{errc::node_down, "test"}, p.net.now);
  for (std::uint64_t n = 0; n < 400 && !(p.a.up("b") && p.b.count("up a") == 2); ++n) {
    p.net.deliver(edited(sample, [n](msg::node_hello& hello) {
      hello.attempt = 100'000 + n / 50;
      hello.token = 99 + n / 50;
      hello.echo = 0;
    }));
    p.net.run(25ms);
  }
  CHECK(p.a.up("b"));
  CHECK(p.b.count("up a") == 2);
  p.net.run(1s);
  REQUIRE(p.b.say("a", "in spite of it"));
  p.net.run(1s);
  CHECK(p.a.got["b"].size() == 1);
}

TEST_CASE("an answer that is lost is given again", "[net][link]") {
  link_pair p;
  int dropped = 0;
  // The first frames of a that are no hellos would be b's proof.
  p.net.filter = [&](const link_packet& packet) {
    return packet.from != "sim://a" || packet.head.kind == frame_kind::hello || ++dropped > 3;
  };
  REQUIRE(p.a.core.add_peer("b", p.b.address, p.net.now));
  REQUIRE(p.net.run_until([&] { return p.both_up(); }, 5s));
  CHECK(p.a.log.size() == 1);
  CHECK(p.b.log.size() == 1);
}

TEST_CASE("goodbye ends the session at both sides at once, and greeting goes on", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.b.core.goodbye(p.net.now);
  CHECK(p.b.log.back() == "down a shutting_down");
  p.net.run(10ms);
  CHECK(p.a.log.back() == "down b shutting_down");
  const auto frames = p.b.core.stats().frames_out;
  p.net.run(3s);
  CHECK(p.b.core.stats().frames_out == frames); // It is silent.
  CHECK(p.b.core.stats().frames_in > 3);        // But is still greeted.
}

TEST_CASE("a removed peer hears goodbye and may come again", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.a.core.remove_peer("b", failure{errc::node_down, "no longer of the view"}, p.net.now);
  CHECK(p.a.log.back() == "down b node_down");
  p.net.run(20ms);
  CHECK(p.b.log.back() == "down a shutting_down");
  CHECK(p.net.run_until([&] { return p.both_up(); }, 5s)); // b goes on greeting.
}

TEST_CASE("a peer may be removed, closed and added from inside events", "[net][link]") {
  link_pair p;
  const failure why{errc::node_down, "test"};
  p.a.on_message = [&](const link_peer_info&, std::string_view text) {
    if (text == "close")
      p.a.core.close_session("b", why, p.net.now);
    if (text == "remove")
      p.a.core.remove_peer("b", why, p.net.now);
  };
  p.a.on_down = [&](const link_peer_info&, const failure&) {
    p.a.core.remove_peer("b", why, p.net.now);
    static_cast<void>(p.a.core.add_peer("c", "sim://c", p.net.now));
    p.a.core.beat_now(p.net.now);
    static_cast<void>(p.a.core.add_peer("b", p.b.address, p.net.now));
  };
  p.a.on_up = [&](const link_peer_info&) {
    if (p.a.log.size() == 5)
      p.a.core.close_session("b", why, p.net.now);
  };
  REQUIRE(p.meet());
  for (const auto* text : {"close", "remove", "close"}) {
    REQUIRE(p.b.say("a", text));
    REQUIRE(p.b.say("a", "never heard"));
    const auto before = p.a.count("up b");
    REQUIRE(p.net.run_until([&] { return p.a.count("up b") > before; }));
    REQUIRE(p.net.run_until([&] { return p.both_up(); }));
    p.net.run(1s);
    REQUIRE(p.net.run_until([&] { return p.both_up(); }));
  }
  CHECK(std::count(p.a.got["b"].begin(), p.a.got["b"].end(), "never heard") == 0);
  CHECK(p.a.closed_first);
}

TEST_CASE("a peer that is removed while it replaces its session is not brought back",
          "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  auto config = link_test_config("b");
  auto b = std::make_unique<link_node>(net, config);
  REQUIRE(a.core.add_peer("b", "sim://b", net.now));
  REQUIRE(net.run_until([&] { return a.up("b"); }));
  a.on_down = [&](const link_peer_info&, const failure&) {
    a.core.remove_peer("b", failure{errc::node_down, "gone"}, net.now);
  };
  b.reset();
  config.incarnation = 2;
  b = std::make_unique<link_node>(net, config);
  REQUIRE(b->core.add_peer("a", "sim://a", net.now));
  REQUIRE(net.run_until([&] { return a.log.size() >= 2; }));
  CHECK(a.log == std::vector<std::string>{"up b", "down b node_down"});
}

TEST_CASE("a session moves to a peer's new address when the old one is silent", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  auto config = link_test_config("b");
  auto b = std::make_unique<link_node>(net, config);
  REQUIRE(a.core.add_peer("b", "sim://b", net.now));
  REQUIRE(net.run_until([&] { return a.up("b"); }));
  b.reset();
  config.incarnation = 2;
  config.advertise = "sim://b2";
  b = std::make_unique<link_node>(net, config);
  REQUIRE(b->core.add_peer("a", "sim://a", net.now));
  REQUIRE(net.run_until([&] { return b->up("a") && a.count("up b") == 2; }, 8s));
  CHECK(a.peer("b").address == "sim://b2");
  net.run(2s);
  CHECK(a.ways.size() == 1);
}

TEST_CASE("an added peer's new address is used once there is no session", "[net][link]") {
  link_pair p;
  REQUIRE(p.a.core.add_peer("b", "sim://nowhere", p.net.now));
  p.net.run(1s);
  CHECK_FALSE(p.a.up("b"));
  REQUIRE(p.a.core.add_peer("b", "sim://b", p.net.now));
  CHECK(p.net.run_until([&] { return p.both_up(); }, 1s));
  CHECK(p.a.core.add_peer("b", "tcp://other", p.net.now));
  CHECK(p.a.core.add_peer("x", "tcp://other", p.net.now).error().code == errc::bad_config);
  CHECK(p.a.core.add_peer("a", "sim://b", p.net.now).error().code == errc::bad_config);
}
