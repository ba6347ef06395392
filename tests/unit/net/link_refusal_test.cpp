#include "tests/support/catch.hpp"
#include "tests/support/link_net.hpp"

using namespace skep;
using namespace skep::net;
using namespace skep::test;
using Catch::Matchers::Contains;

namespace {

/// What b says about a, whose config was edited, and what a hears of it.
struct refused_pair {
  explicit refused_pair(const std::function<void(link_config&, link_config&)>& edit)
    : pair([&] {
        auto a = link_test_config("a");
        auto b = link_test_config("b");
        edit(a, b);
        return link_pair{a, b};
      }()) {
    REQUIRE(pair.a.core.add_peer("b", pair.b.address, pair.net.now));
    pair.net.run(1500ms);
  }

  link_pair pair;
};

void check_refusal(const std::function<void(link_config&, link_config&)>& edit, msg::refusal why,
                   const std::vector<std::string>& words) {
  refused_pair r{edit};
  auto& [net, a, b] = r.pair;
  CHECK(a.log.empty());
  CHECK(b.log.empty());
  REQUIRE_FALSE(b.refusals.empty());
  CHECK(b.refusals[0].by_us);
  CHECK(b.refusals[0].peer == "a");
  CHECK(b.refusals[0].why.reason == static_cast<std::uint8_t>(why));
  REQUIRE_FALSE(a.refusals.empty());
  CHECK_FALSE(a.refusals[0].by_us);
  CHECK(a.refusals[0].peer == "b");
  CHECK(a.refusals[0].why == b.refusals[0].why);
  for (const auto& word : words)
    CHECK_THAT(a.refusals[0].why.text, Contains(word));
  CHECK(b.core.stats().hellos_refused >= 1);
}

} // namespace

TEST_CASE("a node of another cluster is refused with both names", "[net][link]") {
  check_refusal([](auto& a, auto&) { a.cluster = "wasps"; }, msg::refusal::cluster,
                {"node b refuses node a", "wasps", "skep"});
}

TEST_CASE("other cluster options are refused with both digests", "[net][link]") {
  check_refusal(
    [](auto& a, auto& b) { a.config_digest = 0xabc, b.config_digest = 0xdef; },
    msg::refusal::config,
    {"0000000000000abc", "0000000000000def", "[cluster] options", "node.identity_secret"});
}

TEST_CASE("a digest of zero is not compared", "[net][link]") {
  refused_pair r{[](auto& a, auto& b) { a.config_digest = 0, b.config_digest = 7; }};
  CHECK(r.pair.both_up());
}

TEST_CASE("nodes of different versions meet, for messages only grow", "[net][link]") {
  refused_pair r{[](auto& a, auto& b) {
    a.schema_hash = 1, a.speaks = {{0x101, 1}, {0x102, 3}};
    b.schema_hash = 2, b.speaks = {{0x102, 1}, {0x103, 1}};
  }};
  CHECK(r.pair.both_up());
}

TEST_CASE("a second node of a live name is refused with both addresses", "[net][link]") {
  link_pair p;
  REQUIRE(p.meet());
  auto config = link_test_config("b", 5);
  config.advertise = "sim://impostor";
  config.incarnation = 9;
  link_node impostor{p.net, config};
  REQUIRE(impostor.core.add_peer("a", "sim://a", p.net.now));
  p.net.run(5s);
  CHECK(impostor.log.empty());
  CHECK(p.a.log.size() == 1);
  REQUIRE_FALSE(impostor.refusals.empty());
  CHECK(impostor.refusals[0].why.reason == static_cast<std::uint8_t>(msg::refusal::name_taken));
  CHECK_THAT(impostor.refusals[0].why.text, Contains("sim://impostor") && Contains("sim://b"));
  // Told about once a second, not with every hello.
  CHECK(impostor.refusals.size() <= 6);
  CHECK(p.a.refusals.size() <= 6);
}

TEST_CASE("our own name from somebody else is refused", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  auto config = link_test_config("a", 5);
  config.advertise = "sim://other";
  link_node other{net, config};
  REQUIRE(other.core.add_peer("friend", "sim://a", net.now));
  net.run(1s);
  CHECK(a.log.empty());
  REQUIRE_FALSE(a.refusals.empty());
  CHECK(a.refusals[0].why.reason == static_cast<std::uint8_t>(msg::refusal::name_taken));
  CHECK_THAT(a.refusals[0].why.text, Contains("sim://a") && Contains("sim://other"));
}

TEST_CASE("a node that hears its own hello is not alarmed", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  REQUIRE(a.core.add_peer("b", "sim://a", net.now));
  net.run(1s);
  CHECK(a.log.empty());
  CHECK(a.refusals.empty());
}

