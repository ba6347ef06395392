#include "actors/agent/complexity.hpp"
#include "actors/agent/routing.hpp"
#include "tests/support/catch.hpp"

#include <map>

using namespace skep;
using namespace skep::actors;

namespace {

using conversation = std::vector<msg::chat_message>;

conversation user(std::string text) {
  return {{"user", std::move(text), {}}};
}

routed_model model(std::string name, double price = -1, std::uint64_t context = 0,
                   std::uint32_t weight = 1) {
  return {{"p", std::move(name)}, weight, context, price, price};
}

std::vector<std::string> names(const std::vector<msg::flight_route>& routes) {
  std::vector<std::string> all;
  for (const auto& each : routes)
    all.push_back(each.model);
  return all;
}

routing_choice choose(const routing_plan& plan, const conversation& messages,
                      std::string_view parameters = {}, std::string_view tier = {},
                      std::string_view session = {}, std::uint64_t seed = 1) {
  flow::rng random{seed};
  return choose_routes(plan, {messages, parameters, tier, session}, random);
}

using strings = std::vector<std::string>;

routing_plan tiered() {
  routing_plan plan;
  plan.kind = routing_kind::complexity;
  plan.models = {model("large", 10), model("small", 1), model("thinker", 30)};
  plan.tiers = {{"simple", 15, {1}}, {"complex", 60, {0}}};
  return plan;
}

} // namespace

TEST_CASE("a chain asks in the order of the configuration", "[actors][routing]") {
  routing_plan plan;
  plan.models = {model("a"), model("b"), model("c")};
  const auto choice = choose(plan, user("hello"));
  CHECK(names(choice.routes) == strings{"a", "b", "c"});
  CHECK(choice.first_of_key.model == "a");
  CHECK(choice.tier.empty());
}

TEST_CASE("weights decide how often a model is first, and all others follow", "[actors][routing]") {
  routing_plan plan;
  plan.kind = routing_kind::weight;
  plan.models = {model("a", -1, 0, 6), model("b", -1, 0, 3), model("c", -1, 0, 1)};
  flow::rng random{7};
  std::map<std::string, int> first;
  constexpr int draws = 20'000;
  for (int n = 0; n < draws; ++n) {
    const auto choice = choose_routes(plan, {user("x"), {}, {}, {}}, random);
    REQUIRE(choice.routes.size() == 3);
    ++first[choice.routes.front().model];
    // Equal requests have one key, whichever model chance took.
    REQUIRE(choice.first_of_key.model == "a");
  }
  // Chi-square with two degrees of freedom: above 13.8 once in a thousand.
  const std::map<std::string, double> expected{{"a", 0.6}, {"b", 0.3}, {"c", 0.1}};
  double chi_square = 0;
  for (const auto& [name, share] : expected) {
    const auto off = first[name] - share * draws;
    chi_square += off * off / (share * draws);
  }
  CHECK(chi_square < 13.8);
}

TEST_CASE("weighted calls of one session stay at one model", "[actors][routing]") {
  routing_plan plan;
  plan.kind = routing_kind::weight;
  plan.models = {model("a"), model("b"), model("c")};
  std::map<std::string, int> spread;
  for (int n = 0; n < 50; ++n) {
    const auto session = "session-" + std::to_string(n);
    const auto first = choose(plan, user("x"), {}, {}, session, 1).routes.front().model;
    CHECK(choose(plan, user("y"), {}, {}, session, 99).routes.front().model == first);
    ++spread[first];
  }
  CHECK(spread.size() == 3);
}

TEST_CASE("requests go to the tier for their complexity, beyond all tiers to the cheapest",
          "[actors][routing]") {
  const auto plan = tiered();
  const auto easy = choose(plan, user("What is the capital of France?"));
  CHECK(easy.tier == "simple");
  CHECK(names(easy.routes) == strings{"small", "large", "thinker"});
  const auto hard = choose(plan, user("Analyze the trade-off and prove it:\n```\nx = 1\n```"));
  CHECK(hard.tier == "complex");
  CHECK(names(hard.routes) == strings{"large", "small", "thinker"});
  const auto beyond = choose(plan, user("x"), R"({"reasoning_effort":"high"})");
  CHECK(beyond.tier.empty());
  CHECK(names(beyond.routes) == strings{"small", "large", "thinker"});
}

