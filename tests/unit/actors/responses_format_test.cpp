#include "apis/openai/responses_format.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/openai_members.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

const response_head some_head{"resp_ab", 1'700'000'000, "helper",
                              R"({"instructions":null,"store":true})"};

/// The events of some frames, each checked for its form and its number.
std::vector<json> events_of(const std::string& frames, std::uint64_t first = 0) {
  std::vector<json> all;
  // Streams end in [DONE], once.
  const std::string done = "data: [DONE]\n\n";
  REQUIRE(frames.find(done) == frames.size() - done.size());
  const auto events_end = frames.size() - done.size();
  for (std::size_t at = 0; at < events_end;) {
    const auto end = frames.find("\n\n", at);
    REQUIRE(end != std::string::npos);
    const auto frame = frames.substr(at, end - at);
    const auto line = frame.find('\n');
    REQUIRE(frame.starts_with("event: "));
    REQUIRE(frame.substr(line + 1).starts_with("data: "));
    auto data = json::parse(frame.substr(line + 7));
    CHECK(frame.substr(7, line - 7) == data["type"]);
    CHECK(data["sequence_number"] == first + all.size());
    all.push_back(std::move(data));
    at = end + 2;
  }
  return all;
}

std::vector<std::string> types_of(const std::vector<json>& events) {
  std::vector<std::string> types;
  for (const auto& each : events)
    types.push_back(each["type"].get<std::string>().substr(std::string_view{"response."}.size()));
  return types;
}

msg::token_usage some_usage() {
  msg::token_usage usage;
  usage.prompt = 10;
  usage.completion = 5;
  usage.cached_prompt = 4;
  usage.rest = R"({"completion_tokens_details":{"reasoning_tokens":3}})";
  return usage;
}

msg::chat_chunk text(const std::string& content) {
  return {0, content, {}, {}, {}};
}
msg::chat_chunk delta(const std::string& rest) {
  return test::piece_of(rest);
}
msg::chat_chunk finish(const std::string& reason) {
  return {0, {}, {}, reason, {}};
}

/// All events of an answer in these pieces.
std::vector<json> stream(const std::vector<msg::chat_chunk>& pieces) {
  const auto format = responses_format(some_head);
  auto frames = format->open({"chatcmpl-1", 1, "gpt", {}, {}});
  for (const auto& piece : pieces)
    frames += format->chunk(piece);
  frames += format->end(some_usage());
  return events_of(frames);
}

} // namespace

