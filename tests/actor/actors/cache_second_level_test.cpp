#include "tests/support/cache_cluster.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::test;

namespace {

using reply = msg::cache_get_reply;
using turn = msg::cache_turn;
using hops = rt::test_system::hops;

/// Nodes with a second level behind them that they share.
struct two_levels : cache_cluster {
  explicit two_levels(const std::vector<std::string>& names, hops how = hops::native)
    : cache_cluster(how) {
    with_second_level();
    copies = 1;
    for (const auto& name : names)
      add(name);
    install(names);
    sys.advance(rules.handover_keep + 2s);
  }
  void put_second(std::uint64_t n, const std::string& value, std::uint32_t ttl_ms = 60'000,
                  std::uint64_t group = 0) {
    sys.tell(second_level, msg::cache_put_request{key(n), value, ttl_ms, 0, group, 1, 300});
  }
  std::string holds_second(std::uint64_t n) {
    return text(sys.ask_for<reply>(second_level, msg::cache_get_request{key(n), 0}));
  }
  std::uint64_t results(const char* result) {
    std::uint64_t sum = 0;
    for (const auto* each : {"0", "1"})
      sum += counter("skep_cache_second_level_total", {{"shard", each}, {"result", result}});
    return sum;
  }
  std::shared_ptr<rt::answers> begin(const std::string& at, std::uint64_t n,
                                     std::uint32_t lease_ms = 0) {
    return ask_lease(at, n, 0, lease_ms);
  }
  void hold_everything() {
    net.holds = [](const caf::mailbox_element&) { return true; };
  }
  void deliver_all() {
    net.holds = nullptr;
    net.deliver_all();
    sys.run();
  }
};

} // namespace

