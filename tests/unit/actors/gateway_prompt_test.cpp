#include "actors/gateway/prompt_format.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

std::string post_prompt(std::string_view body, std::string_view more_headers = {}) {
  return "POST /api/v1/agent/prompt HTTP/1.1\r\nhost: localhost\r\ncontent-length: "
         + std::to_string(body.size()) + "\r\n" + std::string{more_headers} + "\r\n"
         + std::string{body};
}

json error_of(const reply& got) {
  return json::parse(got.body)["error"];
}

std::string problem(std::string_view body) {
  const auto read = read_prompt_body(body);
  REQUIRE_FALSE(read);
  CHECK(read.error().why.code == errc::bad_request);
  return read.error().param + ": " + read.error().why.detail;
}

} // namespace

TEST_CASE("a prompt is read as a chat of one message", "[actors][gateway][prompt]") {
  const auto plain = read_prompt_body(R"({"message":"Hello, \"world\"!\n"})");
  REQUIRE(plain);
  CHECK(plain->model.empty());
  REQUIRE(plain->request.messages.size() == 1);
  CHECK(plain->request.messages[0].role == "user");
  CHECK(plain->request.messages[0].content == "Hello, \"world\"!\n");
  CHECK_FALSE(plain->request.stream);

  const auto full = read_prompt_body(
    R"({"temperature":0.50,"message":"x","agent":"a","session_id":"s","stream":true,)"
    R"("metadata":{"z":1,"a":2}})");
  REQUIRE(full);
  CHECK(full->model == "a");
  CHECK(full->session_id == "s");
  CHECK(full->request.stream);
  CHECK_THAT(full->request.parameters, Contains(R"("temperature":0.50)"));
  CHECK_THAT(full->request.parameters, Contains(R"({"z":1,"a":2})"));
  for (const auto* ours : {"message", "agent", "session_id"})
    CHECK_THAT(full->request.parameters, !Contains("\"" + std::string{ours} + "\""));
  CHECK(read_prompt_body(R"({"message":"x","model":"p/m"})")->model == "p/m");
  CHECK(read_prompt_body(R"({"message":"x","agent":null})")->model.empty());
}

