#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"
#include "tests/unit/actors/made_up_id.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using net::testing::raw_client;
using nlohmann::json;
using test::eventually;

namespace {

/// Says what it is told, whole or in pieces, whatever it is asked.
class prompter : public rt::bounded_actor {
public:
  prompter(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
           msg::chat_reply whole, std::vector<msg::chat_chunk> pieces)
    : bounded_actor(config, env, kind), whole_(std::move(whole)), pieces_(std::move(pieces)) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::chat_request& r) { serve(c, r.stream); }};
  }

private:
  void serve(const rt::call& c, bool stream) {
    auto out = take(c);
    if (!stream || pieces_.empty()) {
      out.reply(whole_);
      return;
    }
    out.open(msg::chat_open{whole_.id, 1, whole_.model, {}, {}});
    for (const auto& piece : pieces_)
      out.chunk(piece);
    out.end(msg::chat_end{whole_.usage, {}});
  }

  const msg::chat_reply whole_;
  const std::vector<msg::chat_chunk> pieces_;
};

/// A gateway with the agent "prompted", which calls a tool.
struct prompted {
  explicit prompted(std::vector<msg::chat_chunk> pieces = {}) {
    msg::chat_reply whole;
    whole.id = "chatcmpl-9";
    whole.model = "tiny";
    auto& choice = whole.choices.emplace_back();
    choice.content_null = true;
    choice.finish_reason = "tool_calls";
    choice.tool_calls = {{0, "call_1", "function", "f", R"({"city": "Bonn"})", {}}};
    whole.usage.prompt = 11;
    whole.usage.completion = 4;
    gateway.publish("agent/prompted",
                    gateway.env().spawn<prompter>(kind, std::move(whole), std::move(pieces)));
  }

  // The agent may end as late as the system does.
  telemetry::registry metrics;
  rt::actor_kind kind{metrics, "prompted", {}};
  open_gateway gateway;
};

std::string asking(std::string_view text, std::string_view more = {},
                   std::string_view model = "helper") {
  return order(text, more.empty() ? R"("max_tokens":9)" : R"("max_tokens":9,)" + std::string{more},
               model);
}

reply ask_messages(const open_gateway& gateway, const std::string& body,
                   std::string_view headers = {}) {
  return fetch(gateway, post_to("/v1/messages", body, headers));
}

constexpr auto stream = R"("stream":true)";

} // namespace

TEST_CASE("POST /v1/messages answers as Anthropic's API does", "[actors][gateway][messages]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got
    = ask_messages(gateway, asking("say hi", R"("system":"be brief","stop_sequences":["."])"),
                   "anthropic-version: 2023-06-01\r\n");
  REQUIRE(got.status == 200);
  CHECK(got.headers.at("content-type") == "application/json");
  CHECK(got.headers.at("request-id") == got.headers.at("x-request-id"));
  CHECK(got.headers.count("openai-version") == 0);
  CHECK(got.headers.at("x-skep-cache") == "HIT");
  CHECK(json::parse(got.body)
        == json::parse("{\"id\":\"" + made_up_id(got, "msg_")
                       + R"(","type":"message","role":"assistant",)"
                         R"("model":"tiny","content":[{"type":"text","text":"hi"}],)"
                         R"("stop_reason":"end_turn","stop_sequence":null,)"
                         R"("usage":{"input_tokens":7,"cache_creation_input_tokens":0,)"
                         R"("cache_read_input_tokens":0,"output_tokens":3}})"));
  const auto& asked = gateway.helper.seen().request;
  REQUIRE(asked.messages.size() == 2);
  CHECK(asked.messages[0] == msg::chat_message{"system", "be brief", {}});
  CHECK(json::parse(asked.parameters) == json::parse(R"({"max_tokens":9,"stop":["."]})"));
}

TEST_CASE("a stream of messages has Anthropic's events in order", "[actors][gateway][messages]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got = ask_messages(gateway, asking("say ab", stream));
  CHECK(got.status == 200);
  CHECK(got.headers.at("content-type") == "text/event-stream; charset=utf-8");
  CHECK(got.headers.count("request-id") == 1);
  CHECK(got.whole);
  CHECK(got.names
        == std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                    "content_block_delta", "content_block_stop", "message_delta",
                                    "message_stop"});
  REQUIRE(got.events.size() == 7);
  CHECK(json::parse(got.events[3])["delta"]["text"] == "b");
  CHECK(json::parse(got.events[0])["message"]["usage"]["input_tokens"] == 2);
  const auto last = json::parse(got.events[5]);
  CHECK(last["delta"]["stop_reason"] == "end_turn");
  CHECK(last["usage"]["input_tokens"] == 7);
  CHECK(last["usage"]["output_tokens"] == 3);
}

TEST_CASE("a prompt's tokens are estimated before it is asked", "[actors][gateway][messages]") {
  open_gateway gateway;
  const auto count = [&](const std::string& body) {
    return fetch(gateway, post_to("/v1/messages/count_tokens", body));
  };
  const auto got = count(order("say ab"));
  CHECK(got.status == 200);
  CHECK(got.body == R"({"input_tokens":2})");
  const auto unknown = count(order("say ab", {}, "nobody"));
  CHECK(unknown.status == 404);
  CHECK(json::parse(unknown.body)["error"]["type"] == "not_found_error");
  CHECK(count(R"({"model":"helper"})").status == 400);
}

