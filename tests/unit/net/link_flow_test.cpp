#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

link_config small_window(const std::string& name) {
  auto config = link_test_config(name);
  config.frame_bytes = 1000;
  config.window_bytes = 4000;
  return config;
}

} // namespace

TEST_CASE("bytes in flight never exceed the window the peer grants", "[net][link]") {
  auto of_b = small_window("b");
  of_b.window_bytes = 3000;
  link_pair p{small_window("a"), of_b};
  REQUIRE(p.meet());
  std::uint64_t in_flight_max = 0;
  p.net.invariant = [&] {
    const auto a = p.a.peer("b");
    REQUIRE(a.window_bytes == 3000);
    REQUIRE(a.in_flight_bytes <= a.window_bytes);
    in_flight_max = std::max(in_flight_max, a.in_flight_bytes);
  };
  for (int n = 0; n < 1000; ++n)
    REQUIRE(p.a.say("b", std::string(100, static_cast<char>('a' + n % 26))));
  REQUIRE(p.net.run_until([&] { return p.b.got["a"].size() == 1000; }));
  CHECK(in_flight_max > 2000);
  p.net.run(1s);
  CHECK(p.a.peer("b").in_flight_bytes == 0);
  CHECK(p.a.core.stats().resent == 0);
  CHECK(p.a.core.stats().messages_out == 1000);
  CHECK(p.b.core.stats().messages_in == 1000);
}

TEST_CASE("a body larger than the window goes alone", "[net][link]") {
  auto of_b = small_window("b");
  of_b.window_bytes = 100;
  link_pair p{small_window("a"), of_b};
  REQUIRE(p.meet());
  for (int n = 0; n < 5; ++n)
    REQUIRE(p.a.say("b", std::string(700, 'x')));
  CHECK(p.net.run_until([&] { return p.b.got["a"].size() == 5; }));
}

TEST_CASE("a window of zero stops the sender until it opens", "[net][link]") {
  link_pair p;
  bool shut = false;
  REQUIRE(p.meet());
  p.net.filter = [&](const link_packet& packet) {
    if (packet.to != "sim://a" || !shut || packet.head.window == 0)
      return true;
    auto closed = packet;
    closed.head.window = 0;
    p.net.put(closed);
    return false;
  };
  shut = true;
  p.net.run(1s);
  CHECK(p.a.peer("b").window_bytes == 0);
  REQUIRE(p.a.say("b", "waits"));
  p.net.run(1s);
  CHECK(p.b.got["a"].empty());
  shut = false;
  p.net.run(1s);
  CHECK(p.b.got["a"].size() == 1);
}

TEST_CASE("a full queue refuses only its own peer's messages", "[net][link]") {
  link_net net;
  auto config = small_window("a");
  config.queue_messages_max = 50;
  link_node a{net, config};
  link_node b{net, small_window("b")};
  link_node c{net, small_window("c")};
  REQUIRE(a.core.add_peer("b", "sim://b", net.now));
  REQUIRE(a.core.add_peer("c", "sim://c", net.now));
  REQUIRE(net.run_until([&] { return a.up("b") && a.up("c") && b.up("a") && c.up("a"); }));
  net.filter = [](const link_packet& packet) {
    return packet.from != "sim://b"; // b is heard no more: no acknowledgements.
  };
  int refused = 0;
  for (int n = 0; n < 200; ++n) {
    if (const auto done = a.say("b", std::string(200, 'x')); !done) {
      CHECK(done.error().code == errc::overloaded);
      CHECK(done.error().retry_after > 0ms);
      ++refused;
    }
    REQUIRE(a.say("c", std::to_string(n)));
    net.run(1ms);
  }
  CHECK(refused > 100);
  net.run(100ms);
  CHECK(c.got["a"].size() == 200);
  CHECK(a.core.stats().refused == static_cast<std::uint64_t>(refused));
  CHECK(a.peer("b").queued_messages <= 50);
}

