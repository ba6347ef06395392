#include "tests/support/cache_cluster.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::test;

namespace {

using reply = msg::cache_get_reply;
using turn = msg::cache_turn;
using hops = rt::test_system::hops;

const std::vector<std::string> abc{"a", "b", "c"};

bool won(const reply& r) {
  return r.turn == static_cast<std::uint8_t>(turn::won) && r.lease != 0;
}
bool waits(const reply& r, const std::string& leader) {
  return r.turn == static_cast<std::uint8_t>(turn::wait) && r.leader == leader && !r.found;
}
bool plain(const reply& r, const std::string& value) {
  return r.turn == static_cast<std::uint8_t>(turn::none) && r.found && !r.stale && r.value == value;
}

struct one_node : cache_cluster {
  explicit one_node(actors::cache_shard_config with = {}, hops how = hops::native)
    : cache_cluster(how) {
    copies = 1;
    shard = std::move(with);
    add("a");
    install({"a"});
  }
  reply ask(std::uint64_t n, std::uint64_t lost = 0) {
    return get_lease("a", n, lost);
  }
  void release(const std::string& at, std::uint64_t n, std::uint64_t lease) {
    sys.tell(nodes.at(at).front, msg::cache_release_request{key(n), lease});
  }
  std::uint64_t leases(const char* what) {
    std::uint64_t sum = 0;
    for (const auto* each : {"0", "1"})
      sum += counter(what, {{"shard", each}});
    return sum;
  }
};

struct three_nodes : cache_cluster {
  explicit three_nodes(hops how = hops::native) : cache_cluster(how) {
    for (const auto& name : abc)
      add(name);
    install(abc);
    sys.advance(rules.handover_keep + 2s);
  }
};

actors::cache_shard_config aging(duration stale, double refresh_ahead) {
  actors::cache_shard_config made;
  made.store.stale = stale;
  made.store.refresh_ahead = refresh_ahead;
  return made;
}

} // namespace

TEST_CASE("of those who miss one wins, the others wait for it until the value is there",
          "[actors][cache][lease]") {
  one_node node{{}, GENERATE(hops::native, hops::force_wire)};
  const auto first = node.ask(1);
  CHECK(won(first));
  CHECK(!first.found);
  for (int n = 0; n < 3; ++n) {
    const auto next = node.ask(1);
    CHECK(waits(next, "a"));
    CHECK(next.lease == first.lease);
  }
  CHECK(node.get("a", 1) == "-"); // Who cannot produce it has no part in this.
  CHECK(won(node.ask(2)));
  node.put("a", 1, "value");
  CHECK(plain(node.ask(1), "value"));
  node.sys.advance(1s);
  CHECK(node.leases("skep_cache_leases_granted_total") == 2);
  CHECK(node.leases("skep_cache_leases_waited_total") == 3);
  CHECK(node.leases("skep_cache_leases_expired_total") == 0);
}

TEST_CASE("a lease given back goes to the next caller", "[actors][cache][lease]") {
  one_node node{{}, GENERATE(hops::native, hops::force_wire)};
  const auto first = node.ask(1);
  node.release("a", 1, first.lease + 1);
  CHECK(waits(node.ask(1), "a"));
  node.release("a", 1, first.lease);
  const auto second = node.ask(1);
  CHECK(won(second));
  CHECK(second.lease != first.lease);
  node.release("a", 1, first.lease); // Late, and no longer the key's.
  CHECK(waits(node.ask(1), "a"));
}

TEST_CASE("whoever finds the leader gone takes its lease over", "[actors][cache][lease]") {
  one_node node;
  const auto first = node.ask(1);
  const auto heir = node.ask(1, first.lease);
  CHECK(won(heir));
  const auto late = node.ask(1, first.lease);
  CHECK(waits(late, "a"));
  CHECK(late.lease == heir.lease);
  CHECK(node.leases("skep_cache_leases_lost_total") == 1);
}

TEST_CASE("a lease ends by itself when its time is over", "[actors][cache][lease]") {
  one_node node;
  CHECK(won(node.ask(1)));
  node.sys.advance(9s);
  CHECK(waits(node.ask(1), "a"));
  node.sys.advance(1s);
  CHECK(won(node.ask(1)));
  CHECK(node.leases("skep_cache_leases_expired_total") == 1);
}

