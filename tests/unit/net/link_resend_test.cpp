#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

bool is_data(const link_packet& packet) {
  return packet.from == "sim://a" && packet.head.kind == frame_kind::data;
}

/// Says `count` messages, each in a frame of its own.
void say_frames(link_pair& p, int from, int count) {
  for (int n = from; n < from + count; ++n) {
    REQUIRE(p.a.say("b", std::to_string(n)));
    p.a.core.flush(p.net.now);
  }
}

void check_order(const std::vector<std::string>& got, int count) {
  REQUIRE(got.size() == static_cast<std::size_t>(count));
  for (int n = 0; n < count; ++n)
    REQUIRE(got[static_cast<std::size_t>(n)] == std::to_string(n));
}

} // namespace

TEST_CASE("a frame lost in the middle is sent again within a round trip or two", "[net][link]") {
  link_pair p;
  p.net.faults.delay_min = p.net.faults.delay_max = 10ms;
  REQUIRE(p.meet());
  p.net.run(1s);
  int seen = 0;
  p.net.filter = [&](const link_packet& packet) { return !is_data(packet) || ++seen != 5; };
  say_frames(p, 0, 20);
  p.net.run(80ms);
  check_order(p.b.got["a"], 20);
  CHECK(p.a.core.stats().resent == 16);
  CHECK(p.b.core.stats().gaps == 15);
}

TEST_CASE("a lost tail is sent again when the timer fires, one frame first", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.net.run(1s);
  bool broken = true;
  p.net.filter = [&](const link_packet& packet) { return !broken || !is_data(packet); };
  say_frames(p, 0, 40);
  p.net.run(200ms);
  CHECK(p.a.core.stats().resent == 0);
  p.net.run(150ms);
  CHECK(p.a.core.stats().resent == 1);
  broken = false;
  p.net.run(1s);
  check_order(p.b.got["a"], 40);
  CHECK(p.a.core.stats().resent == 41);
}

TEST_CASE("the timer doubles while nothing comes", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.net.filter = [&](const link_packet& packet) { return packet.from != "sim://b"; };
  say_frames(p, 0, 1);
  p.net.run(20s);
  // After 0.3, 0.6, 1.2 s, then every 2 s.
  CHECK(p.a.core.stats().resent >= 9);
  CHECK(p.a.core.stats().resent <= 13);
  CHECK(p.b.got["a"].size() == 1);
  CHECK(p.b.core.stats().duplicates == p.a.core.stats().resent);
}

TEST_CASE("a peer that was merely paused is not buried in repetitions", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  p.net.run(1s);
  // b stops for five seconds; what was sent to it arrives afterwards.
  std::vector<link_packet> held;
  bool paused = true;
  p.net.filter = [&](const link_packet& packet) {
    if (packet.from == "sim://b")
      return !paused;
    if (paused && packet.to == "sim://b")
      held.push_back(packet);
    return !paused;
  };
  say_frames(p, 0, 100);
  p.net.run(5s);
  CHECK(p.a.core.stats().resent <= 6);
  paused = false;
  for (const auto& each : held)
    p.net.deliver(each);
  p.net.run(2s);
  check_order(p.b.got["a"], 100);
  CHECK(p.a.core.stats().resent <= 10);
  CHECK(p.a.peer("b").in_flight_bytes == 0);
}

TEST_CASE("lost acknowledgements cost nothing but time", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  int n = 0;
  p.net.filter = [&](const link_packet& packet) {
    return packet.head.kind != frame_kind::ack || ++n % 2 == 0;
  };
  say_frames(p, 0, 300);
  p.net.run(3s);
  check_order(p.b.got["a"], 300);
  CHECK(p.a.peer("b").in_flight_bytes == 0);
}

TEST_CASE("a frame that acknowledges what was never sent is dropped", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  p.net.run(300ms);
  auto forged = p.net.sent.back();
  for (const auto& each : p.net.sent)
    if (each.to == "sim://a" && each.head.kind == frame_kind::beat)
      forged = each;
  REQUIRE(forged.to == "sim://a");
  forged.head.kind = frame_kind::ack;
  forged.head.ack = 1;
  const auto before = p.a.core.stats().malformed;
  p.net.deliver(forged);
  CHECK(p.a.core.stats().malformed == before + 1);
  CHECK(p.both_up());
}

TEST_CASE("data sent twice arrives once", "[net][link]") {
  link_pair p;
  p.net.faults.duplication = 1.0;
  REQUIRE(p.meet());
  say_frames(p, 0, 100);
  p.net.run(1s);
  check_order(p.b.got["a"], 100);
  CHECK(p.b.core.stats().duplicates >= 100);
}

TEST_CASE("frames of an ended session are not taken into the next", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  say_frames(p, 0, 10);
  p.net.run(100ms);
  const auto old = p.net.sent;
  p.a.core.close_session("b", failure{errc::node_down, "test"}, p.net.now);
  REQUIRE(p.net.run_until([&] { return p.a.up("b") && p.b.count("up a") == 2; }));
  p.b.got.clear();
  const auto before = p.b.core.stats().malformed;
  for (const auto& each : old)
    if (each.to == "sim://b" && each.head.kind != frame_kind::hello)
      p.net.deliver(each);
  p.net.run(100ms);
  CHECK(p.b.got["a"].empty());
  CHECK(p.b.core.stats().malformed >= before + 10);
  CHECK(p.both_up());
}
