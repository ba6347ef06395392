#include "tests/support/cache_cluster.hpp"
#include "tests/support/catch.hpp"

#include <random>

using namespace skep;
using namespace skep::test;

namespace {

constexpr std::uint64_t keys = 300;

struct movers : cache_cluster {
  explicit movers(std::uint32_t with_copies = 1) {
    copies = with_copies;
    rules.near.bytes_max = 0; // What counts here is where entries are.
  }

  void fill_up(const std::string& at) {
    for (std::uint64_t n = 0; n < keys; ++n)
      put(at, n, value(n));
  }
  static std::string value(std::uint64_t n) {
    return "value of " + std::to_string(n);
  }
  /// Keys that a get at this node does not find as they were filled up.
  std::uint64_t lost(const std::string& at) {
    std::uint64_t count = 0;
    for (std::uint64_t n = 0; n < keys; ++n)
      count += get(at, n) == value(n) ? 0 : 1;
    return count;
  }
  /// Keys that a node owns, but does not hold.
  std::uint64_t missing(const std::string& at) {
    std::uint64_t count = 0;
    for (std::uint64_t n = 0; n < keys; ++n) {
      const auto names = owners(at, n);
      const bool mine = std::find(names.begin(), names.end(), at) != names.end();
      count += mine && holds(at, n) != value(n) ? 1 : 0;
    }
    return count;
  }
  std::uint64_t held_by(const std::string& at) {
    std::uint64_t count = 0;
    for (std::uint64_t n = 0; n < keys; ++n)
      count += holds(at, n) != "-" ? 1 : 0;
    return count;
  }
  void hold_fills() {
    net.holds = [](const caf::mailbox_element& what) {
      return what.content().match_element<msg::cache_fill_request>(1);
    };
  }
};

bool is_put(const caf::mailbox_element& what) {
  return what.content().match_element<msg::cache_put_request>(1);
}

} // namespace

TEST_CASE("a newcomer gets what it owns from now on, with age and end kept", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  cluster.add("b", 3); // Another number of shards.
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.sys.advance(100s);
  cluster.hold_fills();
  cluster.install({"a", "b"});
  CHECK(cluster.held_by("b") == 0);
  CHECK(cluster.lost("a") == 0);
  CHECK(cluster.lost("b") == 0);
  CHECK(cluster.found("previous") > 0);
  CHECK(cluster.nodes.at("a").status->pending.load() == 1);
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(cluster.missing("b") == 0);
  CHECK(cluster.nodes.at("a").status->pending.load() == 0);
  const auto moved = cluster.held_by("b");
  CHECK(moved > keys / 4);
  CHECK(moved < keys * 3 / 4);
  const auto n = cluster.key_of({"b"});
  const auto got = cluster.sys.ask_for<msg::cache_get_reply>(
    cluster.nodes.at("b").shards.of(actors::slot_of(cluster.key(n))),
    msg::cache_get_request{cluster.key(n), 0});
  REQUIRE(got);
  CHECK(*got == msg::cache_get_reply{movers::value(n), 100, 3500});
}

TEST_CASE("what was handed over is kept for a while, then dropped", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.install({"a", "b"});
  CHECK(cluster.missing("b") == 0);
  const auto moved = cluster.held_by("b");
  cluster.sys.advance(29s);
  CHECK(cluster.held_by("a") == keys);
  cluster.sys.advance(2s);
  CHECK(cluster.held_by("a") == keys - moved);
  CHECK(cluster.lost("a") == 0);
  CHECK(cluster.lost("b") == 0);
}

