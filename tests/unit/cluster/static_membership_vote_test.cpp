#include "tests/support/catch.hpp"
#include "tests/unit/cluster/membership_fixture.hpp"

using namespace skep;
using namespace skep::test;

TEST_CASE("a single seed has a view and a quorum at once", "[cluster][membership]") {
  lone_node n{"a", {"a"}};
  CHECK(n.m->view() == nullptr);
  CHECK_FALSE(n.m->has_quorum(n.now));
  CHECK(n.m->standing(n.now) == "no view yet");
  n.m->tick(n.now);
  REQUIRE(n.installed.size() == 1);
  CHECK(names_of(n.m->view()) == names{"a"});
  CHECK(n.m->view()->number == 1);
  CHECK(n.m->view()->proposer == "a");
  CHECK(n.m->has_quorum(n.now + 1h));
  CHECK(n.m->standing(n.now) == "quorum");
}

TEST_CASE("a seed votes only for the coordinator it sees itself, and once per number",
          "[cluster][membership]") {
  lone_node c{"c"};
  c.hear("b", {"a"});
  auto b = c.said_by("b", {"a"});
  b.vote = view_of(5, "b", {"b", "c"});
  c.tell(b);
  CHECK(c.m->state().vote.number == 5);
  CHECK(c.ballots.number == 5);

  c.hear("a", {"b"});
  SECTION("another proposal of the same number gets no vote") {
    auto a = c.said_by("a", {"b"});
    a.vote = view_of(5, "a", {"a", "b", "c"});
    c.tell(a);
    CHECK(c.m->state().vote.proposer == "b");
  }
  SECTION("a proposal of a higher number by the new coordinator does") {
    auto a = c.said_by("a", {"b"});
    a.vote = view_of(6, "a", {"a", "b", "c"});
    c.tell(a);
    CHECK(c.m->state().vote == a.vote);
  }
  SECTION("the former coordinator gets none any more") {
    b.vote = view_of(7, "b", {"b", "c"});
    c.tell(b);
    CHECK(c.m->state().vote.number == 5);
  }
  SECTION("a vote for somebody else's proposal is no proposal") {
    auto a = c.said_by("a", {"b"});
    a.vote = view_of(8, "b", {"b", "c"});
    c.tell(a);
    CHECK(c.m->state().vote.number == 5);
  }
  SECTION("a proposal of nonsense gets none") {
    auto a = c.said_by("a", {"b"});
    a.vote = view_of(9, "a", {"c", "a"});
    c.tell(a);
    a.vote = view_of(10, "a", {"a", "a"});
    c.tell(a);
    a.vote = view_of(11, "a", {});
    c.tell(a);
    CHECK(c.m->state().vote.number == 5);
  }
}

TEST_CASE("a vote is kept over a restart", "[cluster][membership]") {
  lone_node c{"c", {"a", "b", "c"}, 7};
  CHECK(c.m->state().vote == msg::cluster_view{7, "", {}});
  c.hear("a", {"b"});
  auto a = c.said_by("a", {"b"});
  a.vote = view_of(7, "a", {"a", "c"});
  c.tell(a);
  CHECK(c.m->state().vote.proposer == "");
  a.vote.number = 8;
  c.tell(a);
  CHECK(c.m->state().vote.proposer == "a");
}

TEST_CASE("a vote that cannot be saved is not given", "[cluster][membership]") {
  lone_node c{"c"};
  c.ballots.works = false;
  c.hear("a", {"b"});
  c.hear("b", {"a"});
  auto a = c.said_by("a", {"b"});
  a.vote = view_of(1, "a", {"a", "b", "c"});
  c.tell(a);
  CHECK(c.m->state().vote.number == 0);
  CHECK(c.m->standing(c.now) == "does not vote: its ballot file cannot be written");
  c.ballots.works = true;
  c.wait(50ms);
  CHECK(c.m->state().vote.number == 1);
  CHECK(c.m->standing(c.now) == "no view yet");
}