TEST_CASE("messages of every size arrive whole and in order", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  std::vector<std::string> all;
  for (const std::size_t size :
       {0u, 1u, 63u, 64'000u, 65'532u, 65'536u, 262'144u, 262'145u, 1'000'000u, 5'000'000u, 7u}) {
    std::string text(size, '\0');
    for (std::size_t n = 0; n < size; ++n)
      text[n] = static_cast<char>(n * 7 + n / 3000 + size);
    all.push_back(text);
    REQUIRE(p.a.say("b", text));
  }
  REQUIRE(p.net.run_until([&] { return p.b.got["a"].size() == all.size(); }));
  CHECK(p.b.got["a"] == all);
  p.net.run(1s);
  CHECK(p.a.core.stats().resent == 0);
}

TEST_CASE("a cut message may be as large as message_bytes_max and no larger", "[net][link]") {
  auto of_a = link_test_config("a");
  auto of_b = link_test_config("b");
  of_b.message_bytes_max = 600'000;
  link_pair p{of_a, of_b};
  REQUIRE(p.meet());
  REQUIRE(p.a.say("b", std::string(600'000, 'x')));
  REQUIRE(p.net.run_until([&] { return p.b.got["a"].size() == 1; }));
  REQUIRE(p.a.say("b", std::string(600'001, 'x')));
  REQUIRE(p.net.run_until([&] { return p.b.log.size() == 2; }));
  CHECK(p.b.log.back() == "down a malformed");
  CHECK(p.b.core.stats().malformed == 1);
}

TEST_CASE("beats carry state, measure the round trip and echo pings exactly", "[net][link]") {
  link_pair p;
  p.a.state = "state of a";
  p.net.faults.delay_min = p.net.faults.delay_max = 20ms;
  REQUIRE(p.meet());
  p.net.run(3s);
  const auto& beats = p.b.beats["a"];
  CHECK(beats.size() >= 10);
  CHECK(beats.size() <= 15);
  CHECK(beats.back().first == "state of a");
  // What is echoed is the time of a beat of b: 20 ms for its way, some for a's hold, 20 ms back.
  REQUIRE(beats.back().second);
  const auto age = p.net.now - *beats.back().second;
  CHECK(age >= 40ms);
  CHECK(age <= 600ms);
  std::set<time_point> pings;
  for (const auto& each : beats)
    if (each.second)
      pings.insert(*each.second);
  CHECK(pings.size() >= 8);
  CHECK(p.a.peer("b").round_trip == 40ms);
  CHECK(p.b.peer("a").round_trip == 40ms);
}

TEST_CASE("the round trip follows a change slowly", "[net][link]") {
  link_pair p;
  p.net.faults.delay_min = p.net.faults.delay_max = 10ms;
  REQUIRE(p.meet());
  p.net.run(2s);
  REQUIRE(p.a.peer("b").round_trip == 20ms);
  p.net.faults.delay_min = p.net.faults.delay_max = 50ms;
  p.net.run(500ms);
  CHECK(p.a.peer("b").round_trip > 20ms);
  CHECK(p.a.peer("b").round_trip < 60ms);
  p.net.run(20s);
  CHECK(p.a.peer("b").round_trip > 95ms);
}

TEST_CASE("beats asked for at once go with the next flush, once", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.net.run(300ms);
  const auto before = p.b.beats["a"].size();
  p.a.state = "news";
  for (int n = 0; n < 10; ++n)
    p.a.core.beat_now(p.net.now);
  CHECK(p.a.core.waiting());
  CHECK(p.a.core.next_tick() <= p.net.now);
  p.a.core.flush(p.net.now);
  p.net.run(2ms);
  REQUIRE(p.b.beats["a"].size() == before + 1);
  CHECK(p.b.beats["a"].back().first == "news");
}

TEST_CASE("any frame counts as life", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  CHECK_FALSE(p.a.core.last_heard("nobody"));
  p.net.filter = [](const link_packet& packet) { return packet.head.kind != frame_kind::beat; };
  p.net.run(2s);
  const auto silent = p.b.core.last_heard("a");
  REQUIRE(silent);
  CHECK(p.net.now - *silent > 1s);
  REQUIRE(p.a.say("b", "x"));
  p.net.run(10ms);
  CHECK(p.net.now - *p.b.core.last_heard("a") < 20ms);
  // And the acknowledgement of it at the other side.
  p.net.run(30ms);
  CHECK(p.net.now - *p.a.core.last_heard("b") < 50ms);
}

TEST_CASE("an idle link acknowledges soon and resends nothing", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  for (int n = 0; n < 50; ++n) {
    REQUIRE(p.a.say("b", "x"));
    p.a.core.flush(p.net.now);
    p.net.run(30ms);
    REQUIRE(p.a.peer("b").in_flight_bytes == 0);
    p.net.run(100ms);
  }
  CHECK(p.a.core.stats().resent == 0);
  CHECK(p.b.core.stats().duplicates == 0);
}

TEST_CASE("a full pipe keeps frames until it has room", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.a.pipe_full = true;
  for (int n = 0; n < 100; ++n)
    REQUIRE(p.a.say("b", std::to_string(n)));
  CHECK_FALSE(p.a.core.flush(p.net.now));
  p.net.run(1s);
  CHECK(p.b.got["a"].empty());
  p.a.pipe_full = false;
  CHECK(p.a.core.flush(p.net.now));
  p.net.run(10ms);
  CHECK(p.b.got["a"].size() == 100);
  CHECK(p.a.core.stats().resent == 0);
}