TEST_CASE("during a hand-over every get finds the last value written", "[actors][cache]") {
  const auto seed = GENERATE(range(1u, 41u));
  INFO("seed=" << seed);
  std::mt19937 random{seed};
  const auto below = [&](std::uint64_t n) { return random() % n; };
  movers cluster{seed % 3 == 0 ? 2u : 1u};
  const std::vector<std::string> old{"a", "b"};
  std::vector<std::string> all{"c", "a", "b"}; // The newcomer hears of its view first.
  for (const auto& name : all)
    cluster.add(name);
  cluster.install(old);
  std::map<std::uint64_t, std::string> last;
  for (std::uint64_t n = 0; n < keys; ++n)
    cluster.put(old[below(2)], n, last[n] = movers::value(n));
  cluster.sys.advance(40s);

  struct open {
    std::uint64_t key = 0;
    std::string before;
    std::shared_ptr<rt::answers> got;
  };
  std::vector<open> gets;
  cluster.net.holds = [](const caf::mailbox_element& what) { return !is_put(what); };
  ++cluster.view;
  std::size_t told = 0;
  int asked = 0;
  int written = 0;
  while (told < all.size() || asked < 400 || cluster.net.held() > 0) {
    const auto what = below(6);
    if (what == 0 && told < all.size()) {
      cluster.tell_view(all[told++], all);
      cluster.sys.run();
    } else if (what <= 2 && told > 0 && asked < 400) {
      ++asked;
      const auto n = below(keys);
      const auto& at = all[below(told)];
      gets.push_back(
        {n, last[n],
         cluster.sys.ask(cluster.nodes.at(at).front, msg::cache_get_request{cluster.key(n), 0})});
    } else if (what == 3 && told > 0 && written < 100) {
      const auto n = below(keys);
      cluster.put(all[below(told)], n, last[n] = "written " + std::to_string(++written));
    } else if (cluster.net.held() > 0) {
      cluster.net.deliver(below(cluster.net.held()));
      cluster.sys.run();
    }
  }
  cluster.net.holds = nullptr;
  cluster.sys.run();
  CHECK(written > 20);
  for (const auto& each : gets) {
    REQUIRE(each.got->ends() == 1);
    const auto* reply = each.got->last<msg::cache_get_reply>();
    REQUIRE(reply != nullptr);
    // What was there when it was asked, or what was written since.
    const auto& value = reply->value;
    const bool newer = value.starts_with("written ")
                       && (!each.before.starts_with("written ")
                           || std::stoi(value.substr(8)) > std::stoi(each.before.substr(8)));
    CHECK((value == each.before || newer));
  }
  for (std::uint64_t n = 0; n < keys; ++n) {
    CHECK(cluster.get(all[below(3)], n) == last[n]);
    CHECK(cluster.holds(cluster.owners("a", n).front(), n) == last[n]);
  }
}

TEST_CASE("a second view in the midst of a hand-over loses nothing", "[actors][cache]") {
  movers cluster;
  for (const auto* name : {"a", "b", "c"})
    cluster.add(name);
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.hold_fills();
  cluster.install({"a", "b"});
  REQUIRE(cluster.net.held() > 0);
  cluster.net.deliver(0);
  cluster.sys.run();
  cluster.install({"a", "b", "c"});
  for (const auto* name : {"a", "b", "c"})
    CHECK(cluster.lost(name) == 0);
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  for (const auto* name : {"a", "b", "c"}) {
    CHECK(cluster.missing(name) == 0);
    CHECK(cluster.nodes.at(name).status->pending.load() == 0);
  }
}

TEST_CASE("when the giver is lost midway, the replica goes on", "[actors][cache]") {
  movers cluster{2};
  for (const auto* name : {"a", "b", "c"})
    cluster.add(name);
  cluster.install({"a", "b"});
  cluster.fill_up("a");
  cluster.hold_fills();
  cluster.install({"a", "b", "c"});
  CHECK(cluster.missing("c") > 0);
  cluster.net.set_down("a", true);
  cluster.net.deliver_all();
  cluster.net.holds = nullptr;
  ++cluster.view;
  for (const auto* name : {"b", "c"})
    cluster.tell_view(name, {"b", "c"});
  cluster.sys.run();
  CHECK(cluster.lost("b") == 0);
  CHECK(cluster.lost("c") == 0);
  CHECK(cluster.missing("b") == 0);
  CHECK(cluster.missing("c") == 0);
}

