#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using net::testing::raw_client;
using nlohmann::json;
using test::eventually;

namespace {

reply complete(const open_gateway& gateway, const json& prompt, json more = json::object(),
               std::string_view headers = {}) {
  more["prompt"] = prompt;
  more.emplace("model", "helper");
  return fetch(gateway, post_to("/v1/completions", more.dump(), headers));
}

/// Prompts that all say something else.
json prompts(std::size_t count, const std::string& verb = "say ") {
  auto list = json::array();
  for (std::size_t n = 0; n < count; ++n)
    list.push_back(verb + std::to_string(n));
  return list;
}

} // namespace

TEST_CASE("POST /v1/completions completes a prompt as a chat of one message",
          "[actors][gateway][completions]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto prompt = GENERATE(json("say hi"), json::array({"say hi"}));
  const auto got = complete(gateway, prompt, {{"max_tokens", 5}, {"stop", "x"}, {"best_of", 1}});
  REQUIRE(got.status == 200);
  CHECK(got.headers.at("x-skep-cache") == "HIT");
  CHECK(json::parse(got.body)
        == json::parse(R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny",)"
                       R"("choices":[{"text":"hi","index":0,"logprobs":null,)"
                       R"("finish_reason":"stop"}],"usage":{"prompt_tokens":7,)"
                       R"("completion_tokens":3,"total_tokens":10,)"
                       R"("prompt_tokens_details":{"cached_tokens":0}}})"));
  const auto& asked = gateway.helper.seen().request;
  CHECK(asked.messages == std::vector<msg::chat_message>{{"user", "say hi", {}}});
  CHECK(json::parse(asked.parameters) == json::parse(R"({"max_tokens":5,"stop":"x"})"));
}

TEST_CASE("several prompts are answered in their order, in one answer",
          "[actors][gateway][completions]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got = complete(gateway, prompts(20), {{"n", 2}});
  REQUIRE(got.status == 200);
  CHECK(got.headers.at("x-skep-attempts") == "40");
  const auto body = json::parse(got.body);
  REQUIRE(body["choices"].size() == 20);
  for (std::size_t n = 0; n < 20; ++n) {
    // The agent gives one choice, whatever is asked for.
    CHECK(body["choices"][n]["index"] == 2 * n);
    CHECK(body["choices"][n]["text"] == std::to_string(n));
  }
  CHECK(body["usage"]["total_tokens"] == 200);
  CHECK(gateway.helper.calls == 20);
}

TEST_CASE("of several prompts a few are at work at a time", "[actors][gateway][completions]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  const json body{{"model", "helper"}, {"prompt", prompts(20, "hold ")}};
  REQUIRE(client.send(post_to("/v1/completions", body.dump())));
  REQUIRE(eventually([&] { return gateway.helper.calls == 8; }));
  // Another request of the same gateway has its turn, and nothing more of this one has begun.
  CHECK(complete(gateway, "say x").status == 200);
  CHECK(gateway.helper.calls == 9);
  client.close();
  CHECK(eventually([&] { return gateway.helper.cancels == 8; }));
  CHECK(gateway.helper.calls == 9);
}

TEST_CASE("the first failure is that of all prompts", "[actors][gateway][completions]") {
  open_gateway gateway;
  auto list = prompts(7, "hold ");
  list.push_back("fail 18");
  const auto got = complete(gateway, list);
  CHECK(got.status == 429);
  CHECK(got.headers.at("retry-after-ms") == "1500");
  CHECK(json::parse(got.body)["error"]["code"] == "rate_limit_exceeded");
  CHECK(eventually([&] { return gateway.helper.cancels == 7; }));
}

TEST_CASE("all prompts share the request's deadline", "[actors][gateway][completions]") {
  open_gateway gateway;
  const auto got
    = complete(gateway, prompts(3, "hold "), json::object(), "x-request-timeout-ms: 50\r\n");
  CHECK(got.status == 504);
  CHECK(eventually([&] { return gateway.helper.cancels == 3; }));
}

TEST_CASE("a gateway that dies fails the prompts it waits for", "[actors][gateway][completions]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  const json body{{"model", "helper"}, {"prompt", prompts(2, "hold ")}};
  REQUIRE(client.send(post_to("/v1/completions", body.dump())));
  REQUIRE(eventually([&] { return gateway.helper.calls == 2; }));
  gateway.kill_gateway();
  CHECK(read_reply(client).status == 500);
}

TEST_CASE("text completions stream", "[actors][gateway][completions]") {
  open_gateway gateway;
  const auto got
    = complete(gateway, "say ab",
               {{"stream", true}, {"echo", true}, {"stream_options", {{"include_usage", true}}}});
  REQUIRE(got.events.size() == 5);
  CHECK(got.whole);
  const auto first = json::parse(got.events[0]);
  CHECK(first
        == json::parse(R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny",)"
                       R"("choices":[{"text":"say aba","index":0,"logprobs":null,)"
                       R"("finish_reason":null}],"usage":null})"));
  CHECK(json::parse(got.events[2])["choices"][0]["finish_reason"] == "stop");
  CHECK(json::parse(got.events[3])["choices"].empty());
  CHECK(json::parse(got.events[3])["usage"]["total_tokens"] == 10);
  CHECK(got.events[4] == "[DONE]");
  const auto plain = complete(gateway, "say ab", {{"stream", true}});
  REQUIRE(plain.events.size() == 4);
  CHECK_FALSE(json::parse(plain.events[0]).contains("usage"));
  const auto cut = complete(gateway, "cut", {{"stream", true}});
  CHECK(cut.whole);
  CHECK(json::parse(cut.events.back())["error"]["code"] == "upstream_cut");
}

TEST_CASE("wrong completions name the member at fault", "[actors][gateway][completions]") {
  open_gateway gateway;
  const auto param = [&](const json& prompt, const json& more) {
    const auto got = complete(gateway, prompt, more);
    CHECK(got.status == 400);
    return json::parse(got.body)["error"]["param"];
  };
  CHECK(param(json::array({1, 2}), json::object()) == "prompt");
  CHECK(param("a", {{"suffix", "b"}}) == "suffix");
  CHECK(param(prompts(2), {{"stream", true}}) == "prompt");
  CHECK(param(prompts(65), json::object()) == "prompt");
  const auto unknown = complete(gateway, prompts(2), {{"model", "nobody"}});
  CHECK(unknown.status == 404);
  CHECK(json::parse(unknown.body)["error"]["param"] == "model");
  CHECK(gateway.helper.calls == 0);
}
