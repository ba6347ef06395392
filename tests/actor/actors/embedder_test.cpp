#include "tests/support/catch.hpp"
#include "tests/support/scripted_embedder.hpp"

#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;

namespace {

using texts = std::vector<std::string>;

/// Each such test runs twice: with native sends, and with each hop through codec and ZeroMQ.
struct desk : embedding_desk {
  explicit desk(embeddings_config rules = unhedged())
    : embedding_desk(rules,
                     GENERATE(rt::test_system::hops::native, rt::test_system::hops::force_wire)) {}

  static embeddings_config unhedged() {
    embeddings_config rules;
    rules.hedge = false;
    return rules;
  }
  static embeddings_config one_at_a_time() {
    auto rules = unhedged();
    rules.in_flight_max = 1;
    return rules;
  }
};

std::vector<std::size_t> sizes(const embedder_script& script) {
  std::vector<std::size_t> made;
  for (const auto& each : script.asked)
    made.push_back(each.texts.size());
  return made;
}

} // namespace

TEST_CASE("an idle provider is asked at once", "[actors][embedder]") {
  desk d;
  const auto got = d.ask({"one", "two"});
  REQUIRE(d.script.asked.size() == 1);
  CHECK(d.script.asked[0].model == "m");
  d.sys.advance(50ms);
  CHECK(d.text_of(got) == "one two");
  const auto* reply = got->last<msg::embed_reply>();
  CHECK(reply->model == "m-1");
  CHECK(reply->prompt_tokens == 2);
  CHECK(d.metric("in_flight") == 0);
  CHECK(d.metric("held_bytes") == 0);
}

TEST_CASE("requests that come while a call is in flight share the next one", "[actors][embedder]") {
  desk d;
  const auto first = d.ask({"one"});
  const auto second = d.ask({"two", "three"});
  const auto third = d.ask({"four"});
  CHECK(d.script.asked.size() == 1);
  CHECK(d.metric("queued_texts") == 3);
  d.sys.advance(5ms);
  REQUIRE(d.script.asked.size() == 2);
  CHECK(d.script.asked[1].texts == texts{"two", "three", "four"});
  d.sys.advance(50ms);
  CHECK(d.text_of(first) == "one");
  CHECK(d.text_of(second) == "two three");
  CHECK(d.text_of(third) == "four");
  CHECK(third->last<msg::embed_reply>()->prompt_tokens == 1);
  CHECK(d.metric("requests_total") == 3);
  CHECK(d.metric("texts_total") == 4);
  CHECK(d.metric("batches_total") == 2);
  CHECK(d.metric("batch_texts") == 2);
  CHECK(d.metric("wait_seconds") == 3);
  CHECK(d.metric("queued_texts") == 0);
}

TEST_CASE("a call is kept within its texts and bytes", "[actors][embedder]") {
  auto rules = desk::one_at_a_time();
  rules.count_max = 3;
  rules.batch_max = 10;
  desk d{rules};
  std::vector<std::shared_ptr<rt::answers>> got{d.ask({"0"})};
  for (int n = 1; n <= 5; ++n)
    got.push_back(d.ask({std::to_string(n)}));
  got.push_back(d.ask({"seven77"}));
  got.push_back(d.ask({"eight888"}));
  d.sys.advance(1s);
  CHECK(sizes(d.script) == std::vector<std::size_t>{1, 3, 3, 1});
  CHECK(d.script.asked[2].texts == texts{"4", "5", "seven77"});
  CHECK(d.text_of(got.back()) == "eight888");
}

TEST_CASE("equal texts of different callers are asked once", "[actors][embedder]") {
  desk d;
  d.ask({"first"});
  const auto one = d.ask({"same", "other"});
  const auto two = d.ask({"same"});
  d.sys.advance(100ms);
  REQUIRE(d.script.asked.size() == 2);
  CHECK(d.script.asked[1].texts == texts{"same", "other"});
  CHECK(d.text_of(one) == "same other");
  CHECK(d.text_of(two) == "same");
  CHECK(d.metric("texts_spared_total") == 1);
}

TEST_CASE("other models and parameters are calls of their own", "[actors][embedder]") {
  desk d;
  d.ask({"one"});
  d.ask({"two"}, 10s, R"({"dimensions":8})");
  REQUIRE(d.script.asked.size() == 2); // Each of them found its own line idle.
  CHECK(d.script.asked[1].parameters == R"({"dimensions":8})");
  CHECK(d.metric("lines") == 2);
}

TEST_CASE("tokens and requests larger than a call are handed on as they are",
          "[actors][embedder]") {
  auto rules = desk::unhedged();
  rules.count_max = 2;
  desk d{rules};
  d.sys.ask(d.front, msg::embed_request{"m", {}, "[1,2]", {}});
  const auto large = d.ask({"a", "b", "c", "a"});
  REQUIRE(d.script.asked.size() == 2);
  CHECK(d.script.asked[0].tokens == "[1,2]");
  CHECK(d.script.asked[1].texts == texts{"a", "b", "c", "a"});
  d.sys.advance(1s);
  CHECK(d.text_of(large) == "a b c a");
  CHECK(d.metric("passed_on_total") == 2);
}

