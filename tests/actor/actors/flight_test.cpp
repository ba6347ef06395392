#include "tests/support/airport.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::airport;
using status = msg::cache_status;

TEST_CASE("a thousand equal requests make one call to the provider", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  const bool stream = GENERATE(false, true);
  std::vector<std::shared_ptr<answers>> all;
  for (int n = 0; n < 1000; ++n)
    all.push_back(a.ask(airport::wish(1, stream)));
  REQUIRE(a.upstream.asked.size() == 1);
  CHECK(a.cache.gets.size() == 1);
  CHECK(a.gauge("skep_flight_followers") == 1000);
  auto& out = a.upstream.held.at(0);
  if (stream) {
    out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
    out.chunk(airport::piece("fo"));
    out.chunk(airport::piece("ur"));
    msg::chat_chunk last;
    last.finish_reason = "stop";
    out.chunk(last);
    out.end(msg::chat_end{});
  } else {
    out.reply(airport::reply_of("four"));
  }
  a.sys.run();
  for (const auto& got : all)
    REQUIRE(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*all.front()) == status::miss);
  CHECK(a.upstream.asked.size() == 1);
  REQUIRE(a.cache.puts.size() == 1);
  // A cache that is late for once still keeps the answer; only a lookup is not waited for.
  CHECK(a.cache.put_before >= a.sys.now() + std::chrono::seconds{5});
  CHECK(a.gauge("skep_flight_followers") == 0);
  CHECK(a.gauge("skep_flight_open") == 0);
  CHECK(a.gauge("skep_flight_bytes") == 0);
}