TEST_CASE("a restarted shard has no leases and gives other ids", "[actors][cache][lease]") {
  one_node node;
  const auto before = node.ask(1);
  node.start(node.nodes.at("a"));
  const auto after = node.ask(1, before.lease);
  CHECK(won(after));
  CHECK(after.lease != before.lease);
  node.release("a", 1, before.lease);
  CHECK(waits(node.ask(1), "a"));
}

TEST_CASE("beyond the bound of leases callers get a plain miss", "[actors][cache][lease]") {
  actors::cache_shard_config small;
  small.leases_max = 0;
  one_node node{small};
  const auto got = node.ask_lease("a", 1);
  CHECK(got->why().code == errc::cache_miss);
  CHECK(node.leases("skep_cache_leases_refused_total") == 1);
  node.put("a", 1, "value");
  CHECK(plain(node.ask(1), "value"));
}

TEST_CASE("a stale value is served to all while one renews it", "[actors][cache][lease]") {
  one_node node{aging(10s, 0), GENERATE(hops::native, hops::force_wire)};
  node.put("a", 1, "old", 60'000);
  node.sys.advance(59s);
  CHECK(plain(node.ask(1), "old"));
  node.sys.advance(1s);
  const auto first = node.ask(1);
  CHECK(won(first));
  CHECK(first.stale);
  CHECK(first.value == "old");
  CHECK(first.ttl_s == 0);
  const auto second = node.ask(1);
  CHECK(second.turn == 0);
  CHECK(second.stale);
  CHECK(second.value == "old");
  CHECK(node.get("a", 1) == "old");
  SECTION("the new value ends it") {
    node.put("a", 1, "new", 60'000);
    CHECK(plain(node.ask(1), "new"));
  }
  SECTION("the renewer is lost") {
    const auto heir = node.ask(1, first.lease);
    CHECK(won(heir));
    CHECK(heir.value == "old");
  }
  SECTION("nobody renews it") {
    node.sys.advance(10s);
    const auto late = node.ask(1, first.lease);
    CHECK(won(late));
    CHECK(!late.found);
    CHECK(node.get("a", 1) == "-");
  }
}

TEST_CASE("an entry near its end is renewed by one caller and served to all",
          "[actors][cache][lease]") {
  one_node node{aging(0s, 0.2)};
  node.put("a", 1, "old", 100'000);
  node.sys.advance(79s);
  CHECK(plain(node.ask(1), "old"));
  node.sys.advance(2s);
  const auto first = node.ask(1);
  CHECK(won(first));
  CHECK(first.found);
  CHECK(!first.stale);
  CHECK(plain(node.ask(1), "old"));
  node.put("a", 1, "new", 100'000);
  CHECK(plain(node.ask(1), "new"));
}

TEST_CASE("what is too old for the caller counts as missing", "[actors][cache][lease]") {
  one_node node;
  node.put("a", 1, "value", 60'000);
  node.sys.advance(10s);
  msg::cache_get_request young;
  young.key = node.key(1);
  young.age_max_s = 5;
  young.lease_ms = 1000;
  const auto got = node.sys.ask_for<reply>(node.nodes.at("a").front, young);
  REQUIRE(got);
  CHECK(won(*got));
  CHECK(!got->found);
  CHECK(plain(node.ask(1), "value")); // Others may have it while it is renewed.
}

TEST_CASE("an entry keeps its kind, group and cost wherever it is read", "[actors][cache]") {
  three_nodes cluster{GENERATE(hops::native, hops::force_wire)};
  const auto n = cluster.key_of({"b", "c"});
  msg::cache_put_request put;
  put.key = cluster.key(n);
  put.value = "no";
  put.kind = static_cast<std::uint8_t>(msg::cache_kind::refusal);
  put.group = 7;
  put.cost = 300;
  cluster.sys.tell(cluster.nodes.at("a").front, put);
  for (const auto* name : {"a", "a", "b", "c"}) { // a has it near.
    const auto got = cluster.get_lease(name, n);
    CHECK(plain(got, "no"));
    CHECK(got.kind == put.kind);
    CHECK(got.group == 7);
    CHECK(got.cost == 300);
  }
  CHECK(cluster.found("near") == 2);
}

TEST_CASE("clearing a group takes its entries from every node and leaves others",
          "[actors][cache]") {
  three_nodes cluster{GENERATE(hops::native, hops::force_wire)};
  for (std::uint64_t n = 0; n < 30; ++n)
    cluster.put("a", n, "value", 0, n % 3);
  for (const auto& name : abc)
    for (std::uint64_t n = 0; n < 30; ++n)
      CHECK(cluster.get(name, n) == "value");
  CHECK(cluster.clear("b", {false, {}, 2}));
  for (const auto& name : abc)
    for (std::uint64_t n = 0; n < 30; ++n) {
      CHECK(cluster.get(name, n) == (n % 3 == 2 ? "-" : "value"));
      CHECK((n % 3 != 2 || cluster.holds(name, n) == "-"));
    }
}

TEST_CASE("a batch on its way does not bring back a cleared group", "[actors][cache]") {
  cache_cluster cluster;
  cluster.copies = 1;
  cluster.rules.near.bytes_max = 0;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  for (std::uint64_t n = 0; n < 100; ++n)
    cluster.put("a", n, "value", 0, 1 + n % 2);
  cluster.sys.advance(60s);
  cluster.net.holds = [](const caf::mailbox_element& what) {
    return what.content().match_element<msg::cache_fill_request>(1);
  };
  cluster.install({"a", "b"});
  REQUIRE(cluster.net.held() > 0);
  CHECK(cluster.clear("a", {false, {}, 1}));
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  for (std::uint64_t n = 0; n < 100; ++n)
    for (const auto* name : {"a", "b"})
      CHECK(cluster.get(name, n) == (n % 2 == 0 ? "-" : "value"));
}

TEST_CASE("an answer of a node not yet cleared does not stay near", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("b", n, "value", 0, 7);
  cluster.net.holds = [](const caf::mailbox_element& what) {
    return what.content().match_element<msg::cache_clear_request>(1);
  };
  const bool group = GENERATE(false, true);
  const auto what = group ? msg::cache_clear_request{false, {}, 7}
                          : msg::cache_clear_request{false, cluster.key(n)};
  const auto cleared = cluster.sys.ask(cluster.nodes.at("a").front, what);
  CHECK(cluster.get("a", n) == "value"); // Of b, which does not know yet.
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  REQUIRE(cleared->last<msg::ack>() != nullptr);
  CHECK(cluster.get("a", n) == "-");
}

TEST_CASE("over all nodes one caller wins, by the word of the slot's first owner",
          "[actors][cache][lease]") {
  three_nodes cluster{GENERATE(hops::native, hops::force_wire)};
  const auto n = cluster.key_of({"b", "c"});
  const auto first = cluster.get_lease("a", n);
  CHECK(won(first));
  for (const auto& name : abc) {
    const auto next = cluster.get_lease(name, n);
    CHECK(waits(next, "a"));
    CHECK(next.lease == first.lease);
  }
  SECTION("a value ends the lease") {
    cluster.put("a", n, "value");
    for (const auto& name : abc)
      CHECK(plain(cluster.get_lease(name, n), "value"));
    CHECK(cluster.found("near") == 1);
    CHECK(cluster.found("local") == 1); // The copy of c, without asking b.
  }
  SECTION("it can be given back from anywhere") {
    cluster.sys.tell(cluster.nodes.at("c").front,
                     msg::cache_release_request{cluster.key(n), first.lease});
    CHECK(won(cluster.get_lease("c", n)));
    CHECK(waits(cluster.get_lease("a", n), "c"));
  }
}

TEST_CASE("a stale or ageing copy sends those who could renew it to the first owner",
          "[actors][cache][lease]") {
  cache_cluster cluster;
  cluster.shard = aging(10s, 0.2);
  cluster.rules.refresh_ahead = 0.2;
  for (const auto& name : abc)
    cluster.add(name);
  cluster.install(abc);
  cluster.sys.advance(60s);
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "old", 100'000);
  cluster.sys.advance(79s);
  const auto sent = cluster.net.sent;
  CHECK(plain(cluster.get_lease("c", n), "old"));
  CHECK(cluster.net.sent == sent);
  cluster.sys.advance(2s);
  CHECK(plain(cluster.get_lease("c", n, 0, 0), "old"));
  CHECK(cluster.get("a", n) == "old"); // Now a has it near.
  const auto from = GENERATE("a", "c");
  const auto first = cluster.get_lease(from, n);
  CHECK(won(first));
  CHECK(first.value == "old");
  CHECK(plain(cluster.get_lease("b", n), "old"));
  CHECK(plain(cluster.get_lease("c", n), "old"));
  cluster.sys.advance(20s);
  CHECK(cluster.get_lease("c", n).stale);
  CHECK(cluster.get_lease("a", n).stale);
  cluster.sys.advance(1s);
  CHECK(cluster.get_lease("a", n).stale); // Not kept near.
}

TEST_CASE("when the first owner cannot be reached, the next one decides",
          "[actors][cache][lease]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.net.set_down("b", true);
  SECTION("from elsewhere") {
    CHECK(won(cluster.get_lease("a", n)));
    CHECK(waits(cluster.get_lease("a", n), "a"));
    CHECK(waits(cluster.get_lease("c", n), "a"));
  }
  SECTION("from the next one itself") {
    CHECK(won(cluster.get_lease("c", n)));
    CHECK(waits(cluster.get_lease("a", n), "c"));
  }
  SECTION("nobody") {
    cluster.net.set_down("c", true);
    CHECK(cluster.ask_lease("a", n)->why().code == errc::cache_miss);
  }
}

TEST_CASE("without quorum there are no leases", "[actors][cache][lease]") {
  three_nodes cluster;
  cluster.nodes.at("a").port->set_owning(false);
  cluster.sys.run();
  CHECK(cluster.ask_lease("a", 1)->why().code == errc::cache_miss);
}

namespace {

/// Two nodes; what b owns by now is on a still.
struct moving : cache_cluster {
  std::uint64_t n = 0;

  explicit moving(actors::cache_shard_config with = {}) {
    copies = 1;
    rules.near.bytes_max = 0;
    shard = std::move(with);
    add("a");
    add("b");
    install({"a"});
  }
  void move() {
    net.holds = [this](const caf::mailbox_element& what) {
      return what.content().match_element<msg::cache_fill_request>(1) && !through;
    };
    install({"a", "b"});
    through = true; // Only batches are held; what is put back passes.
    n = key_of({"b"});
  }

private:
  bool through = false;
};

} // namespace

TEST_CASE("a lease won is traded for what a previous owner still has", "[actors][cache][lease]") {
  moving cluster;
  for (std::uint64_t n = 0; n < 20; ++n)
    cluster.put("a", n, "value", 60'000, 7);
  cluster.sys.advance(10s);
  cluster.move();
  REQUIRE(cluster.n < 20);
  REQUIRE(cluster.holds("b", cluster.n) == "-");
  const auto from = GENERATE("a", "b");
  CHECK(plain(cluster.get_lease(from, cluster.n), "value"));
  const auto at_b = cluster.sys.ask_for<reply>(
    cluster.nodes.at("b").shards.of(actors::slot_of(cluster.key(cluster.n))),
    msg::cache_get_request{cluster.key(cluster.n), 0});
  REQUIRE(at_b);
  CHECK(at_b->group == 7);
  CHECK(at_b->ttl_s <= 50);
  CHECK(at_b->age_s >= 10);
  CHECK(plain(cluster.get_lease(from, cluster.n), "value"));
}

TEST_CASE("a lease won stays won when no previous owner has the value", "[actors][cache][lease]") {
  moving cluster;
  cluster.move();
  CHECK(won(cluster.get_lease("a", cluster.n)));
  CHECK(waits(cluster.get_lease("b", cluster.n), "a"));
}

TEST_CASE("a previous owner's stale value is served to the one who renews it",
          "[actors][cache][lease]") {
  moving cluster{aging(10s, 0)};
  for (std::uint64_t n = 0; n < 20; ++n)
    cluster.put("a", n, "old", 60'000);
  cluster.sys.advance(61s);
  cluster.move();
  const auto got = cluster.get_lease("b", cluster.n);
  CHECK(won(got));
  CHECK(got.stale);
  CHECK(got.value == "old");
  CHECK(waits(cluster.get_lease("a", cluster.n), "b"));
}

TEST_CASE("a caller that gives up while previous owners are asked gives its lease back",
          "[actors][cache][lease]") {
  moving cluster;
  cluster.move();
  cluster.net.holds = [](const caf::mailbox_element& what) {
    return what.content().match_element<msg::cache_get_request>(1);
  };
  const auto got = cluster.ask_lease("b", cluster.n); // Its own shard granted it; a is asked.
  CHECK(cluster.net.held() == 1);
  cluster.sys.give_up(got);
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(won(cluster.get_lease("a", cluster.n)));
}
