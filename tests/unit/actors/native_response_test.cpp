#include "apis/chat/answer.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/native_response.hpp"
#include "apis/openai/responses_play.hpp"
#include "runtime/json/object.hpp"
#include "tests/support/catch.hpp"

#include <string>
#include <vector>

using namespace skep;
using namespace skep::actors;

namespace {

const std::string whole
  = R"({"id":"resp_up","object":"response","created_at":1700000000.0,"status":"completed",)"
    R"("model":"m-1","previous_response_id":"resp_before","output":[)"
    R"({"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},)"
    R"({"id":"ws_1","type":"web_search_call","status":"completed"},)"
    R"({"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[)"
    R"({"type":"output_text","text":"It is.","annotations":[{"type":"url_citation"}]}]},)"
    R"({"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"f",)"
    R"("arguments":"{\"a\":1}"}],"usage":{"input_tokens":11,"input_tokens_details":)"
    R"({"cached_tokens":3},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2},)"
    R"("total_tokens":18}})";

/// What a stream of these events was read as, up to the first that is no event, or an error.
struct reading {
  std::vector<msg::chat_chunk> chunks;
  std::optional<provider_error> error;
  std::optional<msg::token_usage> usage;
  bool last = false;
  bool malformed = false;
};

reading read_all(const std::vector<std::string>& events) {
  response_reader reader;
  reading all;
  for (const auto& each : events) {
    auto event = reader.read(each);
    if (!event) {
      all.malformed = true;
      return all;
    }
    for (auto& piece : event->chunks)
      all.chunks.push_back(std::move(piece));
    if (event->usage)
      all.usage = event->usage;
    if (event->error) {
      all.error = event->error;
      return all;
    }
    all.last = all.last || event->last;
  }
  return all;
}

std::string text_of(const reading& read) {
  std::string text;
  for (const auto& piece : read.chunks)
    text += piece.content;
  return text;
}

/// The data of each frame.
std::vector<std::string> events_in(const std::string& frames) {
  std::vector<std::string> all;
  for (native_frames each{frames}; each.next();)
    all.emplace_back(each.data());
  return all;
}

std::string in_response(const char* type, const std::string& response) {
  return std::string{R"({"type":")"} + type + R"(","response":)" + response + "}";
}

} // namespace

TEST_CASE("a whole response is read as a chat's answer", "[responses][native]") {
  const auto reply = read_response(whole);
  REQUIRE(reply);
  CHECK(reply->id == "resp_up");
  CHECK(reply->created == 1'700'000'000);
  REQUIRE(reply->choices.size() == 1);
  const auto& said = reply->choices.front();
  CHECK(said.content == "It is.");
  CHECK(said.message_rest == R"({"reasoning_content":"hm"})");
  CHECK(said.finish_reason == "tool_calls");
  REQUIRE(said.tool_calls.size() == 1);
  CHECK(said.tool_calls.front().id == "call_1");
  CHECK(said.tool_calls.front().arguments == R"({"a":1})");
  CHECK(reply->usage.prompt == 11);
  CHECK(reply->usage.cached_prompt == 3);
  CHECK(reply->usage.rest
        == R"({"completion_tokens_details":{"reasoning_tokens":2},"total_tokens":18})");
}

TEST_CASE("how a response ended is the chat's finish reason", "[responses][native]") {
  const auto finish = [](const char* status, const char* details) {
    const auto text = std::string{R"({"id":"r","output":[],"status":")"} + status
                      + R"(","incomplete_details":)" + details + "}";
    return read_response(text)->choices.front().finish_reason;
  };
  CHECK(finish("completed", "null") == "stop");
  CHECK(finish("incomplete", R"({"reason":"max_output_tokens"})") == "length");
  CHECK(finish("incomplete", R"({"reason":"content_filter"})") == "content_filter");
  CHECK_FALSE(read_response(R"({"id":"r","output":[],"status":"failed","error":{"message":"x"}})"));
  CHECK_FALSE(read_response(R"({"id":"r","choices":[]})"));
  CHECK_FALSE(read_response("[]"));
}