TEST_CASE("a late follower reads the stream from its beginning and goes on with it",
          "[actors][flight]") {
  airport a{{}, GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  a.upstream.hold = true;
  auto first = a.ask(airport::wish(1, true));
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  out.chunk(airport::piece("one "));
  a.sys.run();
  auto late = a.ask(airport::wish(1, true));
  auto whole = a.ask(airport::wish(1, false));
  CHECK(airport::text_of(*late) == "one ");
  CHECK(airport::status_of(*late) == status::shared);
  out.chunk(airport::piece("two"));
  msg::chat_chunk last;
  last.finish_reason = "stop";
  out.chunk(last);
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(airport::text_of(*first) == "one two");
  CHECK(airport::text_of(*late) == "one two");
  CHECK(airport::text_of(*whole) == "one two");
  CHECK(late->complete());
  CHECK(a.upstream.asked.size() == 1);
  CHECK(a.counter("skep_flight_shared_total") == 2);
}

TEST_CASE("the one who began a call may go; the others get the answer", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  const bool stream = GENERATE(false, true);
  auto leader = a.ask(airport::wish(1, stream));
  auto other = a.ask(airport::wish(1, stream));
  if (stream) {
    a.upstream.held.at(0).open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
    a.upstream.held.at(0).chunk(airport::piece("fo"));
    a.sys.run();
  }
  a.sys.give_up(leader);
  CHECK(a.upstream.cancels == 0);
  auto& out = a.upstream.held.at(0);
  if (stream) {
    out.chunk(airport::piece("ur"));
    out.end(msg::chat_end{});
  } else {
    out.reply(airport::reply_of("four"));
  }
  a.sys.run();
  CHECK(airport::text_of(*other) == "four");
  CHECK(a.upstream.asked.size() == 1);
}

TEST_CASE("each follower has its own deadline, and who waits longer is asked for again",
          "[actors][flight]") {
  airport a{{}, GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  a.upstream.hold = true;
  auto hasty = a.sys.ask(a.nodes["here"], airport::wish(1), a.sys.context(1s));
  auto patient = a.sys.ask(a.nodes["here"], airport::wish(1), a.sys.context(10s));
  CHECK(a.upstream.asked.size() == 1);
  a.sys.advance(1001ms);
  CHECK(hasty->why().code == errc::deadline_exceeded);
  CHECK(patient->size() == 0);
  CHECK(a.upstream.cancels == 1);
  REQUIRE(a.upstream.asked.size() == 2);
  a.upstream.held.back().reply(airport::reply_of("four"));
  a.sys.run();
  CHECK(airport::text_of(*patient) == "four");
}

TEST_CASE("a call its caller waits for has the caller's deadline", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto got = a.sys.ask(a.nodes["here"], airport::wish(1), a.sys.context(30s));
  a.sys.advance(29s); // Far beyond deadline_ms, which is for calls nobody waits for.
  CHECK(got->size() == 0);
  CHECK(a.upstream.cancels == 0);
  a.sys.advance(1001ms);
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK(a.upstream.asked.size() == 1);
  CHECK(a.upstream.cancels == 1);
}

TEST_CASE("when all have gone the call is given up, and so is its lease", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto one = a.ask(airport::wish(1));
  auto two = a.ask(airport::wish(1, true));
  a.sys.give_up(one);
  CHECK(a.upstream.cancels == 0);
  a.sys.give_up(two);
  CHECK(a.upstream.cancels == 1);
  REQUIRE(a.cache.releases.size() == 1);
  CHECK(a.cache.releases[0].lease == 101);
  CHECK(a.gauge("skep_flight_open") == 0);
  a.upstream.hold = false;
  CHECK(airport::text_of(*a.ask(airport::wish(1))) == "four");
}

TEST_CASE("the fastest follower sets the pace and the slow one reads on from what is kept",
          "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto slow = a.ask(airport::wish(1, true), 1);
  auto fast = a.ask(airport::wish(1, true), 1 << 20);
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  for (int n = 0; n < 50; ++n)
    out.chunk(airport::piece(std::string(1000, 'x')));
  a.sys.run();
  CHECK(out.credit() > 900'000); // What the fast one had granted.
  CHECK(airport::text_of(*fast).size() == 50'000);
  CHECK(airport::text_of(*slow).size() == 1000);
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(fast->complete());
  CHECK(!slow->complete());
  a.sys.grant(slow, 1 << 20);
  CHECK(slow->complete());
  CHECK(airport::text_of(*slow).size() == 50'000);
  CHECK(a.counter("skep_flight_cut_total") == 0);
}

TEST_CASE("a follower further behind than what is kept is cut with an error", "[actors][flight]") {
  flight_config rules;
  rules.buffer_max = 10'000;
  airport a{rules};
  a.upstream.hold = true;
  auto slow = a.ask(airport::wish(1, true), 1);
  auto fast = a.ask(airport::wish(1, true), 1 << 20);
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  for (int n = 0; n < 50; ++n)
    out.chunk(airport::piece(std::string(1000, 'x')));
  a.sys.run();
  CHECK(a.gauge("skep_flight_bytes") <= 10'000);
  a.sys.grant(slow, 1 << 20);
  CHECK(slow->why().code == errc::stream_cut);
  CHECK(a.counter("skep_flight_cut_total") == 1);
  SECTION("whoever comes now has a call of its own") {
    auto late = a.ask(airport::wish(1, true));
    CHECK(a.upstream.asked.size() == 2);
  }
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(airport::text_of(*fast).size() == 50'000);
}

TEST_CASE("a lone slow reader holds the provider back and is never cut", "[actors][flight]") {
  flight_config rules;
  rules.buffer_max = 10'000;
  airport a{rules};
  a.upstream.hold = true;
  auto got = a.ask(airport::wish(1, true), 5000);
  auto& out = a.upstream.held.at(0);
  out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
  std::size_t sent = 0;
  for (int round = 0; round < 40; ++round) {
    while (out.credit() > 0 && sent < 100) {
      out.chunk(airport::piece(std::string(1000, 'x')));
      ++sent;
    }
    a.sys.run();
    a.sys.grant(got, 4000);
  }
  REQUIRE(sent == 100);
  out.end(msg::chat_end{});
  a.sys.run();
  CHECK(got->complete());
  CHECK(airport::text_of(*got).size() == 100'000);
}

TEST_CASE("a node that is told to wait follows the leader's node", "[actors][flight]") {
  airport a{{}, GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  a.upstream.hold = true;
  const bool stream = GENERATE(false, true);
  auto leader = a.ask(airport::wish(1, stream), 1 << 16, "there");
  a.cache.answers = {airport::wait_for("there", 101)};
  auto one = a.ask(airport::wish(1, true));
  auto two = a.ask(airport::wish(1, false));
  CHECK(a.counter("skep_flight_leaders_lost_total") == 0);
  CHECK(one->why().detail == "");
  REQUIRE(a.upstream.asked.size() == 1);
  auto& out = a.upstream.held.at(0);
  if (stream) {
    out.open(msg::chat_open{"chatcmpl-1", 1, "big", {}, {}});
    out.chunk(airport::piece("four"));
    msg::chat_chunk last;
    last.finish_reason = "stop";
    out.chunk(last);
    out.end(msg::chat_end{});
  } else {
    out.reply(airport::reply_of("four"));
  }
  a.sys.run();
  CHECK(airport::text_of(*leader) == "four");
  REQUIRE(airport::text_of(*one) == "four");
  REQUIRE(airport::text_of(*two) == "four");
  CHECK(airport::status_of(*one) == status::shared);
  CHECK(airport::status_of(*two) == status::shared);
  CHECK(a.upstream.asked.size() == 1);
  CHECK(a.cache.puts.size() == 1);
  CHECK(a.counter("skep_flight_joined_total") == 1);
}

TEST_CASE("who is told of a lease before its holder is waits for it there", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  a.cache.silent = true;
  auto leader = a.ask(airport::wish(1), 1 << 16, "there");
  a.cache.silent = false;
  a.cache.answers = {airport::wait_for("there", 101)};
  auto other = a.ask(airport::wish(1, true));
  CHECK(a.upstream.asked.empty());
  msg::cache_get_reply turn = airport::wait_for("there", 101);
  SECTION("it leads: both are answered by one call") {
    turn.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
    turn.leader.clear();
    a.cache.unanswered.at(0).reply(turn);
    a.sys.run();
    REQUIRE(a.upstream.asked.size() == 1);
    a.upstream.held.at(0).reply(airport::reply_of("four"));
  }
  SECTION("it finds the answer: both have it") {
    a.cache.unanswered.at(0).reply(airport::entry("four"));
  }
  SECTION("it is to wait itself: the other one asks again") {
    turn.leader = "nobody";
    a.cache.unanswered.at(0).reply(turn);
    a.sys.run();
    REQUIRE(a.upstream.asked.size() >= 1);
    for (auto& held : a.upstream.held)
      held.reply(airport::reply_of("four"));
  }
  a.sys.run();
  CHECK(airport::text_of(*leader) == "four");
  CHECK(airport::text_of(*other) == "four");
}

TEST_CASE("when the leader's node is gone the baton is passed", "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto leader = a.ask(airport::wish(1), 1 << 16, "there");
  a.cache.answers = {airport::wait_for("there", 101)};
  std::vector<std::shared_ptr<answers>> all;
  for (int n = 0; n < 100; ++n)
    all.push_back(a.ask(airport::wish(1, n % 2 == 0)));
  CHECK(a.upstream.asked.size() == 1);
  a.sys.kill(a.nodes["there"]);
  a.sys.run();
  // The first call died with its node; exactly one takes its place.
  REQUIRE(a.upstream.asked.size() == 2);
  REQUIRE(a.cache.gets.size() == 3);
  CHECK(a.cache.gets.back().lost_lease == 101);
  a.upstream.held.at(1).reply(airport::reply_of("four"));
  a.sys.run();
  for (const auto& got : all)
    REQUIRE(airport::text_of(*got) == "four");
}

TEST_CASE("the failure of a call reaches all who share it, and frees its lease",
          "[actors][flight]") {
  airport a;
  a.upstream.hold = true;
  auto one = a.ask(airport::wish(1));
  auto two = a.ask(airport::wish(1, true));
  a.upstream.held.at(0).fail(failure{errc::provider_failed, "500"});
  a.sys.run();
  CHECK(one->why().code == errc::provider_failed);
  CHECK(two->why().code == errc::provider_failed);
  CHECK(a.cache.releases.size() == 1);
  CHECK(a.cache.puts.empty());
}

TEST_CASE("what a provider calls wrong is remembered for a while", "[actors][flight]") {
  airport a;
  a.upstream.failures = {failure{errc::bad_request, "no such parameter"}};
  CHECK(a.ask(airport::wish(1))->why().code == errc::bad_request);
  REQUIRE(a.cache.puts.size() == 1);
  const auto put = a.cache.puts[0];
  CHECK(put.kind == static_cast<std::uint8_t>(msg::cache_kind::refusal));
  CHECK(put.ttl_ms == 10'000);
  msg::cache_get_reply found;
  found.value = put.value;
  found.kind = put.kind;
  a.cache.answers = {found};
  auto again = a.ask(airport::wish(1));
  CHECK(again->why().code == errc::bad_request);
  CHECK(again->why().detail == "no such parameter");
  CHECK(a.upstream.asked.size() == 1);
  CHECK(a.counter("skep_flight_refusals_served_total") == 1);
}

TEST_CASE("trouble that passes is not remembered", "[actors][flight]") {
  airport a;
  a.upstream.failures
    = {failure{GENERATE(errc::rate_limited, errc::provider_failed, errc::overloaded), "later"}};
  a.ask(airport::wish(1));
  CHECK(a.cache.puts.empty());
}

TEST_CASE("a stale answer is served at once while a new one is fetched", "[actors][flight]") {
  airport a;
  auto stale = airport::entry("old");
  stale.stale = true;
  stale.ttl_s = 0;
  stale.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
  stale.lease = 55;
  a.cache.answers = {stale};
  a.upstream.hold = true;
  auto got = a.ask(airport::wish(1, GENERATE(false, true)));
  CHECK(airport::text_of(*got) == "old");
  CHECK(airport::status_of(*got) == status::stale);
  REQUIRE(a.upstream.asked.size() == 1);
  SECTION("the new one takes its place") {
    a.upstream.held.at(0).reply(airport::reply_of("new"));
    a.sys.run();
    REQUIRE(a.cache.puts.size() == 1);
    const auto kept = kept_for(default_tenant, a.cache.puts[0].value);
    REQUIRE(kept);
    CHECK(decode<msg::chat_reply>(*kept)->choices[0].content == "new");
  }
  SECTION("a failure frees the lease and leaves the old one") {
    a.upstream.held.at(0).fail(failure{errc::provider_failed, "500"});
    a.sys.run();
    REQUIRE(a.cache.releases.size() == 1);
    CHECK(a.cache.releases[0].lease == 55);
  }
  CHECK(a.gauge("skep_flight_open") == 0);
}

TEST_CASE("a cache that says nothing costs its timeout and no answer", "[actors][flight]") {
  airport a;
  a.cache.silent = true;
  auto got = a.ask(airport::wish(1));
  CHECK(got->size() == 0);
  a.sys.advance(300ms);
  CHECK(airport::text_of(*got) == "four");
}

TEST_CASE("a lease of an earlier life of this node is found lost", "[actors][flight]") {
  airport a;
  a.cache.answers = {airport::wait_for("here", 77)};
  CHECK(airport::text_of(*a.ask(airport::wish(1))) == "four");
  REQUIRE(a.cache.gets.size() == 2);
  CHECK(a.cache.gets.back().lost_lease == 77);
}

TEST_CASE("a finished answer lingers for those told to wait for it", "[actors][flight]") {
  flight_config rules;
  rules.linger = 1s;
  airport a{rules};
  CHECK(airport::text_of(*a.ask(airport::wish(1, true), 1 << 16, "there")) == "four");
  a.cache.answers = {airport::wait_for("there", 101)};
  CHECK(airport::text_of(*a.ask(airport::wish(1, true))) == "four");
  CHECK(a.upstream.asked.size() == 1);
  a.sys.advance(2s);
  CHECK(a.gauge("skep_flight_open", "there") == 0);
  a.cache.answers = {airport::wait_for("there", 101)};
  CHECK(airport::text_of(*a.ask(airport::wish(1, true))) == "four");
  CHECK(a.upstream.asked.size() == 2);
}

TEST_CASE("more flights than may be are refused as overload", "[actors][flight]") {
  flight_config rules;
  rules.flights_max = 2;
  airport a{rules};
  a.upstream.hold = true;
  auto one = a.ask(airport::wish(1));
  auto two = a.ask(airport::wish(2));
  auto three = a.ask(airport::wish(3));
  CHECK(three->why().code == errc::overloaded);
  CHECK(a.counter("skep_flight_refused_total") == 1);
}

TEST_CASE("an answer given up by its caller before it arrived starts nothing", "[actors][flight]") {
  airport a;
  a.cache.silent = true;
  auto got = a.ask(airport::wish(1));
  a.sys.give_up(got);
  CHECK(a.gauge("skep_flight_open") == 0);
  CHECK(a.upstream.asked.empty());
}

// Keys of two tenants are never equal, so these tests make them so.
TEST_CASE("a key of another tenant is no hit", "[actors][flight][identity]") {
  airport a;
  auto theirs = airport::entry("their answer");
  theirs.value.replace(0, begin_kept(default_tenant).size(), begin_kept("other"));
  a.cache.answers = {theirs};
  auto got = a.ask(airport::wish(1));
  CHECK(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*got) == status::miss);
  CHECK(a.upstream.asked.size() == 1);
  REQUIRE(a.cache.puts.size() == 1);
  CHECK(kept_for(default_tenant, a.cache.puts[0].value));
  CHECK_FALSE(kept_for("other", a.cache.puts[0].value));
}

TEST_CASE("another tenant's call in flight is not followed, here or from another node",
          "[actors][flight][identity]") {
  airport a;
  a.upstream.hold = true;
  auto theirs = a.sys.context();
  theirs.tenant = "other";
  auto leader = a.sys.ask(a.nodes["there"], airport::wish(1), theirs, 1 << 16);
  REQUIRE(a.upstream.asked.size() == 1);
  SECTION("on the same node") {
    a.sys.ask(a.nodes["there"], airport::wish(1), a.sys.context(), 1 << 16);
  }
  SECTION("from another node") {
    const auto told = airport::wait_for("there", 101);
    a.cache.answers = {told, told, told, told};
    a.ask(airport::wish(1));
  }
  CHECK(a.upstream.asked.size() == 2);
}
