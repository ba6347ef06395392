#include "actors/agent/complexity.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scripted_provider.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::actors;
using namespace skep::rt;
using skep::test::scripted_provider;

namespace {

/// An agent behind a pool, with flights, a cache and two providers.
struct kitchen {
  explicit kitchen(test_system::hops how = test_system::hops::native,
                   cache_scope cached = cache_scope::all, std::uint32_t size_max = 1024,
                   std::uint32_t overflow_max = pool_config{}.overflow_max)
    : sys(how) {
    flight_peers peers;
    cache_shard_config shard;
    shard.ttl = std::chrono::seconds{60};
    peers.cache = sys.spawn<cache_shard>(sys.kind("cache"), "0", shard);
    const std::map<std::string, caf::actor> providers{
      {"first", sys.spawn<scripted_provider>(sys.kind("first"), first)},
      {"second", sys.spawn<scripted_provider>(sys.kind("second"), second)}};
    peers.pool = [this](const std::string&) { return raw; };
    peers.provider = [providers](const std::string& name) { return providers.at(name); };
    agent_definition definition;
    definition.name = "cook";
    definition.cache = cached;
    definition.instructions = "Be brief.";
    definition.parameters = R"({"temperature":0.5})";
    definition.plan.models = {{{"first", "big"}}, {{"second", "small"}}};
    definition.plan.kind = routing_kind::complexity;
    definition.plan.tiers = {{"easy", complexity_max, {0}}, {"hard", complexity_max, {1}}};
    definition.flight
      = sys.spawn<flight>(sys.kind("flight", 100'000, 64u << 20), "0", flight_config{}, peers);
    auto shared = std::make_shared<const agent_definition>(std::move(definition));
    const auto& agents = sys.kind("agent", 100'000, 64u << 20);
    auto& env = sys.env();
    pool_config bounds;
    bounds.warm_up = false;
    bounds.size_max = size_max;
    bounds.overflow_max = overflow_max;
    raw = sys.env().spawn<pool>(sys.kind("pool"), "cook", bounds, [&env, &agents, shared] {
      return env.spawn<agent>(agents, shared);
    });
    cook = sys.adopt(raw);
  }
  pool_stats stats() const {
    return static_cast<pool&>(*caf::actor_cast<caf::abstract_actor*>(raw)).stats();
  }

  ~kitchen() {
    first.held.clear();
    second.held.clear();
  }

  static msg::chat_request order(std::string text, bool stream = false) {
    msg::chat_request r;
    r.model = "cook";
    r.messages = {{"user", std::move(text), {}}};
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
  caf::actor raw;
  caf::actor cook;
};

/// Asks the same many times at once.
class crowd : public bounded_actor {
public:
  struct story {
    std::size_t size = 0;
    caf::actor to;
    msg::chat_request wish;
    std::vector<std::string> texts;
    std::vector<failure> failures;
  };

  crowd(caf::actor_config& config, environment& env, const actor_kind& kind, story& s)
    : bounded_actor(config, env, kind), story_(s) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const call& c, const msg::chat_request&) {
      leave_open();
      for (std::size_t n = 0; n < story_.size; ++n)
        ask(story_.to, c.context, story_.wish, [this](const answer& got) { heard(got); });
    }};
  }

private:
  void heard(const answer& got) {
    if (const auto* reply = got.get<msg::chat_reply>())
      story_.texts.push_back(reply->choices.at(0).content);
    else if (got.what == answer::kind::failed)
      story_.failures.push_back(got.why);
  }

  story& story_;
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
    other.messages = {{"user", "2+3?", {}}};
  }
  SECTION("parameters") {
    other.parameters = R"({"temperature":0.9})";
  }
  SECTION("role") {
    other.messages = {{"assistant", "2+2?", {}}};
  }
  SECTION("earlier turns") {
    other.messages = {{"user", "hello", {}}, other.messages.back()};
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

TEST_CASE("only requests that say temperature 0 share an answer, unless the agent says otherwise",
          "[actors][agent][cache]") {
  struct example {
    cache_scope cached;
    std::string parameters;
    bool shared;
  };
  const auto e = GENERATE(values<example>({
    {cache_scope::deterministic, "", false}, // The agent's own is 0.5.
    {cache_scope::deterministic, R"({"temperature":1})", false},
    {cache_scope::deterministic, R"({"temperature":null})", false},
    {cache_scope::deterministic, R"({"temperature":0.5,"seed":1})", false},
    {cache_scope::deterministic, R"({"temperature":0})", true},
    {cache_scope::deterministic, R"({"temperature":0.0,"n":2})", true},
    {cache_scope::all, R"({"temperature":1})", true},
    {cache_scope::off, R"({"temperature":0})", false},
  }));
  CAPTURE(e.parameters, static_cast<int>(e.cached));
  kitchen k{test_system::hops::native, e.cached};
  auto order = kitchen::order("2+2?");
  order.parameters = e.parameters;
  SECTION("from the cache") {
    k.ask(order);
    const auto again = k.ask(order);
    CHECK((kitchen::status_of(again->last<msg::chat_reply>()->origin) == msg::cache_status::hit)
          == e.shared);
  }
  SECTION("in flight") {
    k.first.hold = true;
    k.ask(order);
    k.ask(order);
  }
  CHECK(k.first.asked.size() == (e.shared ? 1 : 2));
}

TEST_CASE("five thousand equal requests at once are one call, however small the pool",
          "[actors][agent][pool]") {
  kitchen k{test_system::hops::native, cache_scope::all, GENERATE(1u, 16u, 1024u)};
  k.first.hold = true;
  crowd::story story{5000, k.cook, kitchen::order("2+2?"), {}, {}};
  const auto people = k.sys.spawn<crowd>(k.sys.kind("crowd"), story);
  k.sys.ask(people, msg::chat_request{});
  REQUIRE(k.first.asked.size() == 1);
  CHECK(k.stats().overflow == 0); // All know by now what they need.
  CHECK(k.stats().size - k.stats().idle == 1);
  msg::chat_reply reply;
  reply.choices.emplace_back().content = "four";
  reply.choices.back().finish_reason = "stop";
  k.first.held.at(0).reply(reply);
  k.sys.run();
  CHECK(story.failures.empty());
  CHECK(story.texts.size() == 5000);
  CHECK(std::count(story.texts.begin(), story.texts.end(), "four") == 5000);
  CHECK(k.stats().size == k.stats().idle);
}

TEST_CASE("a full pool refuses calls of their own and nothing else", "[actors][agent][pool]") {
  kitchen k{test_system::hops::native, cache_scope::all, 2};
  k.ask(kitchen::order("known"));
  k.first.hold = true;
  auto one = k.ask(kitchen::order("one"));
  auto two = k.ask(kitchen::order("two"));
  CHECK(k.ask(kitchen::order("known"))->last<msg::chat_reply>() != nullptr);
  auto follows = k.ask(kitchen::order("one"));
  const auto refused = k.ask(kitchen::order("three"));
  CHECK(refused->why().code == errc::overloaded);
  CHECK(refused->why().retry_after > 0ms);
  CHECK(k.stats().refused == 1);
  CHECK(k.first.asked.size() == 3);
  k.sys.give_up(one);
  k.sys.give_up(two);
  CHECK(k.stats().size == k.stats().idle);
  CHECK(follows->size() == 0); // Still waiting: it follows the call, which has no place any more.
  k.ask(kitchen::order("three"));
  CHECK(k.first.asked.size() == 4);
}

TEST_CASE("calls beyond a pool's overflow are refused at its door", "[actors][pool]") {
  kitchen k{test_system::hops::native, cache_scope::all, 1, 10};
  k.first.hold = true;
  crowd::story story{20, k.cook, kitchen::order("2+2?"), {}, {}};
  k.sys.ask(k.sys.spawn<crowd>(k.sys.kind("crowd"), story), msg::chat_request{});
  CHECK(k.first.asked.size() == 1);
  CHECK(story.failures.size() == 9); // One has the instance, ten were let in beyond it.
  CHECK(k.stats().refused == 9);
}
