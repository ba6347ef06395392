// What tells two requests apart: the keys of the response cache and of the semantic cache.
#include "actors/agent/prompt.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

/// An agent of a node with this secret.
struct desk {
  explicit desk(const std::string& secret = "a secret of the cluster")
    : contexts([&] {
        context_cache_config config;
        config.secret = identity_secret{secret};
        return config;
      }()) {
    agent.name = "cook";
    agent.plan.models.push_back({{"first", "m"}});
    agent.semantic = "faq";
  }

  msg::flight_request flight(const msg::chat_request& request, const std::string& tenant = "one") {
    context caller;
    caller.tenant = tenant;
    return flight_for(agent, request, caller, contexts, time_point{}, random);
  }
  msg::cache_key key(const msg::chat_request& request, const std::string& tenant = "one") {
    return flight(request, tenant).key;
  }

  agent_definition agent;
  context_cache contexts;
  flow::rng random{1};
};

msg::chat_request order(std::string text) {
  msg::chat_request request;
  request.model = "cook";
  request.messages = {{"user", std::move(text), {}}};
  request.parameters = R"({"tools":[{"a":1,"b":2}],"temperature":0})";
  return request;
}

} // namespace

TEST_CASE("nodes with one secret make one key of a request, others do not", "[actors][identity]") {
  desk here;
  desk there;
  desk stranger{"another secret of another"};
  const auto request = order("2+2?");
  CHECK(here.key(request) == there.key(request));
  CHECK_FALSE(here.key(request) == stranger.key(request));
  CHECK(here.flight(request).semantic.partition == there.flight(request).semantic.partition);
  CHECK_FALSE(here.flight(request).semantic.partition
              == stranger.flight(request).semantic.partition);
  CHECK_FALSE(here.flight(request).semantic.partition == here.key(request));
}

TEST_CASE("tenants, fields and their bounds make other keys", "[actors][identity]") {
  desk d;
  const auto key = d.key(order("2+2?"));
  CHECK_FALSE(key == d.key(order("2+2?"), "two"));
  CHECK_FALSE(d.flight(order("2+2?")).semantic.partition
              == d.flight(order("2+2?"), "two").semantic.partition);
  auto spaced = order("2+2?");
  spaced.parameters = R"({ "temperature":0, "tools":[ {"b":2,"a":1} ] })";
  CHECK(d.key(spaced) == key);
  auto split = order("2+2?");
  split.messages = {{"user", "2+", {}}, {"user", "2?", {}}};
  CHECK_FALSE(d.key(split) == key);
  auto moved = order("");
  moved.messages = {{"user", "", R"({"name":"2+2?"})"}};
  CHECK_FALSE(d.key(moved) == key);
  auto tool = order("2+2?");
  tool.parameters = R"({"tools":[{"a":1,"b":"2"}],"temperature":0})";
  CHECK_FALSE(d.key(tool) == key);
}

TEST_CASE("tool calls make other keys, however they are written the same ones",
          "[actors][identity]") {
  desk d;
  const auto key = [&](const std::vector<msg::chat_message>& between) {
    auto request = order("2+2?");
    std::vector<msg::chat_message> all{{"user", "add", {}}};
    all.insert(all.end(), between.begin(), between.end());
    all.push_back({"user", "2+2?", {}});
    request.messages = std::move(all);
    return d.key(request);
  };
  const auto calling = [](const std::vector<msg::tool_call>& calls) {
    return msg::chat_message{"assistant", "", {}, calls};
  };
  const msg::tool_call call{0, "c", "function", "f", "{}", R"({"a":1,"b":2})"};
  const auto one = key({calling({call})});
  std::vector<msg::tool_call> others(5, call);
  others[0].id = "d";
  others[1].type = "custom";
  others[2].name = "g";
  others[3].arguments = "[]";
  others[4].extra = R"({"a":1,"b":3})";
  for (const auto& other : others)
    CHECK_FALSE(key({calling({other})}) == one);
  CHECK_FALSE(key({calling({})}) == one);
  CHECK_FALSE(key({calling({call, call})}) == one);
  CHECK_FALSE(key({calling({call}), calling({})}) == key({calling({}), calling({call})}));
  auto respelled = call;
  respelled.extra = R"({ "b": 2, "a": 1 })";
  CHECK(key({calling({respelled})}) == one);
}

namespace {

msg::chat_request written(msg::native_api api, std::string body,
                          std::vector<msg::native_header> headers = {}) {
  auto request = order("2+2?");
  request.native = {{static_cast<std::uint8_t>(api), std::move(body), std::move(headers), {}, {}}};
  return request;
}

} // namespace

TEST_CASE("what only Anthropic's words say makes another key", "[actors][identity]") {
  desk here;
  const auto messages = [&](std::string body, std::vector<msg::native_header> headers = {}) {
    return here.key(written(msg::native_api::messages, std::move(body), std::move(headers)));
  };
  const auto plain = messages(R"({"model":"m","messages":[{"a":1,"b":2}],"max_tokens":5})");
  CHECK(plain
        == messages(R"({"stream":true,"max_tokens":5,"metadata":{"user_id":"u"},)"
                    R"("model":"n","messages":[ {"b":2,"a":1} ]})"));
  CHECK_FALSE(plain == messages(R"({"model":"m","messages":[{"a":1,"b":3}],"max_tokens":5})"));
  CHECK_FALSE(plain == messages(R"({"model":"m","messages":[{"a":1,"b":2}],"max_tokens":6})"));
  CHECK_FALSE(plain
              == messages(R"({"model":"m","messages":[{"a":1,"b":2}],"max_tokens":5})",
                          {{"anthropic-beta", "x"}}));
  // Chat completions are read without loss, so what was read tells them apart.
  CHECK(here.key(order("2+2?")) == here.key(written(msg::native_api::chat, R"({"model":"m"})")));
}

TEST_CASE("an agent that adds something sends its own words", "[actors][identity]") {
  desk here;
  const auto request = written(msg::native_api::chat, R"({"model":"m"})");
  CHECK(here.flight(request).native == request.native);
  here.agent.instructions = "Be brief.";
  REQUIRE(here.flight(request).native.size() == 1);
  CHECK(here.flight(request).native.front().body.empty());
  desk other;
  other.agent.parameters = R"({"top_p":0.5})";
  CHECK(other.flight(request).native.front().body.empty());
  // What the client's headers allow is still asked for.
  const auto sent
    = written(msg::native_api::messages, R"({"model":"m"})", {{"anthropic-beta", "x"}});
  const auto kept = other.flight(sent).native;
  REQUIRE(kept.size() == 1);
  CHECK(kept.front().body.empty());
  CHECK(kept.front().headers == sent.native.front().headers);
  CHECK_FALSE(other.key(sent) == other.key(written(msg::native_api::messages, R"({"model":"m"})")));
}