TEST_CASE("a body that is no prompt is refused by the member at fault",
          "[actors][gateway][prompt]") {
  CHECK_THAT(problem(""), Contains("no JSON we can read: parse error at line 1, column 1"));
  CHECK_THAT(problem(""), !Contains("exception"));
  CHECK_THAT(problem("[]"), Contains("JSON object"));
  CHECK_THAT(problem("{\"message\":"), Contains("no JSON we can read: parse error at line 1"));
  CHECK_THAT(problem("{}"), Catch::Matchers::StartsWith("message: "));
  CHECK_THAT(problem(R"({"message":""})"), Catch::Matchers::StartsWith("message: "));
  CHECK_THAT(problem(R"({"message":["x"]})"), Catch::Matchers::StartsWith("message: "));
  CHECK_THAT(problem(R"({"message":"x","messages":[]})"),
             Catch::Matchers::StartsWith("messages: "));
  CHECK_THAT(problem(R"({"message":"x","stream":1})"), Catch::Matchers::StartsWith("stream: "));
  CHECK_THAT(problem(R"({"message":"x","agent":7})"), Catch::Matchers::StartsWith("agent: "));
  CHECK_THAT(problem(R"({"message":"x","agent":"a","model":"b"})"),
             Catch::Matchers::StartsWith("model: "));
  CHECK_THAT(problem(R"({"message":"x","session_id":""})"),
             Catch::Matchers::StartsWith("session_id: "));
  CHECK_THAT(problem(std::string(100'000, '[')), Contains("nested deeper than 64"));
}

TEST_CASE("a prompt is answered with the text and where it came from",
          "[actors][gateway][prompt]") {
  open_gateway gateway;
  const auto got
    = fetch(gateway, post_prompt(R"({"message":"say hello","session_id":"s-1","top_p":0.1})"));
  REQUIRE(got.status == 200);
  const auto body = json::parse(got.body);
  CHECK(body["response"] == "hello");
  CHECK(body["agent"] == "helper"); // The only one.
  CHECK(body["model"] == "tiny");
  CHECK(body["finish_reason"] == "stop");
  CHECK(body["usage"]["total_tokens"] == 10);
  CHECK(body["request_id"] == got.headers.at("x-request-id"));
  CHECK(body["cached"] == true);
  CHECK(body["processing_ms"].get<int>() >= 0);
  CHECK(gateway.helper.seen().context.session == "s-1");
  CHECK(gateway.helper.request.parameters == R"({"top_p":0.1})");

  REQUIRE(fetch(gateway,
                post_prompt(R"({"message":"say x","session_id":"s-1"})", "x-session-id: s-2\r\n"))
            .status
          == 200);
  CHECK(gateway.helper.seen().context.session == "s-2");
}

TEST_CASE("a prompt streams its text, and the facts last", "[actors][gateway][prompt]") {
  open_gateway gateway;
  const auto got = fetch(gateway, post_prompt(R"({"message":"say ab\"c","stream":true})"));
  REQUIRE(got.status == 200);
  CHECK(got.headers.at("content-type") == "text/event-stream; charset=utf-8");
  REQUIRE(got.events.size() == 6);
  std::string text;
  for (std::size_t n = 0; n < 4; ++n)
    text += json::parse(got.events[n])["delta"].get<std::string>();
  CHECK(text == "ab\"c");
  const auto last = json::parse(got.events[4]);
  CHECK(last["done"] == true);
  CHECK(last["model"] == "tiny");
  CHECK(last["finish_reason"] == "stop");
  CHECK(last["usage"]["completion_tokens"] == 3);
  CHECK(last["request_id"] == got.headers.at("x-request-id"));
  CHECK(got.events[5] == "[DONE]");
  CHECK(got.whole);

  const auto cut = fetch(gateway, post_prompt(R"({"message":"cut","stream":true})"));
  CHECK(json::parse(cut.events.back())["error"]["code"] == "upstream_cut");
  CHECK(cut.whole);
}

TEST_CASE("who answers a prompt that names nobody is clear or asked for",
          "[actors][gateway][prompt]") {
  agent_script other;
  agent_script sim;
  gateway_config options;
  options.default_agent = "second";
  open_gateway several;
  open_gateway decided{options};
  several.add_agent("second", other);
  decided.add_agent("second", sim);

  const auto asked = fetch(several, post_prompt(R"({"message":"say x"})"));
  CHECK(asked.status == 400);
  CHECK(error_of(asked)["param"] == "agent");
  CHECK_THAT(error_of(asked)["message"].get<std::string>(), Contains("helper, second"));
  CHECK_THAT(error_of(asked)["message"].get<std::string>(), Contains("default_agent"));
  CHECK(json::parse(
          fetch(several, post_prompt(R"({"message":"say x","agent":"helper"})")).body)["agent"]
        == "helper");
  CHECK(json::parse(fetch(decided, post_prompt(R"({"message":"say x"})")).body)["agent"]
        == "second");

  const auto nobody = fetch(several, post_prompt(R"({"message":"say x","agent":"none"})"));
  CHECK(nobody.status == 404);
  CHECK(error_of(nobody)["code"] == "model_not_found");
}

TEST_CASE("a provider's model answers a prompt without an agent", "[actors][gateway][prompt]") {
  agent_script sim;
  open_gateway gateway;
  gateway.add_provider("sim", sim);
  const auto got = fetch(gateway, post_prompt(R"({"message":"say x","model":"sim/big"})"));
  REQUIRE(got.status == 200);
  CHECK(json::parse(got.body)["agent"].is_null());
  CHECK(sim.seen().request.model == "big");
}

TEST_CASE("a prompt's failures are the API's usual errors", "[actors][gateway][prompt]") {
  gateway_config options;
  options.keys.push_back({config::secret{"KEY", "sk-1"}, "t"});
  open_gateway gateway{options};
  const std::string key = "authorization: Bearer sk-1\r\n";
  CHECK(fetch(gateway, post_prompt(R"({"message":"say x"})")).status == 401);
  const auto failed = fetch(gateway, post_prompt(R"({"message":"fail 1"})", key));
  CHECK(failed.status >= 400);
  CHECK(error_of(failed).size() == 4);
  CHECK(
    fetch(gateway, "GET /api/v1/agent/prompt HTTP/1.1\r\nhost: localhost\r\n" + key + "\r\n").status
    == 405);
}