TEST_CASE("a lost node's slots are served by their copies at once and copied again",
          "[actors][cache]") {
  movers cluster{2};
  for (const auto* name : {"a", "b", "c"})
    cluster.add(name);
  cluster.install({"a", "b", "c"});
  cluster.fill_up("b");
  cluster.net.set_down("a", true);
  CHECK(cluster.lost("b") == 0);
  CHECK(cluster.lost("c") == 0);
  ++cluster.view;
  for (const auto* name : {"b", "c"})
    cluster.tell_view(name, {"b", "c"});
  cluster.sys.run();
  CHECK(cluster.missing("b") == 0);
  CHECK(cluster.missing("c") == 0);

  // It comes back empty under its old name, with or without a view in between.
  cluster.net.set_down("a", false);
  cluster.start(cluster.nodes.at("a"));
  cluster.install({"a", "b", "c"}, {}, {{"a", 2}});
  for (const auto* name : {"a", "b", "c"})
    CHECK(cluster.lost(name) == 0);
  CHECK(cluster.missing("a") == 0);
}

TEST_CASE("a node restarted before anybody noticed is filled again from its copies",
          "[actors][cache]") {
  movers cluster{2};
  for (const auto* name : {"a", "b", "c"})
    cluster.add(name);
  cluster.install({"a", "b", "c"});
  cluster.fill_up("b");
  cluster.sys.advance(60s);
  cluster.start(cluster.nodes.at("a"));
  CHECK(cluster.held_by("a") == 0);
  cluster.hold_fills();
  cluster.install({"a", "b", "c"}, {}, {{"a", 2}});
  for (const auto* name : {"a", "b", "c"})
    CHECK(cluster.lost(name) == 0);
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(cluster.missing("a") == 0);
}

TEST_CASE("a draining node may go once the others have what it held", "[actors][cache]") {
  movers cluster;
  for (const auto* name : {"a", "b", "c"})
    cluster.add(name);
  cluster.install({"a", "b", "c"});
  cluster.fill_up("a");
  auto& leaving = cluster.nodes.at("a");
  CHECK(!leaving.drained()); // It owns slots still.
  cluster.hold_fills();
  cluster.install({"a", "b", "c"}, {"a"});
  CHECK(!leaving.drained());
  CHECK(cluster.lost("b") == 0);
  while (cluster.net.held() > 0) {
    CHECK(!leaving.drained());
    cluster.net.deliver(0);
    cluster.sys.run();
  }
  CHECK(leaving.drained());
  cluster.net.set_down("a", true);
  cluster.install({"b", "c"});
  CHECK(cluster.lost("b") == 0);
  CHECK(cluster.lost("c") == 0);
}

TEST_CASE("a node without a quorum or without others is not kept from leaving", "[actors][cache]") {
  movers cluster;
  auto& a = cluster.add("a");
  CHECK(a.drained()); // No view.
  cluster.install({"a"});
  CHECK(a.drained());
  cluster.add("b");
  cluster.install({"a", "b"});
  CHECK(!a.drained());
  a.port->set_owning(false);
  CHECK(a.drained());
}

TEST_CASE("a batch is sent again until the receiver's view is in force", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  auto& b = cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.install({"a", "b"});
  cluster.start(b); // Empty again; and not in force yet.
  b.port->set_owning(false);
  ++cluster.view;
  cluster.tell_view("a", {"a", "b"}, {}, {{"b", 2}});
  cluster.sys.advance(1s);
  CHECK(cluster.held_by("b") == 0);
  CHECK(cluster.nodes.at("a").status->pending.load() == 1);
  cluster.tell_view("b", {"a", "b"}, {}, {{"b", 2}});
  cluster.sys.advance(1s);
  CHECK(cluster.missing("b") == 0);
  CHECK(cluster.nodes.at("a").status->pending.load() == 0);
}

TEST_CASE("a receiver that never answers is given up", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.hold_fills();
  cluster.install({"a", "b"});
  cluster.sys.advance(4s);
  CHECK(cluster.nodes.at("a").status->pending.load() == 1);
  cluster.sys.advance(4s);
  CHECK(cluster.nodes.at("a").status->pending.load() == 0);
  std::uint64_t given_up = 0;
  for (const auto* shard : {"0", "1"})
    given_up += cluster.counter("skep_cache_handover_given_up_total", {{"shard", shard}});
  CHECK(given_up == 2);
  CHECK(cluster.lost("b") == 0); // a keeps it for those who ask.
}