TEST_CASE("a text streams in the order the official client expects", "[responses][format]") {
  const auto events = stream({text("Hel"), text("lo"), finish("stop")});
  CHECK(types_of(events)
        == std::vector<std::string>{"created", "in_progress", "output_item.added",
                                    "content_part.added", "output_text.delta", "output_text.delta",
                                    "output_text.done", "content_part.done", "output_item.done",
                                    "completed"});
  CHECK(events[0]["response"]["status"] == "in_progress");
  CHECK(events[0]["response"]["output"] == json::array());
  CHECK(events[0]["response"]["usage"].is_null());
  CHECK(events[0]["response"]["model"] == "gpt");
  CHECK(events[2]["item"] == json::parse(R"({"id":"msg_ab0","type":"message","role":"assistant",
    "content":[],"status":"in_progress"})"));
  CHECK(events[3]["part"]
        == json::parse(R"({"type":"output_text","text":"","annotations":[],"logprobs":[]})"));
  CHECK(events[5]["delta"] == "lo");
  CHECK(events[5]["item_id"] == "msg_ab0");
  CHECK(events[5]["output_index"] == 0);
  CHECK(events[5]["content_index"] == 0);
  CHECK(events[6]["text"] == "Hello");
  CHECK(events[8]["item"]["status"] == "completed");
  const auto& response = events.back()["response"];
  CHECK(response["status"] == "completed");
  CHECK(response["output"][0] == events[8]["item"]);
  CHECK(response["usage"] == json::parse(R"({"input_tokens":10,"input_tokens_details":
    {"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},
    "total_tokens":15})"));
  CHECK(response["id"] == "resp_ab");
  CHECK(response["store"] == true);
  CHECK(response["completed_at"].get<std::int64_t>() >= response["created_at"].get<std::int64_t>());
  CHECK(events[0]["response"]["completed_at"].is_null());
  CHECK(response["error"].is_null());
  CHECK(response["incomplete_details"].is_null());
}

TEST_CASE("reasoning, text and calls are items of their own", "[responses][format]") {
  const auto events = stream({
    delta(
      R"({"reasoning_content":"h",
          "thinking_blocks":[{"index":0,"type":"thinking","thinking":"h"}]})"),
    delta(
      R"({"reasoning_content":"m",
          "thinking_blocks":[{"index":0,"type":"thinking","thinking":"m"}]})"),
    delta(R"({"thinking_blocks":[{"index":0,"type":"thinking","signature":"s"}]})"),
    text("I look."),
    delta(
      R"({"tool_calls":[{"index":0,"id":"c1","type":"function",
          "function":{"name":"f","arguments":""}}]})"),
    delta(
      R"({"tool_calls":[{"index":1,"id":"c2","type":"function",
          "function":{"name":"g","arguments":"{}"}}]})"),
    delta(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]})"),
    finish("tool_calls"),
  });
  CHECK(types_of(events)
        == std::vector<std::string>{"created",
                                    "in_progress",
                                    "output_item.added",
                                    "content_part.added",
                                    "reasoning_text.delta",
                                    "reasoning_text.delta",
                                    "reasoning_text.done",
                                    "content_part.done",
                                    "output_item.done",
                                    "output_item.added",
                                    "content_part.added",
                                    "output_text.delta",
                                    "output_text.done",
                                    "content_part.done",
                                    "output_item.done",
                                    "output_item.added",
                                    "output_item.added",
                                    "function_call_arguments.delta",
                                    "function_call_arguments.delta",
                                    "function_call_arguments.done",
                                    "output_item.done",
                                    "function_call_arguments.done",
                                    "output_item.done",
                                    "completed"});
  const auto& output = events.back()["response"]["output"];
  REQUIRE(output.size() == 4);
  CHECK(output[0]["type"] == "reasoning");
  CHECK(output[0]["summary"] == json::array());
  CHECK(output[0]["content"] == json::parse(R"([{"type":"reasoning_text","text":"hm"}])"));
  CHECK(json::parse(output[0]["encrypted_content"].get<std::string>())
        == json::parse(R"([{"type":"thinking","thinking":"hm","signature":"s"}])"));
  CHECK(output[1]["content"][0]["text"] == "I look.");
  CHECK(output[2] == json::parse(R"({"id":"fc_ab2","type":"function_call","call_id":"c1","name":"f",
    "arguments":"{\"a\":1}","status":"completed"})"));
  CHECK(output[3]["call_id"] == "c2");
  CHECK(output[3]["arguments"] == "{}");
}

TEST_CASE("text behind a call is a message of its own", "[responses][format]") {
  const auto events = stream({text("a"), delta(R"({"tool_calls":[{"index":0,"id":"c",
    "function":{"name":"f","arguments":"{}"}}]})"),
                              text("b"), finish("stop")});
  const auto& output = events.back()["response"]["output"];
  REQUIRE(output.size() == 3);
  CHECK(output[0]["content"][0]["text"] == "a");
  CHECK(output[1]["type"] == "function_call");
  CHECK(output[2]["content"][0]["text"] == "b");
  CHECK(output[2]["id"] != output[0]["id"]);
}

TEST_CASE("a call without arguments has an empty object of them", "[responses][format]") {
  const auto events = stream({delta(R"({"tool_calls":[{"index":0,"id":"c","type":"function",
    "function":{"name":"f","arguments":""}}]})"),
                              finish("tool_calls")});
  CHECK(types_of(events)
        == std::vector<std::string>{"created", "in_progress", "output_item.added",
                                    "function_call_arguments.delta", "function_call_arguments.done",
                                    "output_item.done", "completed"});
  CHECK(events.back()["response"]["output"][0]["arguments"] == "{}");
}

TEST_CASE("an answer that was cut short is incomplete", "[responses][format]") {
  const auto length = stream({text("a"), finish("length")});
  CHECK(length.back()["type"] == "response.incomplete");
  CHECK(length.back()["response"]["status"] == "incomplete");
  CHECK(length.back()["response"]["incomplete_details"]["reason"] == "max_output_tokens");
  CHECK(length.back()["response"]["output"][0]["status"] == "incomplete");
  const auto filtered = stream({finish("content_filter")});
  CHECK(filtered.back()["response"]["incomplete_details"]["reason"] == "content_filter");
}

