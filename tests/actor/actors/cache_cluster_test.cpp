#include "tests/support/cache_cluster.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::test;

namespace {

const std::vector<std::string> abc{"a", "b", "c"};

struct three_nodes : cache_cluster {
  explicit three_nodes(std::size_t near_bytes = 1 << 20) {
    rules.near.bytes_max = near_bytes;
    for (const auto& name : abc)
      add(name);
    install(abc);
    // The nodes came together; from now on nothing is left to be found elsewhere.
    sys.advance(rules.handover_keep + 2s);
  }
};

} // namespace

TEST_CASE("a cluster of one asks its shard without a hop in between", "[actors][cache]") {
  cache_cluster cluster;
  cluster.copies = 1;
  auto& a = cluster.add("a");
  cluster.install({"a"});
  const auto waited = a.front_kind->metrics.accepted.value();
  cluster.put("a", 1, "one");
  CHECK(cluster.get("a", 1) == "one");
  CHECK(cluster.get("a", 2) == "-");
  CHECK(a.front_kind->metrics.accepted.value() == waited);
  CHECK(cluster.net.sent == 0);
}

TEST_CASE("what one node stores every node finds, and each owner holds it", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value");
  CHECK(cluster.holds("a", n) == "-");
  CHECK(cluster.holds("b", n) == "value");
  CHECK(cluster.holds("c", n) == "value");
  for (const auto& name : abc)
    CHECK(cluster.get(name, n) == "value");
  cluster.sys.advance(3s); // The near-cache of a has forgotten it.
  const auto remote = cluster.found("remote");
  CHECK(cluster.get("a", n) == "value");
  CHECK(cluster.found("remote") == remote + 1);
  CHECK(cluster.get("a", cluster.key_of({"b", "c"}, n + 1)) == "-");
}

TEST_CASE("a replica answers when the first owner is lost or silent", "[actors][cache]") {
  three_nodes cluster{0};
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value");
  SECTION("no session") {
    cluster.net.set_down("b", true);
    CHECK(cluster.get("a", n) == "value");
    CHECK(cluster.found("replica") == 1);
    CHECK(cluster.counter("skep_cache_ask_failed_total") == 1);
    cluster.net.set_down("c", true);
    CHECK(cluster.get("a", n) == "-");
  }
  SECTION("no answer in time") {
    cluster.net.holds = [](const caf::mailbox_element&) { return true; };
    const auto got
      = cluster.sys.ask(cluster.nodes.at("a").front, msg::cache_get_request{cluster.key(n), 0});
    cluster.sys.advance(99ms);
    CHECK(cluster.net.held() == 1);
    cluster.sys.advance(2ms);
    REQUIRE(cluster.net.held() == 2);
    cluster.net.deliver(1);
    cluster.sys.run();
    REQUIRE(got->last<msg::cache_get_reply>() != nullptr);
    CHECK(got->ends() == 1);
  }
}

TEST_CASE("a replica's own copy answers without the network, and its miss asks on",
          "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value");
  const auto sent = cluster.net.sent;
  CHECK(cluster.get("c", n) == "value");
  CHECK(cluster.net.sent == sent);
  cluster.start(cluster.nodes.at("c")); // Forgets it.
  CHECK(cluster.holds("c", n) == "-");
  CHECK(cluster.get("c", n) == "value");
}

