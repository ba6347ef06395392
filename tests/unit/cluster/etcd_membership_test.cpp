#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/cluster/fake_etcd.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::test;

namespace {

using names = std::vector<std::string>;

names names_of(const view_ptr& view) {
  names out;
  if (view)
    for (const auto& m : view->members)
      out.push_back(m.name);
  return out;
}

struct fixture {
  struct place {
    std::uint64_t incarnation = 0;
    fake_gateway* gateway = nullptr;
    std::unique_ptr<membership> m;
    std::vector<view_ptr> installed;
    int changes = 0;
    bool frozen = false;
  };
  fake_etcd etcd;
  std::map<std::string, place> places;

  place& start(const std::string& name) {
    auto& p = places[name];
    p.installed.clear();
    etcd_membership_config config;
    config.self = {name, ++p.incarnation, "tcp://" + name, 1, false};
    config.cluster = std::string{"x"};
    auto gateway = std::make_unique<fake_gateway>(etcd);
    p.gateway = gateway.get();
    p.m = make_etcd_membership(
      std::move(config), std::move(gateway),
      {[&p](const view_ptr& v) { p.installed.push_back(v); }, [&p] { ++p.changes; }});
    return p;
  }

  /// The process is gone without a word.
  void kill(const std::string& name) {
    auto& p = places.at(name);
    p.gateway->up = false;
    p.m.reset();
    p.gateway = nullptr;
  }

  void run(duration length) {
    for (const auto end = etcd.now + length; etcd.now < end;) {
      step();
      check_owners();
    }
  }

  void step() {
    etcd.advance(100ms);
    for (auto& [name, p] : places) {
      if (!p.m || p.frozen)
        continue;
      p.m->tick(etcd.now);
      p.gateway->run();
    }
  }

  /// No two nodes own by different views: what a node that is dropped owned is free by then.
  void check_owners() {
    for (const auto& [name, p] : places) {
      if (!p.m || !p.m->has_quorum(etcd.now))
        continue;
      for (const auto& [other, q] : places) {
        if (!q.m || !q.m->has_quorum(etcd.now) || !q.m->view()
            || q.m->view()->number <= p.m->view()->number)
          continue;
        // A newer view in force must still list the owner by the older one.
        INFO(name << " owns by view " << p.m->view()->number << ", " << other << " by "
                  << q.m->view()->number);
        CHECK(std::any_of(q.m->view()->members.begin(), q.m->view()->members.end(),
                          [&](const msg::member& each) { return each.name == name; }));
      }
    }
  }

  bool owns(const std::string& name) {
    return places.at(name).m->has_quorum(etcd.now);
  }
  std::string standing(const std::string& name) {
    return places.at(name).m->standing(etcd.now);
  }
  names members_at(const std::string& name) {
    return names_of(places.at(name).m->view());
  }
};

} // namespace

TEST_CASE("nodes register with etcd and come to the same view", "[cluster][etcd]") {
  fixture f;
  auto& a = f.start("a");
  CHECK(a.m->view() == nullptr);
  CHECK(f.standing("a") == "registers with etcd");
  f.run(500ms);
  CHECK(f.members_at("a") == names{"a"});
  CHECK(f.owns("a"));
  f.start("b");
  f.start("c");
  f.run(1s);
  for (const auto& name : names{"a", "b", "c"}) {
    CHECK(f.members_at(name) == names{"a", "b", "c"});
    CHECK(f.owns(name));
    CHECK(f.standing(name) == "quorum");
    CHECK(*f.places.at(name).m->view() == *a.m->view());
    CHECK(f.places.at(name).m->state().installed == *a.m->view());
  }
  CHECK(etcd::read_view(f.etcd.keys.at("/skep/x/view").value) == *a.m->view());
  for (std::size_t i = 1; i < a.installed.size(); ++i)
    CHECK(a.installed[i]->number > a.installed[i - 1]->number);
  CHECK(a.changes >= static_cast<int>(a.installed.size()));
}

TEST_CASE("a node that dies is dropped when its lease ends", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  f.kill("b");
  f.run(2s);
  CHECK(f.members_at("a") == names{"a", "b"});
  f.run(5s);
  CHECK(f.members_at("a") == names{"a"});
  CHECK(f.owns("a"));
}

TEST_CASE("a node that leaves is dropped at once", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  auto& b = f.places.at("b");
  b.m->drain(f.etcd.now);
  f.run(300ms);
  REQUIRE(f.members_at("a") == names{"a", "b"});
  CHECK(f.places.at("a").m->view()->members[1].draining);
  CHECK(f.owns("b"));
  b.m->leave();
  b.gateway->run();
  CHECK_FALSE(b.m->has_quorum(f.etcd.now));
  b.m.reset();
  f.run(300ms);
  CHECK(f.members_at("a") == names{"a"});
  CHECK(f.etcd.lease_count() == 1);
}

