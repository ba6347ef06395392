#include "cli/simulate/service.hpp"
#include "runtime/net/sse_parser.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::cli::simulate;
using nlohmann::json;

namespace {

constexpr time_point start{100h};

net::http_request request_of(std::string method, std::string path, const std::string& body = {}) {
  net::http_request made;
  made.method = std::move(method);
  made.path = std::move(path);
  made.headers.add("anthropic-version", "2023-06-01");
  made.body = body;
  return made;
}

std::string path_of(dialect spoken) {
  return spoken == dialect::openai ? "/v1/chat/completions" : "/v1/messages";
}

service_reply ask(service& room, dialect spoken, json body) {
  return room.answer(request_of("POST", path_of(spoken), body.dump()), start);
}

json question(const std::string& text, bool stream = false) {
  return {{"model", "small"},
          {"max_tokens", 2'000},
          {"stream", stream},
          {"messages", {{{"role", "user"}, {"content", text}}}}};
}

std::string bytes_of(const script& what) {
  std::string all;
  for (const auto& each : what.pieces)
    all += each.bytes;
  return all;
}

json body_of(const service_reply& reply) {
  return json::parse(bytes_of(reply.what), nullptr, false);
}

/// The data of a stream's events; what is no JSON is kept as text.
std::vector<json> events_of(const service_reply& reply) {
  std::vector<json> all;
  net::sse_parser parser;
  const auto done = parser.push(bytes_of(reply.what), [&all](const net::sse_event& event) {
    auto data = json::parse(event.data, nullptr, false);
    all.push_back(data.is_discarded() ? json(event.data) : data);
  });
  CHECK(done);
  return all;
}

std::string openai_text(const std::vector<json>& events) {
  std::string text;
  for (const auto& event : events)
    if (event.is_object() && !event["choices"].empty())
      text += event["choices"][0]["delta"].value("content", "");
  return text;
}

std::string anthropic_text(const std::vector<json>& events) {
  std::string text;
  for (const auto& event : events)
    if (event["type"] == "content_block_delta")
      text += event["delta"].value("text", "");
  return text;
}

plan faulty(fault_mode mode) {
  plan made;
  made.phases.emplace_back().mode = mode;
  made.upstream.huge = 1 << 20;
  return made;
}

json weather_tool(dialect spoken) {
  const json schema{
    {"type", "object"},
    {"properties", {{"city", {{"type", "string"}}}, {"days", {{"type", "integer"}}}}},
    {"required", {"city", "days"}}};
  if (spoken == dialect::anthropic)
    return {{"name", "get_weather"}, {"input_schema", schema}};
  return {{"type", "function"}, {"function", {{"name", "get_weather"}, {"parameters", schema}}}};
}

} // namespace

TEST_CASE("the same question gets the same answer, whole and streamed, and says it is simulated",
          "[cli][simulate]") {
  service room{plan{}};
  const auto whole = body_of(ask(room, dialect::openai, question("why?")));
  const auto text = whole["choices"][0]["message"]["content"].get<std::string>();
  CHECK(text.starts_with("[simulated] "));
  const auto streamed = ask(room, dialect::openai, question("why?", true));
  const auto events = events_of(streamed);
  CHECK(openai_text(events) == text);
  CHECK(events.back() == "[DONE]");
  const auto message = body_of(ask(room, dialect::anthropic, question("why?")));
  CHECK(anthropic_text(events_of(ask(room, dialect::anthropic, question("why?", true))))
        == message["content"][0]["text"]);
  CHECK(body_of(ask(room, dialect::openai, question("how?")))["choices"][0]["message"]["content"]
        != text);
}

TEST_CASE("usage comes with a stream only when it is asked for", "[cli][simulate]") {
  service room{plan{}};
  auto asked = question("why?", true);
  for (const auto& event : events_of(ask(room, dialect::openai, asked)))
    CHECK((event == "[DONE]" || !event.contains("usage")));
  asked["stream_options"] = {{"include_usage", true}};
  const auto events = events_of(ask(room, dialect::openai, asked));
  CHECK(events.front()["usage"].is_null());
  const auto& last = events[events.size() - 2];
  CHECK(last["choices"].empty());
  CHECK(last["usage"]["total_tokens"].get<int>() > 20);
}

TEST_CASE("a message's events come in Anthropic's order", "[cli][simulate]") {
  service room{plan{}};
  auto asked = question("Repeat: one two", true);
  asked["thinking"] = {{"type", "enabled"}, {"budget_tokens", 1'024}};
  std::vector<std::string> types;
  for (const auto& event : events_of(ask(room, dialect::anthropic, asked)))
    if (const auto type = event["type"].get<std::string>(); types.empty() || types.back() != type)
      types.push_back(type);
  CHECK(types
        == std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                    "content_block_stop", "content_block_start", "ping",
                                    "content_block_delta", "content_block_stop", "message_delta",
                                    "message_stop"});
}

TEST_CASE("a tool is called when the prompt names it or it is forced", "[cli][simulate]") {
  service room{plan{}};
  auto asked = question("please get_weather");
  asked["tools"] = json::array({weather_tool(dialect::openai)});
  const auto whole = body_of(ask(room, dialect::openai, asked));
  CHECK(whole["choices"][0]["finish_reason"] == "tool_calls");
  const auto& call = whole["choices"][0]["message"]["tool_calls"][0];
  CHECK(json::parse(call["function"]["arguments"].get<std::string>())
        == json{{"city", "simulated"}, {"days", 1}});
  asked["tool_choice"] = "none";
  CHECK(body_of(ask(room, dialect::openai, asked))["choices"][0]["finish_reason"] == "stop");

  auto forced = question("hello");
  forced["tools"] = json::array({weather_tool(dialect::anthropic)});
  CHECK(body_of(ask(room, dialect::anthropic, forced))["stop_reason"] == "end_turn");
  forced["tool_choice"] = {{"type", "any"}};
  const auto message = body_of(ask(room, dialect::anthropic, forced));
  CHECK(message["stop_reason"] == "tool_use");
  CHECK(message["content"][0]["input"] == json{{"city", "simulated"}, {"days", 1}});
}

TEST_CASE("a tool's result is quoted, and one that answers no call is refused", "[cli][simulate]") {
  service room{plan{}};
  auto asked = question("get_weather");
  asked["messages"].push_back({{"role", "assistant"},
                               {"tool_calls",
                                {{{"id", "c1"},
                                  {"type", "function"},
                                  {"function", {{"name", "get_weather"}, {"arguments", "{}"}}}}}}});
  asked["messages"].push_back({{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "rain"}});
  CHECK(body_of(ask(room, dialect::openai, asked))["choices"][0]["message"]["content"]
        == "[simulated] The tool said: rain");
  asked["messages"][2]["tool_call_id"] = "c2";
  CHECK(ask(room, dialect::openai, asked).what.status == 400);

  auto message = question("get_weather");
  message["messages"].push_back(
    {{"role", "assistant"}, {"content", {{{"type", "tool_use"}, {"id", "t1"}}}}});
  message["messages"].push_back(
    {{"role", "user"},
     {"content", {{{"type", "tool_result"}, {"tool_use_id", "t1"}, {"content", "rain"}}}}});
  CHECK(body_of(ask(room, dialect::anthropic, message))["content"][0]["text"]
        == "[simulated] The tool said: rain");
  message["messages"][2]["content"][0]["tool_use_id"] = "t2";
  CHECK(ask(room, dialect::anthropic, message).what.status == 400);
}

TEST_CASE("limits and stop sequences end an answer as each API says it", "[cli][simulate]") {
  service room{plan{}};
  auto asked = question("Repeat: one two three four");
  asked["max_tokens"] = 2;
  CHECK(body_of(ask(room, dialect::openai, asked))["choices"][0]["finish_reason"] == "length");
  CHECK(body_of(ask(room, dialect::anthropic, asked))["stop_reason"] == "max_tokens");
  asked["max_tokens"] = 50;
  asked["stop"] = " three";
  CHECK(body_of(ask(room, dialect::openai, asked))["choices"][0]["message"]["content"]
        == "[simulated] one two");
  asked["stop_sequences"] = {" two"};
  const auto message = body_of(ask(room, dialect::anthropic, asked));
  CHECK(message["stop_reason"] == "stop_sequence");
  CHECK(message["stop_sequence"] == " two");
}

TEST_CASE("a request is refused where the API would refuse it", "[cli][simulate]") {
  plan strict;
  strict.upstream.models_only = true;
  strict.upstream.key_required = true;
  service room{strict};
  auto request = request_of("POST", "/v1/messages", question("x").dump());
  CHECK(room.answer(request, start).what.status == 401);
  request.headers.add("x-api-key", "k");
  CHECK(room.answer(request, start).what.status == 200);
  net::http_request bare = request_of("POST", "/v1/messages", question("x").dump());
  bare.headers = {{"x-api-key", "k"}};
  CHECK(room.answer(bare, start).what.status == 400); // anthropic-version is missing.
  auto none = question("x");
  none.erase("max_tokens");
  request.body = none.dump();
  CHECK(room.answer(request, start).what.status == 400);
  none["model"] = "nobody";
  none["max_tokens"] = 5;
  request.body = none.dump();
  CHECK(room.answer(request, start).what.status == 404);
  for (const auto* body :
       {"", "[]", R"({"model":"small"})", R"({"model":"small","messages":[]})"}) {
    request.body = body;
    CHECK(room.answer(request, start).what.status == 400);
  }
  CHECK(room.answer(request_of("GET", "/v1/nothing"), start).what.status == 404);
}

TEST_CASE("each fault looks as it does at the real APIs", "[cli][simulate]") {
  struct expected_error {
    fault_mode mode;
    int openai;
    std::string code;
    int anthropic;
    std::string type;
  };
  const std::vector<expected_error> all{
    {fault_mode::rate_limited, 429, "rate_limit_exceeded", 429, "rate_limit_error"},
    {fault_mode::rate_limited_tokens, 429, "rate_limit_exceeded", 429, "rate_limit_error"},
    {fault_mode::quota, 429, "insufficient_quota", 400, "invalid_request_error"},
    {fault_mode::overloaded, 503, "server_is_overloaded", 529, "overloaded_error"},
  };
  for (const auto& each : all) {
    service room{faulty(each.mode)};
    const auto one = ask(room, dialect::openai, question("x", true));
    CHECK(one.what.status == each.openai);
    CHECK(body_of(one)["error"]["code"] == each.code);
    const auto two = ask(room, dialect::anthropic, question("x", true));
    CHECK(two.what.status == each.anthropic);
    CHECK(body_of(two)["error"]["type"] == each.type);
    const bool paced = each.mode == fault_mode::rate_limited;
    CHECK(two.what.headers.contains("retry-after") == paced);
  }
}

TEST_CASE("broken answers break in the way their name says", "[cli][simulate]") {
  for (const auto spoken : {dialect::openai, dialect::anthropic}) {
    const auto met = [&](fault_mode mode, bool stream) {
      service room{faulty(mode)};
      return ask(room, spoken, question("x", stream));
    };
    for (const bool stream : {false, true}) {
      CHECK(met(fault_mode::cut, stream).what.end == finale::abort);
      CHECK(met(fault_mode::cut, stream).what.streamed);
      CHECK(met(fault_mode::cut_before, stream).what.headless);
      CHECK(met(fault_mode::stall, stream).what.end == finale::hold);
      CHECK(met(fault_mode::stall_midway, stream).what.end == finale::hold);
      CHECK(met(fault_mode::slow_loris, stream).what.trickle > 0ms);
      CHECK(bytes_of(met(fault_mode::huge_chunk, stream).what).size() > (1 << 20));
      CHECK(bytes_of(met(fault_mode::wrong_type, stream).what).starts_with("<!doctype html>"));
    }
    CHECK(body_of(met(fault_mode::wrong_json, false)).is_discarded());
    const auto last = events_of(met(fault_mode::error_in_stream, true)).back();
    CHECK(last["error"]["message"].is_string());
    CHECK(events_of(met(fault_mode::wrong_json, true)).front().is_string());
  }
}

TEST_CASE("the rate limit lets its rate pass and says when there is room again",
          "[cli][simulate]") {
  plan limited;
  limited.upstream.requests_per_s = 10;
  limited.upstream.requests_burst = 2;
  service room{limited};
  CHECK(ask(room, dialect::openai, question("x")).what.status == 200);
  CHECK(ask(room, dialect::openai, question("x")).what.status == 200);
  const auto refused = ask(room, dialect::openai, question("x"));
  CHECK(refused.what.status == 429);
  CHECK(refused.what.headers.get("retry-after") == "1");
  // Of a tenth of a second; one more for the rounding of a wait that is not quite one.
  CHECK(refused.what.headers.get("x-ratelimit-reset-requests").starts_with("10"));
  CHECK(
    room.answer(request_of("POST", "/v1/messages", question("x").dump()), start + 101ms).what.status
    == 200);
}

TEST_CASE("vectors come back one per input, packed or as numbers", "[cli][simulate]") {
  service room{plan{}};
  const auto embed = [&](json body) {
    return body_of(room.answer(request_of("POST", "/v1/embeddings", body.dump()), start));
  };
  const auto floats = embed({{"model", "e"}, {"input", {"a bee", "a hive"}}});
  CHECK(floats["data"].size() == 2);
  CHECK(floats["data"][1]["embedding"].size() == 256);
  CHECK(
    embed(
      {{"model", "e"}, {"input", "a bee"}, {"encoding_format", "base64"}})["data"][0]["embedding"]
      .is_string());
}

TEST_CASE("the control endpoint sets, shows and clears", "[cli][simulate]") {
  service room{plan{}};
  const auto control = [&](const char* method, const std::string& body = {}) {
    return room.answer(request_of(method, "/simulate/faults", body), start);
  };
  CHECK(body_of(control("POST", R"({"mode": "error_500"})"))["rules"] == 1);
  CHECK(ask(room, dialect::openai, question("x")).what.status == 500);
  const auto shown = body_of(control("GET"));
  CHECK(shown["calls"] == 1);
  CHECK(shown["by_mode"]["error_500"] == 1);
  CHECK(control("POST", R"({"mode": "down"})").what.status == 400);
  CHECK(control("POST", "nonsense").what.status == 400);
  CHECK(control("PUT").what.status == 405);
  CHECK(body_of(control("DELETE"))["rules"] == 0);
  CHECK(ask(room, dialect::anthropic, question("again")).what.status == 200);
  for (int n = 0; n < 40; ++n)
    ask(room, dialect::openai, question("more"));
  const auto calls = body_of(room.answer(request_of("GET", "/simulate/calls"), start))["calls"];
  CHECK(calls.size() == 32); // No more are kept.
  CHECK(calls.back()["body"]["messages"][0]["content"] == "more");
}