TEST_CASE("a refusal is a part of its own, and an empty answer has an empty text",
          "[responses][format]") {
  const auto events = stream(
    {text("well"), delta(R"({"refusal":"no"})"), delta(R"({"refusal":"pe"})"), finish("stop")});
  const auto& content = events.back()["response"]["output"][0]["content"];
  REQUIRE(content.size() == 2);
  CHECK(content[1] == json::parse(R"({"type":"refusal","refusal":"nope"})"));
  const auto empty = stream({finish("stop")});
  CHECK(empty.back()["response"]["output"][0]["content"][0]["text"] == "");
}

TEST_CASE("log probabilities stand in deltas and parts", "[responses][format]") {
  auto piece = text("a");
  piece.rest = R"({"logprobs":{"content":[{"token":"a","logprob":-1,"top_logprobs":[]}]}})";
  const auto events = stream({piece, piece, finish("stop")});
  CHECK(events[4]["logprobs"].size() == 1);
  // What the API promises as lists are lists.
  CHECK(events[4]["logprobs"][0]["bytes"] == json::array({97}));
  CHECK(events[6]["logprobs"].size() == 2);
  CHECK(events.back()["response"]["output"][0]["content"][0]["logprobs"].size() == 2);
}

TEST_CASE("a whole answer and a streamed one are the same response", "[responses][format]") {
  msg::chat_reply reply;
  reply.model = "gpt";
  reply.usage = some_usage();
  reply.choices.emplace_back();
  reply.choices[0].content = "I look.";
  reply.choices[0].finish_reason = "tool_calls";
  test::take_members(reply.choices[0], R"({"reasoning_content":"hm",
    "thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},
                       {"type":"redacted_thinking","data":"x"}],
    "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
                  {"id":"c2","type":"function","function":{"name":"g","arguments":"[]"}}]})");
  reply.choices.emplace_back();
  reply.choices[1].index = 1;
  reply.choices[1].content = "another choice";
  const auto whole = json::parse(responses_format(some_head)->whole(reply));
  const auto streamed = stream({
    delta(R"({"reasoning_content":"hm"})"),
    delta(R"({"thinking_blocks":[{"index":0,"type":"thinking","thinking":"hm"}]})"),
    delta(R"({"thinking_blocks":[{"index":0,"type":"thinking","signature":"s"}]})"),
    delta(R"({"thinking_blocks":[{"index":1,"type":"redacted_thinking","data":"x"}]})"),
    text("I look."),
    delta(R"({"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]})"),
    delta(R"({"tool_calls":[{"index":1,"id":"c2","function":{"name":"g","arguments":"[]"}}]})"),
    finish("tool_calls"),
  });
  CHECK(whole == streamed.back()["response"]);
  CHECK(whole["output"].size() == 4);
}

TEST_CASE("an answer of which nobody said how it ended has ended by itself",
          "[responses][format]") {
  msg::chat_reply reply;
  reply.model = "gpt";
  reply.choices.emplace_back();
  reply.choices[0].content = "hey";
  const auto whole = json::parse(responses_format(some_head)->whole(reply));
  CHECK(whole["status"] == "completed");
  CHECK(whole["incomplete_details"].is_null());
  CHECK(whole["output"][0]["status"] == "completed");
}

TEST_CASE("a failure in the middle ends in error and response.failed", "[responses][format]") {
  const auto format = responses_format(some_head);
  auto frames = format->open({"chatcmpl-1", 1, "gpt", {}, {}});
  frames += format->chunk(text("a"));
  frames += format->failed(failure{errc::rate_limited, "slow down"}, {});
  const auto events = events_of(frames);
  const auto& error = events[events.size() - 2];
  CHECK(error["type"] == "error");
  CHECK(error["message"] == "slow down");
  CHECK(error["code"] == "rate_limit_exceeded");
  CHECK(error["param"].is_null());
  // The official clients throw on an event with an error object.
  CHECK(error["error"]["message"] == "slow down");
  CHECK(error["error"]["type"] == "too_many_requests");
  CHECK(error["error"]["code"] == "rate_limit_exceeded");
  CHECK(error["error"]["param"].is_null());
  const auto& failed = events.back();
  CHECK(failed["type"] == "response.failed");
  CHECK(failed["response"]["status"] == "failed");
  CHECK(failed["response"]["error"]["message"] == "slow down");
  CHECK(failed["response"]["output"][0]["status"] == "incomplete");
}