TEST_CASE("a restarted node waits for its former life's lease to end", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  f.kill("b");
  f.start("b");
  f.run(1s);
  CHECK(f.standing("b") == "the name b is taken in etcd by incarnation 1, until its lease ends");
  CHECK_FALSE(f.owns("b"));
  f.run(6s);
  CHECK(f.owns("b"));
  REQUIRE(f.members_at("a") == names{"a", "b"});
  CHECK(f.places.at("a").m->view()->members[1].incarnation == 2);
}

TEST_CASE("etcd away for less than the lease is not noticed by callers", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  const auto before = f.places.at("a").installed.size();
  for (auto& [name, p] : f.places)
    p.gateway->up = false;
  f.run(2s);
  CHECK(f.owns("a"));
  CHECK(f.standing("a") == "quorum until the lease ends: etcd is silent");
  f.etcd.restart();
  for (auto& [name, p] : f.places)
    p.gateway->up = true;
  f.run(5s);
  CHECK(f.owns("a"));
  CHECK(f.owns("b"));
  CHECK(f.standing("a") == "quorum");
  CHECK(f.places.at("a").installed.size() == before);
}

TEST_CASE("etcd away for longer ends ownership until it is back", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  for (auto& [name, p] : f.places)
    p.gateway->up = false;
  f.run(7s);
  CHECK_FALSE(f.owns("a"));
  CHECK(f.standing("a") == "etcd is silent: connect_failed");
  for (auto& [name, p] : f.places)
    p.gateway->up = true;
  f.run(2s);
  for (const auto& name : names{"a", "b"}) {
    CHECK(f.owns(name));
    CHECK(f.members_at(name) == names{"a", "b"});
  }
}

TEST_CASE("a node cut off from etcd stops owning before it is dropped, and comes back",
          "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  const bool answers_only = GENERATE(false, true);
  auto& gateway = *f.places.at("b").gateway;
  (answers_only ? gateway.answers : gateway.up) = false;
  // check_owners() looks at every step.
  f.run(7s);
  CHECK_FALSE(f.owns("b"));
  CHECK(f.owns("a"));
  gateway.answers = gateway.up = true;
  f.run(2s);
  CHECK(f.owns("b"));
  CHECK(f.members_at("a") == names{"a", "b"});
}

TEST_CASE("a node that was stopped owns nothing when it continues", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  f.places.at("b").frozen = true;
  f.run(8s);
  CHECK(f.members_at("a") == names{"a"});
  CHECK_FALSE(f.owns("b"));
  f.places.at("b").frozen = false;
  f.run(1s);
  CHECK(f.owns("b"));
  CHECK(f.members_at("a") == names{"a", "b"});
}

TEST_CASE("a node that cannot read the view stops owning though its lease lives",
          "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  auto& gateway = *f.places.at("b").gateway;
  gateway.reads = false;
  f.run(6s);
  CHECK(f.members_at("a") == names{"a", "b"});
  CHECK_FALSE(f.owns("b"));
  gateway.reads = true;
  f.run(1s);
  CHECK(f.owns("b"));
}

TEST_CASE("a node whose lease was ended owns nothing before it has read the view again",
          "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  auto& gateway = *f.places.at("b").gateway;
  gateway.reads = gateway.watches = false;
  f.etcd.end_lease(f.etcd.keys.at("/skep/x/members/b").lease);
  // Until its next keepalive it cannot know; then it registers again.
  while (!f.etcd.keys.contains("/skep/x/members/b"))
    f.step();
  CHECK_FALSE(f.owns("b"));
  gateway.reads = gateway.watches = true;
  f.run(1s);
  CHECK(f.owns("b"));
  CHECK(f.members_at("a") == names{"a", "b"});
}

TEST_CASE("without a watch views still come with the regular reads", "[cluster][etcd]") {
  fixture f;
  f.start("a").gateway->watches = false;
  f.run(2s);
  f.start("b");
  f.run(2500ms);
  CHECK(f.members_at("a") == names{"a", "b"});
}

TEST_CASE("a watch that ended is begun anew", "[cluster][etcd]") {
  fixture f;
  auto& gateway = *f.start("a").gateway;
  f.run(1s);
  CHECK(gateway.watch_count == 1);
  gateway.up = false;
  f.run(200ms);
  gateway.up = true;
  f.run(1s);
  CHECK(gateway.watch_count >= 2);
}

