#include "tests/support/catch.hpp"
#include "tests/support/scripted_embedder.hpp"

#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;

namespace {

embeddings_config hedged() {
  embeddings_config rules;
  rules.hedge_samples_min = 20;
  return rules;
}

/// An embedder that has seen enough calls to know what late is: most took 50 ms, some 60 ms.
struct practised_desk : embedding_desk {
  explicit practised_desk(int calls = 40, embeddings_config rules = hedged())
    : embedding_desk(rules,
                     GENERATE(rt::test_system::hops::native, rt::test_system::hops::force_wire)) {
    for (int n = 0; n < calls; ++n) {
      if (n < calls / 8)
        script.slow[static_cast<std::size_t>(n)] = 60ms;
      ask({"text"});
      sys.advance(70ms);
    }
    REQUIRE(script.asked.size() == static_cast<std::size_t>(calls));
  }
  std::size_t next() const {
    return script.asked.size();
  }
};

} // namespace

TEST_CASE("a slow straggler is answered by the second call, and cancelled",
          "[actors][embedder][hedge]") {
  practised_desk d;
  const auto straggler = d.next();
  d.script.slow[straggler] = 5s;
  const auto got = d.ask({"late"});
  d.sys.advance(59ms);
  CHECK(d.script.asked.size() == straggler + 1);
  d.sys.advance(5ms);
  REQUIRE(d.script.asked.size() == straggler + 2);
  CHECK(d.script.asked[straggler + 1] == d.script.asked[straggler]);
  CHECK(d.script.cancels == 0);
  d.sys.advance(50ms);
  CHECK(d.text_of(got) == "late");
  CHECK(got->ends() == 1);
  CHECK(d.script.cancels == 1);
  CHECK(d.metric("hedges_total") == 1);
  CHECK(d.metric("hedges_won_total") == 1);
  CHECK(d.metric("in_flight") == 0);
}

TEST_CASE("the first call may still win, and the second is cancelled",
          "[actors][embedder][hedge]") {
  practised_desk d;
  d.script.slow[d.next()] = 80ms;
  const auto got = d.ask({"late"});
  d.sys.advance(90ms);
  CHECK(d.text_of(got) == "late");
  CHECK(d.script.cancels == 1);
  CHECK(d.metric("hedges_total") == 1);
  CHECK(d.metric("hedges_won_total") == 0);
}

TEST_CASE("there is one second call, no third", "[actors][embedder][hedge]") {
  practised_desk d{100};
  const auto straggler = d.next();
  d.script.slow[straggler] = d.script.slow[straggler + 1] = 2s;
  const auto got = d.ask({"late"});
  d.sys.advance(1900ms);
  CHECK(d.script.asked.size() == straggler + 2);
  d.sys.advance(200ms);
  CHECK(d.text_of(got) == "late");
}

TEST_CASE("before enough is known nothing is asked twice", "[actors][embedder][hedge]") {
  practised_desk d{19};
  d.script.slow[d.next()] = 5s;
  const auto got = d.ask({"late"});
  d.sys.advance(4s);
  CHECK(d.text_of(got) == "(none yet)");
  CHECK(d.metric("hedges_total") == 0);
}

TEST_CASE("hedging can be turned off", "[actors][embedder][hedge]") {
  auto rules = hedged();
  rules.hedge = false;
  practised_desk d{40, rules};
  d.script.slow[d.next()] = 5s;
  d.ask({"late"});
  d.sys.advance(4s);
  CHECK(d.script.asked.size() == 41);
}

TEST_CASE("a second call makes up for a first one that fails late", "[actors][embedder][hedge]") {
  practised_desk d;
  const auto straggler = d.next();
  d.script.slow[straggler] = 70ms;
  d.script.failures[straggler] = failure{errc::provider_failed, "broken"};
  const auto got = d.ask({"late"});
  SECTION("and is answered") {
    d.sys.advance(200ms);
    CHECK(d.text_of(got) == "late");
    CHECK(d.metric("hedges_won_total") == 1);
  }
  SECTION("unless it fails as well") {
    d.script.failures[straggler + 1] = failure{errc::provider_failed, "broken, too"};
    d.sys.advance(200ms);
    CHECK(d.text_of(got) == "! provider_failed");
    CHECK(got->why().detail == "broken, too");
  }
  CHECK(d.metric("in_flight") == 0);
}

TEST_CASE("a failure of the second call leaves the first one at work",
          "[actors][embedder][hedge]") {
  practised_desk d;
  const auto straggler = d.next();
  d.script.slow[straggler] = 500ms;
  d.script.failures[straggler + 1] = failure{errc::overloaded, "no room"};
  const auto got = d.ask({"late"});
  d.sys.advance(400ms);
  CHECK(d.text_of(got) == "(none yet)");
  d.sys.advance(200ms);
  CHECK(d.text_of(got) == "late");
}

TEST_CASE("a request that is wrong is wrong at once, whoever says so",
          "[actors][embedder][hedge]") {
  practised_desk d;
  d.script.slow[d.next()] = 5s;
  const auto got = d.ask({"late and bad"});
  d.sys.advance(200ms);
  CHECK(d.text_of(got) == "! bad_request");
  CHECK(d.script.cancels == 1);
}

TEST_CASE("both calls are cancelled when the last caller leaves", "[actors][embedder][hedge]") {
  practised_desk d;
  const auto straggler = d.next();
  d.script.slow[straggler] = d.script.slow[straggler + 1] = 5s;
  const auto got = d.ask({"late"});
  d.sys.advance(100ms);
  REQUIRE(d.script.asked.size() == straggler + 2);
  d.sys.give_up(got);
  d.sys.run();
  CHECK(d.script.cancels == 2);
  CHECK(d.metric("batches_abandoned_total") == 1);
}

TEST_CASE("when all calls become slower and slower, the budget keeps the load from doubling",
          "[actors][embedder][hedge]") {
  practised_desk d{100};
  const auto before = d.next();
  constexpr int calls = 200;
  d.script.usual = 60ms;
  for (int n = 0; n < calls; ++n) {
    d.script.usual += 5ms; // Slower than all that was seen.
    d.ask({"text"});
    d.sys.advance(2 * d.script.usual);
  }
  const auto asked = static_cast<double>(d.next() - before);
  const auto hedges = d.metric("hedges_total");
  CHECK(asked == calls + hedges);
  CHECK(hedges <= 0.05 * (100 + calls));
  CHECK(d.metric("hedges_denied_total") > 100);
}