TEST_CASE("a near hit costs no network and keeps the entry's own age and end", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("b", n, "value", 60'000);
  cluster.sys.advance(10s);
  const auto& front = cluster.nodes.at("a").front;
  const msg::cache_get_request any{cluster.key(n), 0};
  REQUIRE(cluster.sys.ask_for<msg::cache_get_reply>(front, any));
  const auto sent = cluster.net.sent;
  cluster.sys.advance(1500ms);
  const auto near = cluster.sys.ask_for<msg::cache_get_reply>(front, any);
  REQUIRE(near);
  CHECK(*near == msg::cache_get_reply{"value", 11, 48});
  CHECK(cluster.net.sent == sent);
  CHECK(cluster.found("near") == 1);
  // It may be too old for this one: the owner is asked, and refuses.
  const auto young
    = cluster.sys.ask_for<msg::cache_get_reply>(front, msg::cache_get_request{cluster.key(n), 11});
  CHECK(young.error().code == errc::cache_miss);
  CHECK(cluster.net.sent == sent + 1);
  cluster.sys.advance(600ms);
  REQUIRE(cluster.sys.ask_for<msg::cache_get_reply>(front, any));
  CHECK(cluster.net.sent == sent + 2);
}

TEST_CASE("an entry that ends soon leaves the near-cache with its end", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value", 1'000);
  CHECK(cluster.get("a", n) == "value");
  cluster.sys.advance(1s);
  CHECK(cluster.get("a", n) == "-");
}

TEST_CASE("a node that has not acted on its newest view is not read by others", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value");
  auto& b = cluster.nodes.at("b");
  b.port->publish(fake_cluster::state(++cluster.view, abc, cluster.copies));
  const msg::cache_get_request get{cluster.key(n), 0};
  CHECK(cluster.sys.ask_for<msg::cache_get_reply>(b.store, get).error().code == errc::unavailable);
  CHECK(cluster.counter("skep_cache_store_refused_total", {{"reason", "behind"}}) == 1);
  CHECK(cluster.get("a", n) == "value"); // Of the copy at c.
  b.port->tell();
  cluster.sys.run();
  CHECK(cluster.sys.ask_for<msg::cache_get_reply>(b.store, get)->value == "value");
}

TEST_CASE("a write of an older view is refused and counted", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  ++cluster.view;
  cluster.tell_view("b", abc);
  cluster.put("a", n, "old");
  CHECK(cluster.holds("b", n) == "-");
  CHECK(cluster.holds("c", n) == "old");
  CHECK(cluster.counter("skep_cache_store_refused_total", {{"reason", "stale_view"}}) == 1);
  const auto told = cluster.sys.ask_for<msg::ack>(
    cluster.nodes.at("b").store,
    msg::cache_fill_request{cluster.view - 1, {{cluster.key(n), "old", 0, 1000}}});
  CHECK(told.error().code == errc::unavailable);
  CHECK(told.error().retry_after > 0ms);
  cluster.tell_view("a", abc);
  cluster.put("a", n, "new");
  CHECK(cluster.holds("b", n) == "new");
}

TEST_CASE("without quorum the cache is passed over", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"a", "b"});
  cluster.put("a", n, "value");
  CHECK(cluster.get("a", n) == "value");
  cluster.nodes.at("a").port->set_owning(false);
  cluster.sys.run();
  CHECK(cluster.get("a", n) == "-");
  CHECK(cluster.counter("skep_cache_bypassed_total", {{"what", "get"}}) == 1);
  cluster.put("a", n, "dropped");
  CHECK(cluster.counter("skep_cache_bypassed_total", {{"what", "put"}}) == 1);
  CHECK(cluster.holds("a", n) == "value");
  const auto refused = cluster.sys.ask_for<msg::cache_get_reply>(
    cluster.nodes.at("a").store, msg::cache_get_request{cluster.key(n), 0});
  CHECK(refused.error().code == errc::unavailable);
  CHECK(cluster.get("c", n) == "value"); // Of the replica.
  cluster.nodes.at("a").port->set_owning(true);
  cluster.sys.run();
  CHECK(cluster.get("a", n) == "value");
}

TEST_CASE("a node that others may have replaced meanwhile forgets what it held",
          "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"a", "b"});
  cluster.put("c", n, "old");
  cluster.nodes.at("a").port->set_owning(false);
  cluster.install({"b", "c"});
  cluster.put("c", n, "new");
  ++cluster.view;
  for (const auto& name : abc)
    cluster.tell_view(name, abc);
  cluster.sys.run();
  for (const auto& name : abc)
    CHECK(cluster.get(name, n) == "new");
  cluster.sys.advance(3s);
  CHECK(cluster.holds("a", n) == "new");
}

