#include "actors/agent/complexity.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scripted_provider.hpp"

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::scripted_provider;

namespace {

/// An agent behind a pool, with flights, a cache and two providers.
struct kitchen {
  explicit kitchen(test_system::hops how = test_system::hops::native) : sys(how) {
    flight_peers peers;
    cache_shard_config shard;
    shard.ttl = std::chrono::seconds{60};
    peers.cache = sys.spawn<cache_shard>(sys.kind("cache"), "0", shard);
    const std::map<std::string, caf::actor> providers{
      {"first", sys.spawn<scripted_provider>(sys.kind("first"), first)},
      {"second", sys.spawn<scripted_provider>(sys.kind("second"), second)}};
    peers.provider = [providers](const std::string& name) { return providers.at(name); };
    agent_definition definition;
    definition.name = "cook";
    definition.instructions = "Be brief.";
    definition.parameters = R"({"temperature":0.5})";
    definition.plan.models = {{{"first", "big"}}, {{"second", "small"}}};
    definition.plan.kind = routing_kind::complexity;
    definition.plan.tiers = {{"easy", complexity_max, {0}}, {"hard", complexity_max, {1}}};
    definition.flight = sys.spawn<flight>(sys.kind("flight"), "0", flight_config{}, peers);
    auto shared = std::make_shared<const agent_definition>(std::move(definition));
    const auto& agents = sys.kind("agent");
    auto& env = sys.env();
    pool_config bounds;
    bounds.warm_up = false;
    cook = sys.spawn<pool>(sys.kind("pool"), "cook", bounds,
                           [&env, &agents, shared] { return env.spawn<agent>(agents, shared); });
  }

  ~kitchen() {
    first.held.clear();
    second.held.clear();
  }

  static msg::chat_request order(std::string text, bool stream = false) {
    msg::chat_request r;
    r.model = "cook";
    r.messages.push_back({"user", std::move(text), {}});
    r.stream = stream;
    return r;
  }
  std::shared_ptr<answers> ask(msg::chat_request r, std::uint64_t window = 1 << 16) {
    return sys.ask(cook, std::move(r), sys.context(), window);
  }
  static std::string text_of(const answers& got) {
    std::string text;
    for (std::size_t n = 0; n < got.size(); ++n)
      if (const auto* piece = got.get<msg::chat_chunk>(n))
        text += piece->content;
    return text;
  }
  static msg::cache_status status_of(const msg::answer_origin& origin) {
    return static_cast<msg::cache_status>(origin.cache);
  }

  scripted_provider::script first;
  scripted_provider::script second;
  test_system sys;
  caf::actor cook;
};

test_system::hops each_way() {
  return GENERATE(test_system::hops::native, test_system::hops::force_wire);
}

} // namespace

TEST_CASE("an agent adds its instructions, parameters and model", "[actors][agent]") {
  kitchen k{each_way()};
  auto got = k.ask(kitchen::order("2+2?"));
  REQUIRE(got->last<msg::chat_reply>() != nullptr);
  CHECK(got->last<msg::chat_reply>()->choices.at(0).content == "four");
  CHECK(got->last<msg::chat_reply>()->origin.provider == "first");
  REQUIRE(k.first.asked.size() == 1);
  CHECK(k.first.asked[0].model == "big");
  CHECK(k.first.asked[0].messages.at(0).role == "system");
  CHECK(k.first.asked[0].messages.at(0).content == "Be brief.");
  CHECK(k.first.asked[0].parameters == R"({"temperature":0.5})");
}

TEST_CASE("a request's own parameters win over the agent's", "[actors][agent]") {
  kitchen k;
  auto order = kitchen::order("2+2?");
  order.parameters = R"({"temperature":1,"top_p":0.1})";
  k.ask(order);
  CHECK(k.first.asked.at(0).parameters == R"({"temperature":1,"top_p":0.1})");
}

TEST_CASE("an equal request is answered from the cache, whole or streamed",
          "[actors][agent][cache]") {
  kitchen k{each_way()};
  const bool fill_by_stream = GENERATE(false, true);
  auto before = k.ask(kitchen::order("2+2?", fill_by_stream));
  CHECK(before->complete());
  auto whole = k.ask(kitchen::order("2+2?"));
  REQUIRE(whole->last<msg::chat_reply>() != nullptr);
  CHECK(whole->last<msg::chat_reply>()->choices.at(0).content == "four");
  CHECK(whole->last<msg::chat_reply>()->usage.prompt == 7);
  CHECK(kitchen::status_of(whole->last<msg::chat_reply>()->origin) == msg::cache_status::hit);
  auto streamed = k.ask(kitchen::order("2+2?", true));
  CHECK(kitchen::text_of(*streamed) == "four");
  REQUIRE(streamed->last<msg::chat_end>() != nullptr);
  CHECK(streamed->get<msg::chat_open>(0) != nullptr);
  CHECK(k.first.asked.size() == 1);
  k.sys.advance(61s);
  k.ask(kitchen::order("2+2?"));
  CHECK(k.first.asked.size() == 2);
}

TEST_CASE("requests that differ in anything that matters do not share an answer",
          "[actors][agent][cache]") {
  kitchen k;
  k.ask(kitchen::order("2+2?"));
  auto other = kitchen::order("2+2?");
  SECTION("text") {
    other.messages.back().content = "2+3?";
  }
  SECTION("parameters") {
    other.parameters = R"({"temperature":0.9})";
  }
  SECTION("role") {
    other.messages.back().role = "assistant";
  }
  SECTION("earlier turns") {
    other.messages.insert(other.messages.begin(), {"user", "hello", {}});
  }
  k.ask(other);
  CHECK(k.first.asked.size() == 2);
}