TEST_CASE("the events of a response are read in pieces", "[responses][native]") {
  const auto read = read_all({
    in_response("response.created", R"({"id":"r","model":"m"})"),
    R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call",)"
    R"("id":"fc","call_id":"c1","name":"f","arguments":""}})",
    R"({"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\""})",
    R"({"type":"response.function_call_arguments.delta","output_index":0,"delta":":1}"})",
    R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call",)"
    R"("call_id":"c1","name":"f","arguments":"{\"a\":1}"}})",
    R"({"type":"response.odd.event","of":["the",{"future":1}]})",
    R"({"type":"response.output_text.delta","output_index":1,"delta":"Hi"})",
    in_response("response.completed", R"({"id":"r","status":"completed","output":[],)"
                                      R"("usage":{"input_tokens":1,"output_tokens":2}})"),
  });
  CHECK(text_of(read) == "Hi");
  std::string arguments;
  for (const auto& piece : read.chunks)
    for (const auto& call : piece.tool_calls) {
      CHECK(call.index == 0);
      arguments += call.arguments;
    }
  CHECK(arguments == R"({"a":1})");
  CHECK(read.chunks.back().finish_reason == "tool_calls");
  CHECK(read.usage->completion == 2);
  CHECK(read.last);
}

TEST_CASE("servers that tell a call or a text only when it is done are understood",
          "[responses][native]") {
  const auto read = read_all({
    R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call",)"
    R"("call_id":"c1","name":"f","arguments":"{}"}})",
    in_response("response.completed", whole),
  });
  REQUIRE(read.chunks.size() == 2);
  CHECK(read.chunks.front().tool_calls.front().arguments == "{}");
  CHECK(read.chunks.front().tool_calls.front().name == "f");
  CHECK(text_of(read) == "It is.");
}

TEST_CASE("a response that fails says why, whichever way it is told", "[responses][native]") {
  for (
    const auto* event :
    {R"({"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null})",
     R"({"type":"error","error":{"type":"x","code":"rate_limit_exceeded","message":"slow down"}})",
     R"({"type":"response.failed","response":{"id":"r","status":"failed","error":)"
     R"({"code":"rate_limit_exceeded","message":"slow down"}}})"}) {
    const auto read = read_all({event});
    REQUIRE(read.error);
    CHECK(read.error->code == "rate_limit_exceeded");
    CHECK(read.error->message == "slow down");
  }
  CHECK(read_all({R"({"error":{"message":"m","type":"rate_limit_error","code":429}})"}).error);
  CHECK(read_all({R"({"type":"response.completed","response":5})"}).error);
  CHECK(read_all({R"({"type":"response.completed","response":{"status":"completed"}})"}).error);
  CHECK_FALSE(read_all({"{}"}).malformed); // A keep-alive.
  CHECK(read_all({"5"}).malformed);
  CHECK(read_all({R"({"type":"response.output_text.delta")"}).malformed);
}

TEST_CASE("a response goes out under our name, and all else keeps its bytes",
          "[responses][native]") {
  const response_names names{"resp_ours", "resp_asked"};
  auto expected = whole;
  expected.replace(expected.find("resp_up"), 7, "resp_ours");
  expected.replace(expected.find("resp_before"), 11, "resp_asked");
  CHECK(with_names(whole, names) == expected);
  const auto frames = native_frame("response.created", in_response("response.created", whole))
                      + native_frame("", R"({"type": "response.x", "a":1.0})");
  CHECK(response_frames(frames, names)
        == native_frame("response.created", in_response("response.created", expected))
             + native_frame("", R"({"type": "response.x", "a":1.0})"));
  CHECK(response_in(frames).empty());
  CHECK(response_in(frames + native_frame("e", in_response("response.completed", whole))) == whole);
}

TEST_CASE("what is played of a whole response is read as the same answer", "[responses][native]") {
  const auto events = events_in(play_response(whole));
  const auto read = read_all(events);
  CHECK(text_of(read) == "It is.");
  CHECK(read.last);
  CHECK(read.chunks.back().finish_reason == "tool_calls");
  CHECK(json::object{events.back()}.at("response") == whole);
  CHECK(json::object{json::object{events.front()}.at("response")}.at("output") == "[]");
  // Numbered without a gap.
  for (std::size_t n = 0; n < events.size(); ++n)
    CHECK(json::object{events[n]}.count("sequence_number") == n);
}

TEST_CASE("a streamed response is put together to the whole one", "[responses][native]") {
  answer_builder builder{1 << 20};
  msg::chat_open begin;
  begin.native = {3, native_frame("", in_response("response.created", R"({"id":"resp_up"})"))};
  builder.open(begin);
  msg::chat_chunk piece;
  piece.content = "It is.";
  piece.finish_reason = "stop";
  piece.native = {3, native_frame("", in_response("response.completed", whole))};
  builder.add(piece);
  const auto reply = builder.finish({});
  REQUIRE(reply);
  CHECK(reply->native.is(msg::native_api::responses));
  CHECK(reply->native.text == whole);
}