TEST_CASE("a shard that misses takes what the second level has, with all that is known of it",
          "[actors][cache][second]") {
  two_levels node{{"a"}, GENERATE(hops::native, hops::force_wire)};
  node.put_second(1, "value", 60'000, 7);
  node.sys.advance(10s);
  CHECK(node.get_lease("a", 1).value == "value");
  CHECK(node.results("hit") == 1);
  const auto sent = node.net.sent;
  const auto kept = node.get_lease("a", 1);
  CHECK(node.net.sent == sent);
  CHECK(kept.value == "value");
  CHECK(kept.age_s >= 10);
  CHECK(kept.ttl_s <= 50);
  CHECK(kept.ttl_s >= 49);
  CHECK(kept.kind == 1);
  CHECK(kept.group == 7);
  CHECK(kept.cost == 300);
  node.sys.advance(50s);
  CHECK(node.get("a", 1) == "-");
}

TEST_CASE("a lease is granted after the second level had nothing either",
          "[actors][cache][second]") {
  two_levels node{{"a"}, GENERATE(hops::native, hops::force_wire)};
  CHECK(node.get_lease("a", 1).turn == static_cast<std::uint8_t>(turn::won));
  CHECK(node.results("miss") == 1);
  const auto sent = node.net.sent;
  CHECK(node.get_lease("a", 1).turn == static_cast<std::uint8_t>(turn::wait));
  CHECK(node.net.sent == sent); // Somebody produces it: nothing newer is there.
  CHECK(node.get("a", 2) == "-");
  CHECK(node.results("miss") == 2);
}

TEST_CASE("gets of one key ask the second level once", "[actors][cache][second]") {
  two_levels node{{"a"}};
  node.put_second(1, "value");
  node.hold_everything();
  SECTION("and all get what it has") {
    std::vector<std::shared_ptr<rt::answers>> all;
    for (int n = 0; n < 5; ++n)
      all.push_back(node.begin("a", 1, n % 2 == 0 ? 1000 : 0));
    CHECK(node.net.held() == 1);
    node.deliver_all();
    for (const auto& each : all) {
      REQUIRE(each->last<reply>() != nullptr);
      CHECK(each->last<reply>()->value == "value");
      CHECK(each->last<reply>()->turn == 0);
    }
  }
  SECTION("and when it has nothing, one of those that are still there wins") {
    const auto gone = node.begin("a", 2, 1000);
    const auto plain = node.begin("a", 2);
    const auto first = node.begin("a", 2, 1000);
    const auto second = node.begin("a", 2, 1000);
    CHECK(node.net.held() == 1);
    node.sys.give_up(gone);
    node.deliver_all();
    CHECK(!gone->complete());
    CHECK(plain->why().code == errc::cache_miss);
    REQUIRE(first->last<reply>() != nullptr);
    REQUIRE(second->last<reply>() != nullptr);
    CHECK(first->last<reply>()->turn == static_cast<std::uint8_t>(turn::won));
    CHECK(second->last<reply>()->turn == static_cast<std::uint8_t>(turn::wait));
  }
}

TEST_CASE("gets beyond the bound do not wait for the second level", "[actors][cache][second]") {
  cache_cluster cluster;
  cluster.with_second_level();
  cluster.copies = 1;
  cluster.shard.second_level_waits_max = 2;
  cluster.add("a", 1);
  cluster.install({"a"});
  cluster.net.holds = [](const caf::mailbox_element&) { return true; };
  const auto first = cluster.ask_lease("a", 1);
  const auto second = cluster.ask_lease("a", 2);
  CHECK(cluster.get("a", 3) == "-");
  CHECK(!first->complete());
  CHECK(cluster.counter("skep_cache_second_level_total", {{"shard", "0"}, {"result", "refused"}})
        == 1);
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(first->complete());
  CHECK(second->complete());
}

TEST_CASE("a second level that is down or slow is a miss, and local answers go on",
          "[actors][cache][second]") {
  two_levels node{{"a"}};
  node.put("a", 1, "value");
  SECTION("down") {
    node.net.set_down("redis", true);
    CHECK(node.get_lease("a", 2).turn == static_cast<std::uint8_t>(turn::won));
    CHECK(node.results("failed") == 1);
  }
  SECTION("slow") {
    node.hold_everything();
    const auto got = node.begin("a", 2, 1000);
    node.sys.advance(49ms);
    CHECK(!got->complete());
    node.sys.advance(2ms);
    REQUIRE(got->last<reply>() != nullptr);
    CHECK(got->last<reply>()->turn == static_cast<std::uint8_t>(turn::won));
    CHECK(node.results("failed") == 1);
  }
  CHECK(node.get("a", 1) == "value");
}

TEST_CASE("a put reaches the second level once, whoever owns the key", "[actors][cache][second]") {
  two_levels cluster{{"a", "b"}, GENERATE(hops::native, hops::force_wire)};
  std::uint64_t puts = 0;
  cluster.net.holds = [&](const caf::mailbox_element& what) {
    puts += what.content().match_element<msg::cache_put_request>(1) ? 1 : 0;
    return false;
  };
  const auto mine = cluster.key_of({"a"});
  cluster.put("a", mine, "mine");
  CHECK(puts == 1); // Its shard had it on the sender's thread.
  CHECK(cluster.holds_second(mine) == "mine");
  const auto other = cluster.key_of({"b"});
  cluster.put("a", other, "other");
  CHECK(puts == 3);
  CHECK(cluster.holds_second(other) == "other");
}

TEST_CASE("what was put meanwhile is newer than what the second level brings",
          "[actors][cache][second]") {
  two_levels node{{"a"}};
  node.put_second(1, "old");
  node.hold_everything();
  const auto got = node.begin("a", 1);
  node.put("a", 1, "new");
  node.deliver_all();
  REQUIRE(got->last<reply>() != nullptr);
  CHECK(got->last<reply>()->value == "new");
  CHECK(node.get("a", 1) == "new");
}

TEST_CASE("a clear reaches the second level before the shards, and nothing comes back",
          "[actors][cache][second]") {
  two_levels cluster{{"a", "b"}, GENERATE(hops::native, hops::force_wire)};
  const auto n = cluster.key_of({"b"});
  cluster.put("a", n, "value", 0, 7);
  REQUIRE(cluster.holds_second(n) == "value");
  const auto what = GENERATE_COPY(msg::cache_clear_request{true, {}},
                                  msg::cache_clear_request{false, cache_cluster::key(n)},
                                  msg::cache_clear_request{false, {}, 7});
  std::uint64_t clears = 0;
  cluster.net.holds = [&](const caf::mailbox_element& each) {
    clears += each.content().match_element<msg::cache_clear_request>(1) ? 1 : 0;
    return false;
  };
  CHECK(cluster.clear("a", what));
  CHECK(clears == 2); // One to b, one to the second level; none from b.
  CHECK(cluster.holds_second(n) == "-");
  CHECK(cluster.get("a", n) == "-");
  CHECK(cluster.get("b", n) == "-");
}

TEST_CASE("an answer of the second level from before a clear is not taken",
          "[actors][cache][second]") {
  two_levels node{{"a"}};
  node.put_second(1, "value", 60'000, 7);
  node.hold_everything();
  const auto got = node.begin("a", 1, 1000);
  REQUIRE(node.net.held() == 1);
  const bool group = GENERATE(false, true);
  // As if the second level had answered already when it was cleared.
  const auto& shard = node.nodes.at("a").shards.of(actors::slot_of(node.key(1)));
  node.sys.ask(shard, group ? msg::cache_clear_request{false, {}, 7}
                            : msg::cache_clear_request{false, node.key(1)});
  node.deliver_all();
  REQUIRE(got->last<reply>() != nullptr);
  CHECK(got->last<reply>()->turn == static_cast<std::uint8_t>(turn::won));
  CHECK(!got->last<reply>()->found);
  CHECK(node.holds("a", 1) == "-");
}

TEST_CASE("a clear does not wait long for a second level that is silent",
          "[actors][cache][second]") {
  two_levels node{{"a"}};
  node.put("a", 1, "value");
  node.hold_everything();
  const auto cleared = node.sys.ask(node.nodes.at("a").front, msg::cache_clear_request{true, {}});
  node.sys.advance(999ms);
  CHECK(!cleared->complete());
  node.sys.advance(2ms);
  CHECK(cleared->last<msg::ack>() != nullptr);
  CHECK(node.holds("a", 1) == "none"); // It asks the silent one now.
  node.sys.advance(1s);
  CHECK(node.results("failed") == 1);
}