TEST_CASE("tenants do not share answers", "[actors][agent][cache]") {
  kitchen k;
  k.ask(kitchen::order("2+2?"));
  auto context = k.sys.context();
  context.tenant = "other";
  k.sys.ask(k.cook, kitchen::order("2+2?"), context);
  CHECK(k.first.asked.size() == 2);
}

TEST_CASE("members that do not change the answer do not change the key", "[actors][agent][cache]") {
  kitchen k;
  auto order = kitchen::order("2+2?");
  order.parameters = R"({"top_p":0.5,"user":"a"})";
  k.ask(order);
  order.parameters = R"({"user":"b","metadata":{"x":1},"top_p":0.5})";
  k.ask(order);
  CHECK(k.first.asked.size() == 1);
}

TEST_CASE("cut, filtered and tool-call answers are not kept", "[actors][agent][cache]") {
  kitchen k;
  const bool stream = GENERATE(false, true);
  k.first.finish_reason = GENERATE(as<std::string>{}, "length", "content_filter", "tool_calls", "");
  k.ask(kitchen::order("2+2?", stream));
  k.ask(kitchen::order("2+2?", stream));
  CHECK(k.first.asked.size() == 2);
}

TEST_CASE("a caller may refuse the cache", "[actors][agent][cache]") {
  kitchen k;
  k.ask(kitchen::order("2+2?"));
  auto order = kitchen::order("2+2?");
  SECTION("no-store neither reads nor writes") {
    order.cache = static_cast<std::uint8_t>(msg::cache_mode::off);
    k.first.text = "4";
    auto got = k.ask(order);
    CHECK(kitchen::status_of(got->last<msg::chat_reply>()->origin) == msg::cache_status::bypass);
    CHECK(k.ask(kitchen::order("2+2?"))->last<msg::chat_reply>()->choices[0].content == "four");
  }
  SECTION("no-cache reads past it and renews it") {
    order.cache = static_cast<std::uint8_t>(msg::cache_mode::refresh);
    k.first.text = "4";
    CHECK(k.ask(order)->last<msg::chat_reply>()->choices[0].content == "4");
    CHECK(k.ask(kitchen::order("2+2?"))->last<msg::chat_reply>()->choices[0].content == "4");
  }
  SECTION("max-age limits how old an answer may be") {
    order.cache_max_age_s = 5;
    k.sys.advance(4s);
    k.ask(order);
    CHECK(k.first.asked.size() == 1);
    k.sys.advance(2s);
    k.ask(order);
    CHECK(k.first.asked.size() == 2);
  }
}

TEST_CASE("the next provider answers when one fails before its first token", "[actors][agent]") {
  kitchen k{each_way()};
  const bool stream = GENERATE(false, true);
  failure twice{errc::provider_failed, "500"};
  twice.tries = 2;
  k.first.failures = {twice};
  auto got = k.ask(kitchen::order("2+2?", stream));
  CHECK(k.second.asked.size() == 1);
  CHECK(k.second.asked.at(0).model == "small");
  if (stream) {
    CHECK(kitchen::text_of(*got) == "four");
    CHECK(got->last<msg::chat_end>()->origin.attempts == 3);
  } else {
    CHECK(got->last<msg::chat_reply>()->origin.provider == "second");
  }
}

TEST_CASE("a caller may name the tier, and only one that is there", "[actors][agent]") {
  kitchen k;
  auto hard = kitchen::order("tea");
  hard.model = "cook:hard";
  k.ask(hard);
  REQUIRE(k.second.asked.size() == 1);
  CHECK(k.second.asked.front().model == "small");
  CHECK(k.first.asked.empty());
  hard.model = "cook:absurd";
  const auto refused = k.ask(hard);
  CHECK(refused->why().code == errc::not_found);
}

TEST_CASE("a bad request is not tried elsewhere", "[actors][agent]") {
  kitchen k;
  k.first.failures = {failure{errc::bad_request, "no such parameter"}};
  auto got = k.ask(kitchen::order("2+2?"));
  CHECK(got->why().code == errc::bad_request);
  CHECK(got->why().detail == "no such parameter");
  CHECK(k.second.asked.empty());
}

TEST_CASE("nothing is tried again once a token has left", "[actors][agent]") {
  kitchen k{each_way()};
  k.first.cut_after_first_chunk = true;
  auto got = k.ask(kitchen::order("2+2?", true));
  CHECK(got->story() == "open chunk failed");
  CHECK(got->why().code == errc::stream_cut);
  CHECK(k.second.asked.empty());
}

TEST_CASE("a caller that goes away cancels the provider's work", "[actors][agent]") {
  kitchen k{each_way()};
  k.first.hold = true;
  auto got = k.ask(kitchen::order("2+2?", GENERATE(false, true)));
  CHECK(got->size() == 0);
  k.sys.give_up(got);
  CHECK(k.first.cancels == 1);
  CHECK(k.second.asked.empty());
}

TEST_CASE("an agent's deadline ends a call its provider sits on", "[actors][agent]") {
  kitchen k;
  k.first.hold = true;
  auto got = k.ask(kitchen::order("2+2?"));
  k.sys.advance(11s);
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK(k.first.cancels == 1);
}

TEST_CASE("a cached answer streams no faster than its credit", "[actors][agent][cache]") {
  kitchen k{each_way()};
  k.first.text.assign(10'000, 'x');
  k.ask(kitchen::order("long"));
  auto got = k.ask(kitchen::order("long", true), 1);
  CHECK(got->story() == "open chunk");
  k.sys.grant(got, 1'500);
  CHECK(got->size() > 2);
  CHECK(!got->complete());
  k.sys.grant(got, 1 << 20);
  CHECK(got->complete());
  CHECK(kitchen::text_of(*got) == k.first.text);
}