TEST_CASE("a proposer without a ballot proposes nothing and tries again", "[cluster][membership]") {
  lone_node a{"a"};
  a.ballots.works = false;
  a.hear("b");
  a.wait(300ms);
  CHECK(a.m->state().vote.number == 0);
  a.ballots.works = true;
  a.wait(1s);
  CHECK(a.m->state().vote.number == 1);
}

TEST_CASE("a seed that cannot vote leaves proposing to the next one", "[cluster][membership]") {
  lone_node b{"b"};
  b.hear("c", {"a"});
  b.hear("a", {"c"});
  b.wait(300ms);
  CHECK(b.m->state().vote.number == 0); // a would.
  auto a = b.said_by("a", {"c"});
  a.cannot_vote = true;
  b.tell(a);
  b.wait(300ms);
  CHECK(b.m->state().vote == view_of(1, "b", {"a", "b", "c"}));
  // And tells the others when it is such a one itself, until there is room.
  b.ballots.works = false;
  a.vote = view_of(2, "a", {"a", "b", "c"});
  a.cannot_vote = false;
  b.tell(a);
  CHECK(b.m->state().vote.number == 1);
  CHECK(b.m->state().cannot_vote);
  b.ballots.works = true;
  b.wait(1s);
  CHECK_FALSE(b.m->state().cannot_vote);
  CHECK(b.m->state().vote.number == 2);
}

TEST_CASE("only a majority of votes installs a view", "[cluster][membership]") {
  lone_node a{"a", {"a", "b", "c", "d", "e"}};
  for (const auto* name : {"b", "c", "x"})
    a.hear(name, {"b", "c"});
  a.wait(300ms);
  const auto proposal = a.m->state().vote;
  REQUIRE(proposal == view_of(1, "a", {"a", "b", "c", "x"}));
  auto vote = a.said_by("b", {"c"});
  vote.vote = proposal;
  a.tell(vote);
  CHECK(a.m->view() == nullptr);
  // A node that is no seed has no vote; a vote for another number is none for this one.
  vote = a.said_by("x");
  vote.vote = proposal;
  a.tell(vote);
  vote = a.said_by("c", {"b"});
  vote.vote = view_of(1, "b", {"a", "b", "c", "x"});
  a.tell(vote);
  CHECK(a.m->view() == nullptr);
  vote.vote = proposal;
  vote.vote.number = 2;
  a.tell(vote);
  CHECK(a.m->view() == nullptr);
}

TEST_CASE("a proposal without votes is made again, above every number seen",
          "[cluster][membership]") {
  lone_node a{"a"};
  a.hear("b");
  a.wait(300ms);
  CHECK(a.m->state().vote.number == 1);
  auto b = a.said_by("b");
  b.vote = view_of(41, "b", {"b", "c"});
  a.tell(b);
  CHECK(a.m->state().vote.number == 1);
  a.wait(1s);
  CHECK(a.m->state().vote.number == 42);
  a.wait(1900ms);
  CHECK(a.m->state().vote.number == 42);
  a.wait(100ms);
  CHECK(a.m->state().vote.number == 43);
  b.vote = a.m->state().vote;
  a.tell(b);
  REQUIRE(a.m->view());
  CHECK(a.m->view()->number == 43);
  CHECK(a.installed.size() == 1);
}

TEST_CASE("an installed view of a higher number is adopted from anybody", "[cluster][membership]") {
  lone_node c{"c"};
  c.hear("b", {"a"});
  auto b = c.said_by("b", {"a"});
  b.installed = view_of(9, "a", {"a", "b", "c"});
  c.tell(b);
  REQUIRE(c.m->view());
  CHECK(*c.m->view() == b.installed);
  CHECK(c.m->state().installed == b.installed);
  b.installed = view_of(8, "b", {"b"});
  c.tell(b);
  CHECK(c.m->view()->number == 9);
  SECTION("unless it is none") {
    b.installed = view_of(10, "b", {"c", "b"});
    c.tell(b);
    b.installed = view_of(~std::uint64_t{0}, "b", {"b"});
    c.tell(b);
    CHECK(c.m->view()->number == 9);
  }
}