TEST_CASE("a batch on its way does not bring back what was cleared", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.sys.advance(60s);
  cluster.hold_fills();
  cluster.install({"a", "b"});
  const bool all = GENERATE(true, false);
  const auto n = cluster.key_of({"b"});
  REQUIRE(cluster.holds("a", n) == movers::value(n));
  const auto done
    = cluster.sys.ask(cluster.nodes.at("a").front, msg::cache_clear_request{all, cluster.key(n)});
  CHECK(done->last<msg::ack>() != nullptr);
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(cluster.get("a", n) == "-");
  CHECK(cluster.get("b", n) == "-");
  CHECK((cluster.held_by("b") > 0) == !all);
  cluster.put("b", n, "again");
  CHECK(cluster.get("a", n) == "again");
}

TEST_CASE("a fill leaves newer entries as they are", "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.hold_fills();
  cluster.install({"a", "b"});
  const auto n = cluster.key_of({"b"});
  cluster.put("a", n, "newer");
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(cluster.get("a", n) == "newer");
  CHECK(cluster.holds("b", n) == "newer");
}

TEST_CASE("a put that waited at its shard while the owner changed is handed over, too",
          "[actors][cache]") {
  movers cluster;
  auto& a = cluster.add("a", 1);
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.hold_fills();
  cluster.install({"a", "b"});
  const auto n = cluster.key_of({"b"}, keys);
  cluster.sys.tell(a.shards.of(0), msg::cache_put_request{cluster.key(n), "late", 0, 1});
  cluster.net.holds = nullptr;
  cluster.net.deliver_all();
  cluster.sys.run();
  CHECK(cluster.holds("b", n) == "late");
}

TEST_CASE("a view that comes before a restarted front watches the cluster is acted on",
          "[actors][cache]") {
  movers cluster;
  auto& a = cluster.add("a");
  cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  cluster.sys.kill(a.front);
  a.front = cluster.sys.spawn<actors::cache_front>(*a.front_kind, *a.port, a.shards, cluster.rules,
                                                   a.status);
  cluster.install({"a", "b"}); // It is spawned and has not begun.
  caf::anon_send(a.front, msg::ack{});
  cluster.sys.run();
  CHECK(cluster.missing("b") == 0);
}

TEST_CASE("large entries travel in batches of bounded size", "[actors][cache]") {
  movers cluster;
  cluster.add("a", 1);
  cluster.add("b");
  cluster.install({"a"});
  for (std::uint64_t n = 0; n < keys; ++n)
    cluster.put("a", n, std::string(20'000, 'x'));
  std::size_t largest = 0;
  std::size_t batches = 0;
  cluster.net.holds = [&](const caf::mailbox_element& what) {
    if (what.content().match_element<msg::cache_fill_request>(1)) {
      ++batches;
      largest = std::max(largest, bytes_of(what.content().get_as<msg::cache_fill_request>(1)));
    }
    return false;
  };
  cluster.install({"a", "b"});
  CHECK(batches > 10);
  CHECK(largest > 20'000);
  CHECK(largest <= actors::handover_stream::batch_bytes_max + 1000);
  for (std::uint64_t n = 0; n < keys; ++n)
    CHECK(cluster.get("b", n).size() == 20'000);
}

TEST_CASE("a call that sees a view before its node's front was told finds what moved",
          "[actors][cache]") {
  movers cluster;
  cluster.add("a");
  auto& b = cluster.add("b");
  cluster.install({"a"});
  cluster.fill_up("a");
  ++cluster.view;
  b.port->publish(fake_cluster::state(cluster.view, {"a", "b"}, 1));
  cluster.tell_view("a", {"a", "b"});
  cluster.hold_fills();
  const auto n = cluster.key_of({"b"});
  CHECK(cluster.get("b", n) == movers::value(n));
  CHECK(cluster.get("a", n) == movers::value(n));
}