TEST_CASE("tool calls come as tool_use, whole, streamed and played",
          "[actors][gateway][messages]") {
  prompted whole;
  const auto body
    = json::parse(ask_messages(whole.gateway, asking("weather?", {}, "prompted")).body);
  const auto expected
    = json::parse(R"([{"type":"tool_use","id":"call_1","name":"f","input":{"city":"Bonn"}}])");
  CHECK(body["content"] == expected);
  CHECK(body["stop_reason"] == "tool_use");
  prompted pieces{{{0, {}, {}, {}, {}, {{0, "call_1", "function", "f", {}, {}}}},
                   {0, {}, {}, {}, {}, {{0, {}, {}, {}, R"({"city": "Bonn"})", {}}}},
                   {0, {}, {}, "tool_calls", {}}}};
  for (auto* each : {&whole, &pieces}) {
    const auto got = ask_messages(each->gateway, asking("weather?", stream, "prompted"));
    REQUIRE(got.events.size() == 6);
    CHECK(got.whole);
    CHECK(json::parse(got.events[1])["content_block"]["name"] == "f");
    CHECK(json::parse(got.events[2])["delta"]
          == json::parse(R"({"type":"input_json_delta","partial_json":"{\"city\": \"Bonn\"}"})"));
    CHECK(json::parse(got.events[4])["delta"]["stop_reason"] == "tool_use");
    CHECK(json::parse(got.events[4])["usage"]["input_tokens"] == 11);
  }
}

TEST_CASE("a large streamed answer passes as credit allows", "[actors][gateway][messages]") {
  gateway_config options;
  options.stream_window = 16 * 1024;
  open_gateway gateway{options};
  raw_client client{gateway.port(), 4096};
  REQUIRE(client.send(post_to("/v1/messages", asking("flood 8192", stream))));
  REQUIRE(eventually([&] { return gateway.helper.pauses > 0; }));
  CHECK(gateway.helper.sent < 8192 * 1024);
  const auto got = read_reply(client);
  CHECK(got.whole);
  CHECK(got.names.back() == "message_stop");
  CHECK(got.events.size() == 8192 + 5);
}

TEST_CASE("errors of /v1/messages stand in Anthropic's envelope", "[actors][gateway][messages]") {
  gateway_config options;
  options.keys = {{config::secret{"K", "k"}, "t"}};
  open_gateway gateway{options};
  const std::string key = "x-api-key: k\r\n";
  const auto refused = [&](const std::string& request, int status, const std::string& type) {
    const auto got = fetch(gateway, request);
    CHECK(got.status == status);
    const auto body = json::parse(got.body, nullptr, false);
    REQUIRE(body.is_object());
    CHECK(body["type"] == "error");
    CHECK(body["error"]["type"] == type);
    CHECK(body["request_id"] == got.headers.at("x-request-id"));
    return body["error"]["message"].get<std::string>();
  };
  const std::string path = "/v1/messages";
  refused(post_to(path, asking("say hi")), 401, "authentication_error");
  CHECK(fetch(gateway, post_to(path, asking("say hi"), key)).status == 200);
  CHECK(fetch(gateway, post_to(path, asking("say hi"), "authorization: Bearer k\r\n")).status
        == 200);
  refused(post_to(path, "no JSON", key), 400, "invalid_request_error");
  CHECK(refused(post_to(path, R"({"model":"helper","max_tokens":1})", key), 400,
                "invalid_request_error")
        == "messages: Field required");
  CHECK(refused(post_to(path, asking("say hi", {}, "nobody"), key), 404, "not_found_error")
        == "the model \"nobody\" does not exist; GET /v1/models lists what there is");
  const std::string threaded{R"({"model":"helper","max_tokens":1,"messages":)"
                             R"([{"role":"user","content":"hi"}],"thread":{"type":"create"}})"};
  refused(post_to(path, threaded, key), 400, "invalid_request_error");
  CHECK(json::parse(fetch(gateway, post_to(path, threaded, key)).body)["error"]["details"]
        == json::parse(R"({"error_code":"thread_unsupported_request","unsupported":["thread"]})"));
  refused(get(path, key), 405, "invalid_request_error");
  refused(post_to(path + "/batches", "{}", key), 404, "not_found_error");
  refused(post_to(path, asking("fail 18"), key), 429, "rate_limit_error");
  refused(post_to(path, asking("fail 1"), key), 529, "overloaded_error");
  refused(post_to(path, asking("fail 16", stream), key), 502, "api_error");
  const auto busy = fetch(gateway, post_to(path, asking("fail 1"), key));
  CHECK(busy.headers.at("retry-after") == "2");
  CHECK(busy.headers.at("x-should-retry") == "true");
}

TEST_CASE("a stream of messages that breaks off ends with an error event",
          "[actors][gateway][messages]") {
  open_gateway gateway;
  const auto got = ask_messages(gateway, asking("cut", stream));
  CHECK(got.status == 200);
  CHECK(got.whole);
  REQUIRE(got.names.size() == got.events.size());
  REQUIRE(got.names.back() == "error");
  const auto event = json::parse(got.events.back());
  CHECK(event["error"]["type"] == "api_error");
  CHECK(event["request_id"] == got.headers.at("x-request-id"));
}

TEST_CASE("a client of /v1/messages that leaves stops the work", "[actors][gateway][messages]") {
  open_gateway gateway;
  {
    raw_client client{gateway.port()};
    REQUIRE(client.send(post_to("/v1/messages", asking("hold"))));
    REQUIRE(eventually([&] { return gateway.helper.calls == 1; }));
  }
  CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
}