TEST_CASE("states of an earlier life, of strangers and of nobody are ignored",
          "[cluster][membership]") {
  lone_node c{"c"};
  auto b = c.said_by("b");
  b.installed = view_of(3, "b", {"b", "c"});
  c.tell(b);
  CHECK(c.m->view() == nullptr);
  c.m->peer_up(node("b", 2), c.now);
  c.tell(b);
  CHECK(c.m->view() == nullptr);
  CHECK_FALSE(c.m->has_quorum(c.now));
  c.m->state_came({}, c.now, c.now);
  c.m->peer_down("nobody", c.now);
  b.self.incarnation = 2;
  c.tell(b);
  CHECK(c.m->view()->number == 3);
}

TEST_CASE("a node that is heard but does not hear us is not reachable", "[cluster][membership]") {
  lone_node a{"a"};
  a.hear("b");
  a.m->peer_up(node("c"), a.now);
  auto deaf = a.said_by("c");
  deaf.hears = {"b"};
  a.tell(deaf);
  a.wait(300ms);
  CHECK(a.m->state().hears == names{"b", "c"});
  CHECK(a.m->state().vote == view_of(1, "a", {"a", "b"}));
}

TEST_CASE("a seed that hears no majority does not keep others from coordinating",
          "[cluster][membership]") {
  lone_node b{"b", {"a", "b", "c", "d", "e"}};
  b.hear("a"); // Hears b alone.
  for (const auto* name : {"c", "d", "e"})
    b.hear(name, {"c", "d", "e"});
  b.wait(300ms);
  CHECK(b.m->state().vote == view_of(1, "b", {"a", "b", "c", "d", "e"}));
}

TEST_CASE("members that took a number for something else make a fresh number necessary",
          "[cluster][membership]") {
  lone_node a{"a"};
  a.hear("b");
  auto b = a.said_by("b");
  b.installed = view_of(3, "a", {"a", "b"});
  a.tell(b);
  REQUIRE(a.m->has_quorum(a.now));
  CHECK(a.m->state().vote.number == 0);
  b.installed = view_of(3, "c", {"a", "b", "c"});
  a.tell(b);
  CHECK_FALSE(a.m->has_quorum(a.now));
  CHECK(a.m->state().vote == view_of(4, "a", {"a", "b"}));
  b.vote = a.m->state().vote;
  a.tell(b);
  CHECK(a.m->view()->number == 4);
  CHECK(a.m->has_quorum(a.now));
}

TEST_CASE("events come once per change, when the state is already the new one",
          "[cluster][membership]") {
  lone_node a{"a", {"a"}};
  int before = 0;
  a.m->tick(a.now);
  CHECK(a.changes == 1);
  a.m->tick(a.now);
  CHECK(a.changes == 1);
  CHECK(a.installed.size() == 1);
  before = a.changes;
  a.hear("x");
  CHECK(a.changes == before + 1);
  a.wait(300ms);
  CHECK(a.changes == before + 2);
  CHECK(names_of(a.installed.back()) == names{"a", "x"});
  a.m->drain(a.now);
  CHECK(a.changes == before + 3);
  CHECK(a.m->view()->members[0].draining);
  a.m->drain(a.now);
  CHECK(a.changes == before + 3);
}

TEST_CASE("a fresh coordinator waits for a member that others reach", "[cluster][membership]") {
  lone_node a{"a"};
  a.hear("b", {"c"});
  auto b = a.said_by("b", {"c"});
  b.installed = view_of(3, "a", {"a", "b", "c"});
  const auto began = a.now;
  // As after a pause of its own: its session with c is not back yet.
  for (; a.now - began < 1400ms; a.wait(100ms))
    a.tell(b);
  CHECK(a.m->state().vote.number == 0);
  SECTION("until it reaches it") {
    a.hear("c", {"b"});
    a.wait(1s);
    CHECK(a.m->state().vote.number == 0);
  }
  SECTION("until its patience ends") {
    a.tell(b);
    a.wait(200ms);
    CHECK(a.m->state().vote == view_of(4, "a", {"a", "b"}));
  }
  SECTION("until they do not reach it either") {
    b.hears = {"a"};
    a.tell(b);
    CHECK(a.m->state().vote == view_of(4, "a", {"a", "b"}));
  }
}