TEST_CASE("without batching each request is a call of its own, however many there are",
          "[actors][embedder]") {
  auto rules = desk::unhedged();
  rules.count_max = 1;
  desk d{rules};
  for (int n = 0; n < 20; ++n)
    d.ask({std::to_string(n)});
  CHECK(d.script.asked.size() == 20);
}

TEST_CASE("only callers with an offending text fail", "[actors][embedder]") {
  desk d{desk::one_at_a_time()};
  d.script.why_bad
    = GENERATE(errc::bad_request, errc::too_large, errc::context_overflow, errc::content_filtered);
  d.ask({"first"});
  std::vector<std::shared_ptr<rt::answers>> got;
  for (int n = 0; n < 16; ++n)
    got.push_back(d.ask({(n == 11 ? "bad" : "") + std::to_string(n)}));
  d.sys.advance(5s);
  for (std::size_t n = 0; n < got.size(); ++n)
    CHECK(d.text_of(got[n])
          == (n == 11 ? "! " + std::string{to_string(d.script.why_bad)} : std::to_string(n)));
  CHECK(got[11]->why().detail.find("bad11") != std::string::npos);
  // The first, the batch, and two calls per halving: 16, 8, 4, 2.
  CHECK(d.script.asked.size() == 1 + 1 + 2 * 4);
  CHECK(d.metric("batches_halved_total") == 4);
  CHECK(d.metric("in_flight") == 0);
}

TEST_CASE("when every text of a batch is bad, each caller hears of its own", "[actors][embedder]") {
  desk d{desk::one_at_a_time()};
  d.ask({"first"});
  std::vector<std::shared_ptr<rt::answers>> got;
  for (int n = 0; n < 7; ++n)
    got.push_back(d.ask({"bad" + std::to_string(n)}));
  d.sys.advance(5s);
  for (std::size_t n = 0; n < got.size(); ++n)
    CHECK(got[n]->why().detail.find("bad" + std::to_string(n)) != std::string::npos);
  CHECK(d.script.asked.size() <= 1 + 2 * 7);
}

TEST_CASE("a lone caller with equal texts is asked for as it came once it is refused",
          "[actors][embedder]") {
  desk d;
  const auto fine = d.ask({"x", "x", "y"});
  d.sys.advance(50ms);
  CHECK(d.text_of(fine) == "x x y");
  CHECK(d.script.asked[0].texts == texts{"x", "y"});
  const auto wrong = d.ask({"x", "x", "bad"});
  d.sys.advance(100ms);
  CHECK(d.text_of(wrong) == "! bad_request");
  REQUIRE(d.script.asked.size() == 3);
  CHECK(d.script.asked[2].texts == texts{"x", "x", "bad"});
}

TEST_CASE("a failure of the provider fails all callers of the batch alike", "[actors][embedder]") {
  desk d;
  d.script.failures[1] = failure{errc::rate_limited, "slow down", std::chrono::milliseconds{1500}};
  d.ask({"first"});
  const auto one = d.ask({"one"});
  const auto two = d.ask({"two"});
  d.sys.advance(1s);
  CHECK(d.text_of(one) == "! rate_limited");
  CHECK(two->why().retry_after.count() == 1500);
  CHECK(d.script.asked.size() == 2);
  const auto later = d.ask({"later"});
  d.sys.advance(1s);
  CHECK(d.text_of(later) == "later");
}

TEST_CASE("an answer with too few vectors is a failure of the provider", "[actors][embedder]") {
  desk d;
  d.script.missing = 1;
  const auto got = d.ask({"one", "two"});
  d.sys.advance(1s);
  CHECK(d.text_of(got) == "! provider_failed");
}

TEST_CASE("a caller that leaves the queue is not asked for", "[actors][embedder]") {
  desk d;
  d.ask({"first"});
  const auto gone = d.ask({"gone"});
  const auto stays = d.ask({"stays"});
  d.sys.give_up(gone);
  d.sys.advance(100ms);
  CHECK(d.script.asked.at(1).texts == texts{"stays"});
  CHECK(d.text_of(stays) == "stays");
  CHECK(d.metric("held_bytes") == 0);
  CHECK(d.metric("queued_texts") == 0);
}

