#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

/// Two nodes that have talked, and every frame of it.
struct heard_pair : link_pair {
  heard_pair() {
    net.keeps = true;
    a.state = "state";
    REQUIRE(meet());
    REQUIRE(a.say("b", "hello"));
    REQUIRE(b.say("a", std::string(300'000, 'x')));
    net.run(1s);
    frames = net.sent;
    net.keeps = false;
  }
  void check_alive() {
    net.run(3s);
    REQUIRE(net.run_until([&] { return both_up(); }));
    b.got.clear();
    REQUIRE(a.say("b", "alive"));
    REQUIRE(net.run_until([&] { return !b.got["a"].empty(); }));
    CHECK(b.got["a"].back() == "alive");
  }
  std::vector<link_packet> frames;
};

void deliver_raw(link_node& to, std::string_view head, std::string_view body) {
  to.core.frame_came(head, body, {}, to.net.now);
  to.core.flush(to.net.now);
}

} // namespace

TEST_CASE("frames that are none of ours are counted and harm nothing", "[net][link]") {
  heard_pair p;
  const auto before = p.b.core.stats().malformed;
  std::mt19937_64 random{1};
  for (int n = 0; n < 2000; ++n) {
    std::string head(random() % 40, '\0');
    std::string body(random() % 100, '\0');
    for (auto& each : head)
      each = static_cast<char>(random());
    for (auto& each : body)
      each = static_cast<char>(random());
    deliver_raw(p.b, head, body);
  }
  CHECK(p.b.core.stats().malformed == before + 2000);
  CHECK(p.both_up());
  p.check_alive();
}

TEST_CASE("true frames with a bit turned do not break a node", "[net][link]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed=" << seed);
    heard_pair p;
    std::mt19937_64 random{seed};
    for (int n = 0; n < 300; ++n) {
      auto frame = p.frames[random() % p.frames.size()];
      const auto encoded = encode_head(frame.head);
      std::string head{encoded.data(), encoded.size()};
      auto& where = frame.body.empty() || random() % 2 == 0 ? head : frame.body;
      where[random() % where.size()] ^= static_cast<char>(1 << random() % 8);
      deliver_raw(frame.to == "sim://a" ? p.a : p.b, head, frame.body);
    }
    // Who has the token can confuse its own session, and nothing else.
    p.a.core.close_session("b", failure{errc::node_down, "confused"}, p.net.now);
    p.b.core.close_session("a", failure{errc::node_down, "confused"}, p.net.now);
    p.check_alive();
  }
}

TEST_CASE("true frames that are cut do not break a node", "[net][link]") {
  heard_pair p;
  for (const auto& frame : p.frames) {
    const auto head = encode_head(frame.head);
    for (std::size_t size = 0; size < std::min<std::size_t>(frame.body.size(), 200); ++size)
      deliver_raw(frame.to == "sim://a" ? p.a : p.b, {head.data(), head.size()},
                  std::string_view{frame.body}.substr(0, size));
  }
  p.check_alive();
}

TEST_CASE("a peer whose data is no records loses its session", "[net][link]") {
  heard_pair p;
  link_packet data;
  for (const std::string& body : {std::string{"x"},
                                  std::string("\xff\xff\xff\x7f"
                                              "abc",
                                              7),
                                  std::string("\5\0\0\0ab", 6)}) {
    p.net.run(2s);
    REQUIRE(p.net.run_until([&] { return p.both_up(); }));
    const auto before = p.b.core.stats().malformed;
    // Only who has the token and the right number gets as far as that.
    p.net.keeps = true;
    p.net.sent.clear();
    REQUIRE(p.a.say("b", "next"));
    p.net.filter = [](const link_packet& each) { return each.head.kind != frame_kind::data; };
    p.a.core.flush(p.net.now);
    p.net.run(10ms);
    p.net.filter = {};
    const auto sent = std::find_if(p.net.sent.begin(), p.net.sent.end(), [](const auto& each) {
      return each.head.kind == frame_kind::data;
    });
    REQUIRE(sent != p.net.sent.end());
    data = *sent;
    data.body = body;
    p.net.deliver(data);
    CHECK(p.b.log.back() == "down a malformed");
    CHECK(p.b.core.stats().malformed == before + 1);
  }
  p.check_alive();
}

