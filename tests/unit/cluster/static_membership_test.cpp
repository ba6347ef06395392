#include "tests/support/catch.hpp"
#include "tests/unit/cluster/membership_fixture.hpp"

#include <algorithm>
#include <string>

using namespace skep;
using namespace skep::test;

TEST_CASE("three nodes come to one view of all within half a second", "[cluster][membership]") {
  cluster c{{"a", "b", "c"}};
  c.run(500ms);
  for (const auto& name : c.seeds) {
    INFO(name);
    CHECK(names_of(c.at(name).view()) == names{"a", "b", "c"});
    CHECK(c.at(name).view()->number == c.at("a").view()->number);
    CHECK(c.at(name).has_quorum(c.now));
  }
}

TEST_CASE("a lost node is dropped at once and comes back under a new incarnation",
          "[cluster][membership]") {
  cluster c{{"a", "b", "c"}};
  c.run(3s);
  const auto number = c.at("b").view()->number;
  const auto who = GENERATE(as<std::string>{}, "a", "c");
  c.stop(who);
  c.run(100ms);
  const auto without = who == "a" ? names{"b", "c"} : names{"a", "b"};
  CHECK(names_of(c.at("b").view()) == without);
  CHECK(c.at("b").view()->number == number + 1);
  CHECK(c.at("b").has_quorum(c.now));
  c.start(who);
  c.run(1s);
  for (const auto& name : c.seeds) {
    CHECK(names_of(c.at(name).view()) == names{"a", "b", "c"});
    CHECK(c.at(name).has_quorum(c.now));
  }
  const auto& members = c.at("b").view()->members;
  const auto back = std::find_if(members.begin(), members.end(),
                                 [&](const msg::member& m) { return m.name == who; });
  REQUIRE(back != members.end());
  CHECK(back->incarnation == 2);
}

TEST_CASE("two seeds survive no loss", "[cluster][membership]") {
  cluster c{{"a", "b"}};
  c.run(1s);
  CHECK(c.at("a").has_quorum(c.now));
  c.stop("b");
  c.run(5s);
  CHECK_FALSE(c.at("a").has_quorum(c.now));
  CHECK(c.at("a").standing(c.now) == "no quorum: hears 1 of 2 seeds");
  CHECK(names_of(c.at("a").view()) == names{"a", "b"});
}

TEST_CASE("nodes that are no seeds join and have a quorum, but do not vote",
          "[cluster][membership]") {
  cluster c{{"0", "a", "b", "c", "x"}, {"a", "b", "c"}};
  c.run(1s);
  for (const auto& name : {"0", "a", "x"}) {
    CHECK(names_of(c.at(name).view()) == names{"0", "a", "b", "c", "x"});
    CHECK(c.at(name).has_quorum(c.now));
  }
  CHECK(c.at("0").state().vote.number == 0);
  CHECK(c.at("x").state().vote.number == 0);
  c.stop("a");
  c.stop("b");
  c.run(5s);
  CHECK(c.at("x").standing(c.now) == "no quorum: hears 1 of 3 seeds");
}

TEST_CASE("a draining node is in the view until it leaves", "[cluster][membership]") {
  cluster c{{"a", "b", "c"}};
  c.run(1s);
  c.at("c").drain(c.now);
  CHECK(c.at("c").has_quorum(c.now));
  c.run(200ms);
  for (const auto& name : c.seeds) {
    REQUIRE(names_of(c.at(name).view()) == names{"a", "b", "c"});
    CHECK(c.at(name).view()->members[2].draining);
    CHECK(c.at(name).has_quorum(c.now));
  }
  c.stop("c");
  c.run(200ms);
  CHECK(names_of(c.at("a").view()) == names{"a", "b"});
}

TEST_CASE("a newcomer joins once it has been reachable for the join delay",
          "[cluster][membership]") {
  cluster c{{"a", "b"}};
  c.run(1s);
  c.start("x");
  c.run(250ms);
  CHECK(names_of(c.at("a").view()) == names{"a", "b"});
  CHECK(c.at("x").standing(c.now) == "not in the view");
  CHECK_FALSE(c.at("x").has_quorum(c.now));
  c.run(250ms);
  CHECK(names_of(c.at("a").view()) == names{"a", "b", "x"});
}

TEST_CASE("a node that was stopped has no quorum before it hears fresh answers",
          "[cluster][membership]") {
  cluster c{{"a", "b", "c"}};
  c.run(1s);
  REQUIRE(c.at("c").has_quorum(c.now));
  auto state = c.at("a").state();
  const auto asleep = c.now + 5s;
  CHECK_FALSE(c.at("c").has_quorum(asleep));
  CHECK(c.at("c").standing(asleep) == "no quorum: hears 1 of 3 seeds");
  // Beats that had been waiting in its socket answer pings from before the pause.
  c.at("c").state_came(state, c.now, asleep);
  CHECK_FALSE(c.at("c").has_quorum(asleep));
  c.at("c").state_came(state, asleep - 1ms, asleep);
  CHECK(c.at("c").has_quorum(asleep));
}

TEST_CASE("answers count for one lease", "[cluster][membership]") {
  cluster c{{"a", "b", "c"}};
  c.run(1s);
  const auto lease = static_membership_config{}.lease;
  CHECK(c.at("a").has_quorum(c.now + lease - 61ms));
  CHECK_FALSE(c.at("a").has_quorum(c.now + lease));
}