TEST_CASE("hellos beyond peers_max are refused", "[net][link]") {
  link_net net;
  auto config = link_test_config("a");
  config.peers_max = 1;
  link_node a{net, config};
  link_node b{net, link_test_config("b")};
  link_node c{net, link_test_config("c")};
  REQUIRE(b.core.add_peer("a", "sim://a", net.now));
  REQUIRE(net.run_until([&] { return a.up("b"); }));
  REQUIRE(c.core.add_peer("a", "sim://a", net.now));
  net.run(1s);
  CHECK_FALSE(a.up("c"));
  REQUIRE_FALSE(c.refusals.empty());
  CHECK(c.refusals[0].why.reason == static_cast<std::uint8_t>(msg::refusal::full));
  CHECK(a.core.add_peer("d", "sim://d", net.now).error().code == errc::overloaded);
}

TEST_CASE("a hello under a key of another name is refused", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.b.core.add_peer("a", "sim://a", p.net.now));
  p.net.filter = [](const link_packet&) { return false; };
  p.net.run(50ms);
  REQUIRE_FALSE(p.net.sent.empty());
  const auto hello = p.net.sent[0];
  const auto head = encode_head(hello.head);
  p.a.core.frame_came({head.data(), head.size()}, hello.body, "mallory", p.net.now);
  REQUIRE(p.a.refusals.size() == 1);
  CHECK(p.a.refusals[0].why.reason == static_cast<std::uint8_t>(msg::refusal::key));
  CHECK_THAT(p.a.refusals[0].why.text, Contains("mallory"));
  p.a.core.frame_came({head.data(), head.size()}, hello.body, "b", p.net.now);
  CHECK(p.a.refusals.size() == 1);
}

TEST_CASE("a session's frames must come under the peer's own key", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.meet());
  p.net.run(1s);
  const auto beat = std::find_if(p.net.sent.rbegin(), p.net.sent.rend(), [](const auto& each) {
    return each.from == "sim://b" && each.head.kind == frame_kind::beat;
  });
  REQUIRE(beat != p.net.sent.rend());
  const auto copy = *beat;
  const auto head = encode_head(copy.head);
  const auto before = p.a.core.stats().malformed;
  p.a.core.frame_came({head.data(), head.size()}, copy.body, "mallory", p.net.now);
  CHECK(p.a.core.stats().malformed == before + 1);
}

TEST_CASE("another protocol major is refused by name", "[net][link]") {
  link_pair p;
  p.net.keeps = true;
  REQUIRE(p.b.core.add_peer("a", "sim://a", p.net.now));
  p.net.filter = [](const link_packet&) { return false; };
  p.net.run(50ms);
  p.net.filter = {};
  auto hello = p.net.sent.at(0);
  hello.head.major = 2;
  p.net.deliver(hello);
  REQUIRE(p.a.refusals.size() == 1);
  CHECK(p.a.refusals[0].why.reason == static_cast<std::uint8_t>(msg::refusal::protocol));
  CHECK_THAT(p.a.refusals[0].why.text, Contains("protocol 2") && Contains("protocol 1"));
  CHECK(p.a.log.empty());
}

TEST_CASE("a stranger's hellos cannot make a node connect to many places", "[net][link]") {
  link_net net;
  link_node a{net, link_test_config("a")};
  msg::node_hello hello;
  hello.cluster = "wasps";
  hello.token = 1;
  for (int n = 0; n < 1000; ++n) {
    hello.node = "n" + std::to_string(n);
    hello.address = "sim://" + hello.node;
    std::string body;
    encode(hello, body);
    net.deliver({"", "sim://a", {.kind = frame_kind::hello}, body});
  }
  CHECK(a.ways.size() == 8);
  CHECK(a.refusals.size() == 8);
  CHECK(a.core.stats().hellos_refused == 1000);
  net.run(2s);
  CHECK(a.ways.empty());
  // Nor can hellos nothing is wrong with.
  hello.cluster = "skep";
  for (int n = 0; n < 1000; ++n) {
    hello.node = "n" + std::to_string(n);
    hello.address = "sim://" + hello.node;
    std::string body;
    encode(hello, body);
    net.deliver({"", "sim://a", {.kind = frame_kind::hello}, body});
  }
  CHECK(a.ways.size() == 16);
  net.run(10s);
  CHECK(a.ways.empty());
  CHECK(a.log.empty());
}

TEST_CASE("a refusal nobody asked for is not believed", "[net][link]") {
  link_pair p;
  REQUIRE(p.a.core.add_peer("b", "sim://b", p.net.now));
  REQUIRE(p.net.run_until([&] { return p.both_up(); }));
  const auto tell = [&](const std::string& node, std::uint64_t incarnation) {
    std::string body;
    encode(msg::node_refusal{node, 2, "go away", incarnation}, body);
    p.net.deliver({"", "sim://a", {.kind = frame_kind::refusal}, body});
  };
  tell("b", 1); // Its session lives.
  tell("c", 1); // Nobody we know.
  CHECK(p.a.refusals.empty());
  CHECK(p.a.up("b"));
  REQUIRE(p.a.core.add_peer("c", "sim://c", p.net.now));
  tell("c", 2); // Another life.
  CHECK(p.a.refusals.empty());
  tell("c", 1);
  REQUIRE(p.a.refusals.size() == 1);
  CHECK(p.a.refusals[0].why.text == "go away");
}