TEST_CASE("an endless message cut in pieces is not collected for ever", "[net][link]") {
  auto of_b = link_test_config("b");
  of_b.message_bytes_max = 1'000'000;
  link_pair p{link_test_config("a"), of_b};
  p.net.keeps = true;
  REQUIRE(p.meet());
  REQUIRE(p.a.say("b", "x"));
  p.net.run(100ms);
  auto data = *std::find_if(p.net.sent.rbegin(), p.net.sent.rend(),
                            [](const auto& each) { return each.head.kind == frame_kind::data; });
  const auto head = encode_record_head(100'000, true);
  data.body = std::string{head.data(), head.size()} + std::string(100'000, 'x');
  int frames = 0;
  while (p.b.log.back() == "up a" && frames < 100) {
    ++data.head.sequence;
    p.net.deliver(data);
    ++frames;
  }
  CHECK(frames == 11);
  CHECK(p.b.log.back() == "down a malformed");
}

TEST_CASE("hellos with impossible names are no hellos", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  msg::node_hello good;
  good.cluster = "skep";
  good.node = "b";
  good.address = "sim://b";
  good.token = 1;
  const auto deliver = [&](const std::function<void(msg::node_hello&)>& edit) {
    auto hello = good;
    edit(hello);
    std::string body;
    encode(hello, body);
    net.deliver({"", "sim://a", {.kind = frame_kind::hello}, body});
  };
  deliver([](auto& h) { h.node = ""; });
  deliver([](auto& h) { h.node = std::string(129, 'x'); });
  deliver([](auto& h) { h.node = "a b"; });
  deliver([](auto& h) { h.node = "b\n"; });
  deliver([](auto& h) { h.address = ""; });
  deliver([](auto& h) { h.address = std::string(257, 'x'); });
  deliver([](auto& h) { h.cluster = std::string(10'000, 'x'); });
  deliver([](auto& h) { h.token = 0; });
  deliver([](auto& h) { h.speaks.resize(5000); });
  CHECK(a.core.stats().malformed == 9);
  CHECK(a.ways.empty());
  deliver([](auto& h) { h.address = "ipc:///etc/x"; }); // The socket does not take it.
  CHECK(a.core.stats().malformed == 10);
  deliver([](auto&) {});
  CHECK(a.ways.size() == 1);
}

TEST_CASE("a beat that echoes what was never sent proves nothing", "[net][link]") {
  heard_pair p;
  auto beat = *std::find_if(p.frames.rbegin(), p.frames.rend(), [](const auto& each) {
    return each.to == "sim://b" && each.head.kind == frame_kind::beat;
  });
  const auto round_trip = p.b.peer("a").round_trip;
  const auto now_us = static_cast<std::uint64_t>(
    std::chrono::duration_cast<std::chrono::microseconds>(p.net.now.time_since_epoch()).count());
  std::uint64_t ping = now_us + 1'000'000;
  for (const auto& [echo, held] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
         {now_us + 10, 0}, {~0ull, 0}, {1, 0}, {1, ~0ull}}) {
    beat.body.clear();
    encode(msg::link_beat{++ping, echo, held, "forged"}, beat.body);
    p.b.beats.clear();
    p.net.deliver(beat);
    REQUIRE(p.b.beats["a"].size() == 1);
    CHECK_FALSE(p.b.beats["a"][0].second);
  }
  CHECK(p.b.peer("a").round_trip == round_trip);
  // An old beat is not told again.
  p.b.beats.clear();
  p.net.deliver(beat);
  CHECK(p.b.beats["a"].empty());
}

TEST_CASE("a flood of data ahead of a gap keeps nothing", "[net][link]") {
  heard_pair p;
  auto data = *std::find_if(p.frames.begin(), p.frames.end(), [](const auto& each) {
    return each.to == "sim://b" && each.head.kind == frame_kind::data;
  });
  const auto before = p.b.core.stats().gaps;
  for (int n = 0; n < 1000; ++n) {
    data.head.sequence = 1000 + static_cast<std::uint64_t>(n) * 7;
    p.net.deliver(data);
  }
  CHECK(p.b.core.stats().gaps == before + 1000);
  CHECK(p.b.got["a"].size() == 1);
  p.check_alive();
}