TEST_CASE("a call goes on while anybody waits for it, and is cancelled after the last",
          "[actors][embedder]") {
  desk d;
  d.ask({"first"});
  const auto one = d.ask({"one"});
  const auto two = d.ask({"two"});
  d.sys.advance(10ms);
  REQUIRE(d.script.asked.size() == 2);
  d.sys.give_up(one);
  d.sys.run();
  CHECK(d.script.cancels == 0);
  SECTION("the other one is answered") {
    d.sys.advance(100ms);
    CHECK(d.text_of(two) == "two");
  }
  SECTION("the other one leaves, too") {
    d.sys.give_up(two);
    d.sys.run();
    CHECK(d.script.cancels == 1);
    CHECK(d.metric("batches_abandoned_total") == 1);
    d.sys.advance(100ms);
  }
  CHECK(d.metric("in_flight") == 0);
  CHECK(d.metric("held_bytes") == 0);
}

TEST_CASE("each caller is answered by its own deadline, and the call waits for the last",
          "[actors][embedder]") {
  desk d;
  d.script.slow[1] = 500ms;
  d.ask({"first"});
  const auto hasty = d.ask({"hasty"}, 100ms);
  const auto patient = d.ask({"patient"}, 2s);
  d.sys.advance(5ms);
  REQUIRE(d.script.contexts.size() == 2);
  const auto left = d.script.contexts[1].deadline - d.sys.now();
  CHECK(left > 1900ms);
  CHECK(left <= 2s);
  d.sys.advance(100ms);
  CHECK(d.text_of(hasty) == "! deadline_exceeded");
  CHECK(d.text_of(patient) == "(none yet)");
  d.sys.advance(500ms);
  CHECK(d.text_of(patient) == "patient");
}

TEST_CASE("a lone caller's context goes on unchanged, several callers' is their common one",
          "[actors][embedder]") {
  desk d;
  auto mine = d.sys.context(1s);
  mine.tenant = "acme";
  mine.priority = priority::interactive;
  mine.session = "s";
  const auto ask = [&](const std::string& text, const skep::context& context) {
    return d.sys.ask(d.front, msg::embed_request{"m", {text}, {}, {}}, context);
  };
  ask("first", mine);
  CHECK(d.script.contexts.at(0).tenant == "acme");
  CHECK(d.script.contexts.at(0).session == "s");
  CHECK(d.script.contexts.at(0).id == mine.id);
  auto other = d.sys.context(1s);
  other.tenant = "other";
  other.flags = 0;
  ask("two", mine);
  ask("three", other);
  d.sys.advance(10ms);
  const auto& common = d.script.contexts.at(1);
  CHECK(common.tenant == default_tenant);
  CHECK(common.session.empty());
  CHECK(common.priority == priority::interactive);
  CHECK(!common.replayable());
}

TEST_CASE("texts beyond the bounds are refused and counted", "[actors][embedder]") {
  auto rules = desk::one_at_a_time();
  SECTION("waiting") {
    rules.queue_max = 2;
  }
  SECTION("held") {
    rules.held_max = 15;
  }
  desk d{rules};
  d.ask({"first"});
  d.ask({"second"});
  d.ask({"more"});
  const auto over = d.ask({"over"});
  CHECK(d.text_of(over) == "! overloaded");
  CHECK(over->why().retry_after.count() > 0);
  CHECK(d.metric("refused_total") == 1);
  d.sys.advance(1s);
  const auto later = d.ask({"later"});
  d.sys.advance(1s);
  CHECK(d.text_of(later) == "later");
}

TEST_CASE("lines that are idle make room for new ones, busy ones do not", "[actors][embedder]") {
  auto rules = desk::unhedged();
  rules.lines_max = 2;
  desk d{rules};
  const auto parameters = [](int n) { return "{\"user\":" + std::to_string(n) + "}"; };
  d.ask({"one"}, 10s, parameters(1));
  d.ask({"two"}, 10s, parameters(2));
  const auto third = d.ask({"three"}, 10s, parameters(3));
  CHECK(d.metric("passed_on_total") == 1);
  d.sys.advance(100ms);
  CHECK(d.text_of(third) == "three");
  d.ask({"four"}, 10s, parameters(4));
  CHECK(d.metric("lines") == 2);
  CHECK(d.metric("passed_on_total") == 1);
}

TEST_CASE("a provider that is not there is not found", "[actors][embedder]") {
  desk d;
  d.provider = nullptr;
  CHECK(d.text_of(d.ask({"one"})) == "! not_found");
  CHECK(d.text_of(d.ask({"two"})) == "! not_found");
  CHECK(d.metric("in_flight") == 0);
}

TEST_CASE("an embedder that ends answers whoever waits", "[actors][embedder]") {
  desk d;
  const auto flying = d.ask({"one"});
  const auto waiting = d.ask({"two"});
  d.sys.kill(d.front);
  CHECK(d.text_of(flying) == "! actor_failed");
  CHECK(d.text_of(waiting) == "! actor_failed");
  CHECK(d.script.cancels == 1);
  CHECK(d.metric("in_flight") == 0);
  CHECK(d.metric("held_bytes") == 0);
}