TEST_CASE("clearing a key takes it from owners and near-caches of every node", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  const auto other = cluster.key_of({"b", "c"}, n + 1);
  cluster.put("b", n, "value");
  cluster.put("b", other, "stays");
  CHECK(cluster.get("a", n) == "value");
  const auto clear = [&](bool all) {
    return cluster.sys.ask(cluster.nodes.at("b").front,
                           msg::cache_clear_request{all, cluster.key(n)});
  };
  SECTION("one key") {
    CHECK(clear(false)->last<msg::ack>() != nullptr);
    for (const auto& name : abc)
      CHECK(cluster.get(name, n) == "-");
    CHECK(cluster.get("a", other) == "stays");
  }
  SECTION("everything") {
    CHECK(clear(true)->last<msg::ack>() != nullptr);
    for (const auto& name : abc) {
      CHECK(cluster.get(name, n) == "-");
      CHECK(cluster.get(name, other) == "-");
    }
  }
  SECTION("a node that does not answer is waited for a second") {
    cluster.net.holds = [](const caf::mailbox_element&) { return true; };
    const auto got = clear(false);
    CHECK(cluster.net.held() == 2);
    cluster.sys.advance(999ms);
    CHECK(!got->complete());
    cluster.sys.advance(2ms);
    CHECK(got->last<msg::ack>() != nullptr);
  }
  SECTION("an answer on its way does not bring it back") {
    cluster.sys.advance(3s); // The near-cache of a is empty again.
    cluster.net.holds = [](const caf::mailbox_element&) { return true; };
    const auto got
      = cluster.sys.ask(cluster.nodes.at("a").front, msg::cache_get_request{cluster.key(n), 0});
    const auto cleared = cluster.sys.ask(cluster.nodes.at("c").front,
                                         msg::cache_clear_request{false, cluster.key(n)});
    REQUIRE(cluster.net.held() == 3);
    cluster.net.deliver(1); // The clear is at a before the answer to its get, and b has the entry.
    cluster.sys.run();
    cluster.net.deliver(0);
    cluster.sys.run();
    CHECK(got->last<msg::cache_get_reply>() != nullptr);
    cluster.net.holds = nullptr;
    cluster.net.deliver_all();
    cluster.sys.run();
    CHECK(cleared->last<msg::ack>() != nullptr);
    CHECK(cluster.get("a", n) == "-");
  }
}

TEST_CASE("a put takes older answers out of the writer's near-cache", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("b", n, "old");
  SECTION("even one too short-lived to be kept near") {
    CHECK(cluster.get("a", n) == "old");
    cluster.put("a", n, "new", 900);
    CHECK(cluster.get("a", n) == "new");
  }
  SECTION("even one still on its way") {
    cluster.net.holds = [](const caf::mailbox_element&) { return true; };
    const auto got
      = cluster.sys.ask(cluster.nodes.at("a").front, msg::cache_get_request{cluster.key(n), 0});
    cluster.put("a", n, "new");
    cluster.net.deliver(0);
    cluster.sys.run();
    REQUIRE(got->last<msg::cache_get_reply>() != nullptr);
    CHECK(got->last<msg::cache_get_reply>()->value == "old");
    cluster.net.holds = nullptr;
    cluster.net.deliver_all();
    CHECK(cluster.get("a", n) == "new");
  }
}

TEST_CASE("lookups beyond the bound are refused", "[actors][cache]") {
  cache_cluster cluster;
  cluster.rules.near.bytes_max = 0;
  cluster.rules.lookups_max = 2;
  cluster.copies = 1;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a", "b"});
  const auto n = cluster.key_of({"b"});
  cluster.net.holds = [](const caf::mailbox_element&) { return true; };
  const auto& front = cluster.nodes.at("a").front;
  const msg::cache_get_request request{cluster.key(n), 0};
  const auto first = cluster.sys.ask(front, request);
  const auto second = cluster.sys.ask(front, request);
  CHECK(cluster.sys.ask(front, request)->why().code == errc::overloaded);
  cluster.sys.give_up(second);
  CHECK(!cluster.sys.ask(front, request)->complete());
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(first->why().code == errc::cache_miss);
  CHECK(!second->complete());
}

TEST_CASE("a restarted front goes on with the cluster's newest state", "[actors][cache]") {
  three_nodes cluster;
  const auto n = cluster.key_of({"b", "c"});
  cluster.put("a", n, "value");
  auto& a = cluster.nodes.at("a");
  cluster.sys.kill(a.front);
  a.front = cluster.sys.spawn<actors::cache_front>(*a.front_kind, *a.port, a.shards, cluster.rules,
                                                   a.status);
  caf::anon_send(a.front, msg::ack{});
  cluster.sys.run();
  CHECK(cluster.get("a", n) == "value");
  cluster.net.set_down("b", true);
  ++cluster.view;
  for (const auto* name : {"a", "c"})
    cluster.tell_view(name, {"a", "c"});
  cluster.sys.run();
  CHECK(cluster.owners("a", n).size() == 2);
  CHECK(cluster.get("a", n) == "value");
  CHECK(cluster.holds("a", n) == "value"); // Handed over by c.
}