namespace {

/// As stream(), with rules of a request.
std::vector<json> stream_by(response_rules rules, const std::vector<msg::chat_chunk>& pieces) {
  auto head = some_head;
  head.rules = std::move(rules);
  const auto format = responses_format(std::move(head));
  auto frames = format->open({"chatcmpl-1", 1, "gpt", R"({"service_tier":"flex"})", {}});
  for (const auto& piece : pieces)
    frames += format->chunk(piece);
  return events_of(frames + format->end(some_usage()));
}

msg::chat_chunk calls(std::vector<msg::tool_call> pieces) {
  return {0, {}, {}, {}, {}, std::move(pieces)};
}

} // namespace

TEST_CASE("a call of a tool that is not allowed is left out", "[responses][format]") {
  response_rules rules;
  rules.allowed = {"a"};
  const auto events = stream_by(
    rules, {calls({{0, "c0", "function", "", "", {}}}), calls({{0, "", "", "b", "{}", {}}}),
            calls({{1, "c1", "function", "", "{", {}}}), calls({{1, "", "", "a", "", {}}}),
            calls({{1, "", "", "", "}", {}}}), finish("tool_calls")});
  CHECK(types_of(events)
        == std::vector<std::string>{"created", "in_progress", "output_item.added",
                                    "function_call_arguments.delta",
                                    "function_call_arguments.delta", "function_call_arguments.done",
                                    "output_item.done", "completed"});
  const auto& output = events.back()["response"]["output"];
  REQUIRE(output.size() == 1);
  CHECK(output[0]["name"] == "a");
  CHECK(output[0]["arguments"] == "{}");
}

TEST_CASE("the tier that served the answer is told", "[responses][format]") {
  const auto events = stream_by({}, {text("a")});
  CHECK(events[0]["response"]["service_tier"] == "flex");
  CHECK(events.back()["response"]["service_tier"] == "flex");
}

TEST_CASE("a call of a function in a namespace gets its names back", "[responses][format]") {
  response_rules rules;
  rules.spaced["team__ask"] = {"team", "ask"};
  const auto events = stream_by(rules, {calls({{0, "c", "function", "team__ask", "{}", {}}})});
  const auto& call = events.back()["response"]["output"][0];
  CHECK(call["namespace"] == "team");
  CHECK(call["name"] == "ask");
}

TEST_CASE("a call of a custom tool is an item with input", "[responses][format]") {
  const auto events = stream_by({}, {calls({{0, "c", "custom", "patch", "*** Begin", {}}})});
  CHECK(types_of(events)
        == std::vector<std::string>{"created", "in_progress", "output_item.added",
                                    "custom_tool_call_input.delta", "custom_tool_call_input.done",
                                    "output_item.done", "completed"});
  const auto& call = events.back()["response"]["output"][0];
  CHECK(call["type"] == "custom_tool_call");
  CHECK(call["input"] == "*** Begin");
}

TEST_CASE("reasoning is told as a summary where one was asked for", "[responses][format]") {
  response_rules rules;
  rules.summary = true;
  const auto events
    = stream_by(rules, {delta(R"({"reasoning_content":"hm"})"), text("a"), finish("stop")});
  CHECK(types_of(events)[3] == "reasoning_summary_part.added");
  CHECK(types_of(events)[4] == "reasoning_summary_text.delta");
  CHECK(types_of(events)[5] == "reasoning_summary_text.done");
  CHECK(types_of(events)[6] == "reasoning_summary_part.done");
  CHECK(events[4]["summary_index"] == 0);
  const auto& item = events.back()["response"]["output"][0];
  CHECK(item["summary"] == json::parse(R"([{"type":"summary_text","text":"hm"}])"));
  CHECK(item["content"] == json::array());
}
