#include "tests/support/airport.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::airport;
using status = msg::cache_status;

namespace {

msg::flight_request wish() {
  auto r = airport::wish(1);
  r.semantic = {"faq", {8, 9}, "2+2?"};
  return r;
}

msg::semantic_find_reply candidate(bool serve) {
  return {true, serve, {7, 42}, 971};
}

} // namespace

TEST_CASE(
  "the answer to a similar text is served, labelled, and nobody is kept waiting for another",
  "[actors][flight][semantic]") {
  airport a{{}, GENERATE(test_system::hops::native, test_system::hops::force_wire)};
  a.semantic.found = candidate(true);
  msg::cache_get_reply won;
  won.found = false;
  won.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
  won.lease = 55;
  a.cache.answers = {won, airport::entry("four")};
  auto r = wish();
  r.cache_max_age_s = 30;
  auto got = a.ask(r);
  REQUIRE(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*got) == status::semantic);
  const auto& origin = got->last<msg::chat_reply>()->origin;
  CHECK(origin.similarity == 971);
  CHECK(origin.cache_key == "0000000000000007000000000000002a");
  CHECK(a.upstream.asked.empty());
  REQUIRE(a.semantic.finds.size() == 1);
  CHECK(a.semantic.finds[0].partition == msg::cache_key{8, 9});
  CHECK(a.cache.gets.at(1).lease_ms == 0);
  CHECK(a.cache.gets.at(1).age_max_s == 30);
  REQUIRE(a.cache.releases.size() == 1);
  CHECK(a.cache.releases[0].lease == 55);
  CHECK(a.semantic.learnt.empty());
}

TEST_CASE("in shadow the provider answers and both answers go back to be compared",
          "[actors][flight][semantic]") {
  airport a;
  a.semantic.found = candidate(false);
  msg::cache_get_reply won;
  won.found = false;
  won.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
  won.lease = 55;
  a.cache.answers = {won, airport::entry("vier")};
  auto got = a.ask(wish());
  REQUIRE(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*got) == status::miss);
  REQUIRE(a.semantic.learnt.size() == 1);
  const auto& learnt = a.semantic.learnt[0];
  CHECK(learnt.answer == "four");
  CHECK(learnt.candidate_answer == "vier");
  CHECK(learnt.candidate == msg::cache_key{7, 42});
  CHECK(learnt.key == msg::cache_key{7, 1});
  CHECK(learnt.similarity == 971);
}

TEST_CASE("a text without a likeness is learnt once it has an answer",
          "[actors][flight][semantic]") {
  airport a;
  a.ask(wish());
  REQUIRE(a.semantic.learnt.size() == 1);
  CHECK(a.semantic.learnt[0].compared == 0);
  CHECK(a.semantic.learnt[0].answer.empty());
  CHECK(a.semantic.learnt[0].text == "2+2?");
}

TEST_CASE("trouble in the semantic cache costs no answer", "[actors][flight][semantic]") {
  airport a;
  SECTION("it fails") {
    a.semantic.trouble = failure{errc::overloaded};
  }
  SECTION("what it found is gone from the cache") {
    a.semantic.found = candidate(true);
  }
  auto got = a.ask(wish());
  CHECK(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*got) == status::miss);
  CHECK(a.upstream.asked.size() == 1);
}

TEST_CASE("who refuses the cache is not given the answer to another text",
          "[actors][flight][semantic]") {
  airport a;
  a.semantic.found = candidate(true);
  auto r = wish();
  r.cache = static_cast<std::uint8_t>(GENERATE(msg::cache_mode::refresh, msg::cache_mode::off));
  CHECK(airport::text_of(*a.ask(r)) == "four");
  CHECK(a.semantic.finds.empty());
}

TEST_CASE("a similar text's answer that is another tenant's is not served",
          "[actors][flight][semantic][identity]") {
  airport a;
  a.semantic.found = candidate(true);
  auto theirs = airport::entry("vier");
  theirs.value.replace(0, begin_kept(default_tenant).size(), begin_kept("other"));
  msg::cache_get_reply won;
  won.found = false;
  won.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
  won.lease = 5;
  a.cache.answers = {won, theirs};
  auto got = a.ask(wish());
  CHECK(airport::text_of(*got) == "four");
  CHECK(airport::status_of(*got) == status::miss);
}