TEST_CASE("what somebody did to the keys by hand is put right", "[cluster][etcd]") {
  fixture f;
  f.start("a");
  f.start("b");
  f.run(2s);
  const auto number = f.places.at("a").m->view()->number;
  auto& keys = f.etcd.keys;
  SECTION("our key is gone") {
    keys.erase("/skep/x/members/a");
    ++f.etcd.revision;
    f.run(2s);
    CHECK(keys.contains("/skep/x/members/a"));
  }
  SECTION("the view is gone, as when etcd lost its data") {
    keys.erase("/skep/x/view");
    ++f.etcd.revision;
    f.run(2s);
    CHECK(f.places.at("a").m->view()->number > number);
  }
  SECTION("the view is garbage") {
    keys["/skep/x/view"] = {"{", ++f.etcd.revision, 0};
    f.run(2s);
    CHECK(f.places.at("a").m->view()->number > number);
  }
  SECTION("the view fell back") {
    keys["/skep/x/view"] = {etcd::view_text({1, "a", {}}), ++f.etcd.revision, 0};
    f.run(2s);
    CHECK(f.places.at("a").m->view()->number > number);
  }
  SECTION("the view's number fell back") {
    const auto& members = f.places.at("a").m->view()->members;
    keys["/skep/x/view"] = {etcd::view_text({1, "a", members}), ++f.etcd.revision, 0};
    f.run(2s);
    CHECK(f.places.at("a").m->view()->number > number);
  }
  SECTION("a member without a lease, of another name or of no sense does not count") {
    const auto text = etcd::member_text({"z", 1, "", 1, false});
    keys["/skep/x/members/z"] = {text, ++f.etcd.revision, 0};
    keys["/skep/x/members/y"] = {text, ++f.etcd.revision, 1};
    keys["/skep/x/members/q"] = {"?", ++f.etcd.revision, 1};
    f.run(2s);
    CHECK(f.places.at("a").m->view()->number == number);
  }
  CHECK(f.members_at("a") == names{"a", "b"});
  CHECK(f.members_at("b") == names{"a", "b"});
  CHECK(f.owns("a"));
  CHECK(f.owns("b"));
  CHECK(*f.places.at("a").m->view() == *f.places.at("b").m->view());
}

TEST_CASE("a peer with a newer view makes a node read", "[cluster][etcd]") {
  fixture f;
  auto& a = f.start("a");
  f.run(1s);
  a.gateway->watches = false;
  f.start("b");
  f.run(100ms);
  f.run(100ms);
  REQUIRE(f.members_at("b") == names{"a", "b"});
  a.m->peer_up({"b", 1, "", 1, false}, f.etcd.now);
  CHECK(a.m->state().hears == names{"b"});
  a.m->state_came(f.places.at("b").m->state(), f.etcd.now, f.etcd.now);
  f.run(200ms);
  CHECK(f.members_at("a") == names{"a", "b"});
  a.m->peer_down("b", f.etcd.now);
  CHECK(a.m->state().hears.empty());
}

TEST_CASE("views never fork, whatever fails between nodes and etcd", "[cluster][etcd]") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed=" << seed);
    flow::rng random{seed};
    fixture f;
    const names all{"a", "b", "c"};
    for (const auto& name : all)
      f.start(name);
    for (int step = 0; step < 20; ++step) {
      const auto& name = all[random.below(3)];
      auto& p = f.places.at(name);
      switch (random.below(7)) {
        case 0: p.m ? f.kill(name) : void(f.start(name)); break;
        case 1:
          if (p.gateway)
            p.gateway->up = !p.gateway->up;
          break;
        case 2:
          if (p.gateway)
            p.gateway->answers = !p.gateway->answers;
          break;
        case 3: p.frozen = !p.frozen; break;
        case 4:
          if (p.gateway)
            p.gateway->watches = !p.gateway->watches;
          break;
        case 5: f.etcd.restart(); break;
        default: break;
      }
      f.run(duration{100ms} * (random.below(40) + 1));
    }
    for (const auto& name : all) {
      auto& p = f.places.at(name);
      p.frozen = false;
      if (!p.m)
        f.start(name);
      p.gateway->up = p.gateway->answers = p.gateway->watches = true;
    }
    f.run(10s);
    std::map<std::uint64_t, msg::cluster_view> seen;
    for (const auto& name : all) {
      CHECK(f.owns(name));
      CHECK(f.members_at(name) == all);
      for (const auto& view : f.places.at(name).installed)
        CHECK(seen.emplace(view->number, *view).first->second == *view);
    }
  }
}