TEST_CASE("a caller may name the tier", "[actors][routing]") {
  const auto plan = tiered();
  CHECK(tier_of("assistant:complex", "assistant") == "complex");
  CHECK(tier_of("assistant", "assistant").empty());
  CHECK(tier_of("assistant:", "assistant").empty());
  CHECK(tier_of("assistants:complex", "assistant").empty());
  CHECK(has_tier(plan, "complex"));
  CHECK_FALSE(has_tier(plan, "huge"));
  CHECK(choose(plan, user("hi"), {}, "complex").routes.front().model == "large");
}

TEST_CASE("the cheapest model is the one that this request costs least at", "[actors][routing]") {
  routing_plan plan;
  plan.kind = routing_kind::price;
  routed_model cheap_in{{"p", "cheap_in"}, 1, 0, 1, 50};
  routed_model cheap_out{{"p", "cheap_out"}, 1, 0, 10, 2};
  plan.models = {model("unknown"), cheap_in, cheap_out};
  const auto long_prompt = user(std::string(400'000, 'x'));
  CHECK(names(choose(plan, long_prompt, R"({"max_tokens":10})").routes)
        == strings{"cheap_in", "cheap_out", "unknown"});
  CHECK(names(choose(plan, user("write a book"), R"({"max_tokens":9000})").routes)
        == strings{"cheap_out", "cheap_in", "unknown"});
}

TEST_CASE("models whose context is too small are left out", "[actors][routing]") {
  routing_plan plan;
  plan.models = {model("short", -1, 8'000), model("long", -1, 100'000), model("unknown")};
  CHECK(names(choose(plan, user("hi")).routes) == strings{"short", "long", "unknown"});
  const auto long_text = user(std::string(40'000, 'x')); // About 10,000 tokens.
  CHECK(names(choose(plan, long_text).routes) == strings{"long", "unknown"});
  CHECK(names(choose(plan, user("hi"), R"({"max_tokens":7999})").routes)
        == strings{"long", "unknown"});
  CHECK(choose(plan, long_text).first_of_key.model == "long");
  plan.models.pop_back();
  // Nothing is large enough: the largest says so itself.
  CHECK(names(choose(plan, user(std::string(800'000, 'x'))).routes) == strings{"long", "short"});
}

TEST_CASE("a tier's model that cannot hold the request gives way", "[actors][routing]") {
  auto plan = tiered();
  plan.models[1].context_tokens = 4'000; // "small"
  const auto choice = choose(plan, user(std::string(20'000, 'x')), {}, "simple");
  CHECK(names(choice.routes) == strings{"large", "thinker"});
}

TEST_CASE("a plan without models gives no routes", "[actors][routing]") {
  for (const auto kind :
       {routing_kind::chain, routing_kind::weight, routing_kind::complexity, routing_kind::price}) {
    routing_plan plan;
    plan.kind = kind;
    CHECK(choose(plan, user("x")).routes.empty());
  }
}

TEST_CASE("harder requests score higher", "[actors][complexity]") {
  const auto score = [](const std::string& text, std::string_view parameters = {}) {
    return complexity_of(user(text), parameters);
  };
  CHECK(score("hello") == 0);
  CHECK(score("") == 0);
  CHECK(complexity_of({}, {}) == 0);
  CHECK(score("Improve this sentence.") == 0); // No "prove" in it.
  CHECK(score("PROVE it") == 10);
  const std::vector<std::string> ascending{
    "What time is it in Rome?", "Compare apples and pears.",
    "Debug this:\n```\nint main() { return x; }\n```",
    "Refactor and optimize this, step by step, then evaluate it:\n```\n" + std::string(8'000, 'x')
      + "\n```"};
  for (std::size_t n = 1; n < ascending.size(); ++n)
    CHECK(score(ascending[n - 1]) < score(ascending[n]));
  CHECK(score("hi", R"({"tools":[{"type":"function"}]})") == 10);
  CHECK(score("hi", R"({"reasoning_effort":"high"})") == complexity_max);
  CHECK(score("prove it", R"({"reasoning_effort":"minimal"})") == 0);
  CHECK(score("hi", "no json") == 0);
  CHECK(score(std::string(10'000'000, '?')) <= complexity_max);
}
