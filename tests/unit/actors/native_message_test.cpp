#include "apis/anthropic/messages_stream.hpp"
#include "apis/anthropic/native_message.hpp"
#include "apis/chat/answer.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>

using namespace skep;
using namespace skep::actors;
using json_tree = nlohmann::json;

namespace {

/// What Anthropic's API sends, members included that nobody here knows.
const std::string sample
  = R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[)"
    R"({"type":"thinking","thinking":"let me see","signature":"c2ln"},)"
    R"({"type":"text","text":"One.","citations":[{"type":"page","n":1.50}]},)"
    R"({"type":"web_search_tool_result","tool_use_id":"s1","content":[{"url":"u"}]},)"
    R"({"type":"text","text":"Two \u00fc."},)"
    R"({"type":"tool_use","id":"t1","name":"add","input":{"b":2,"a":1e2}}],)"
    R"("stop_reason":"tool_use","stop_sequence":null,"stop_details":null,)"
    R"("usage":{"input_tokens":3,"output_tokens":9,"inference_geo":"global"}})";

std::string frames_of(std::initializer_list<const char*> events) {
  std::string all;
  for (const auto* each : events)
    all += messages_event(json_tree::parse(each)["type"].get<std::string>(), each);
  return all;
}

const std::string start = R"({"type":"message_start","message":{"id":"msg_1","type":"message",)"
                          R"("role":"assistant","content":[],"stop_reason":null,"future":[1],)"
                          R"("usage":{"input_tokens":3,"output_tokens":1}}})";

std::optional<std::string> message_of(const std::string& frames) {
  message_builder builder;
  builder.add(frames);
  return builder.message();
}

} // namespace

TEST_CASE("a message becomes events and those become the same message", "[messages][native]") {
  const auto events = message_events(sample);
  const auto back = message_of(events);
  REQUIRE(back);
  CHECK(json_tree::parse(*back) == json_tree::parse(sample));
  CHECK(back->find(R"("n":1.50)") != std::string::npos); // Numbers keep their spelling.
  CHECK(events.find(R"("partial_json":"{\"b\":2,\"a\":1e2}")") != std::string::npos);
}

TEST_CASE("a message is put together as Anthropic's own clients do it", "[messages][native]") {
  const auto made = message_of(frames_of(
    {start.c_str(), R"({"type":"ping"})",
     R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}})",
     R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}})",
     R"({"type":"content_block_delta","index":0,"delta":{"type":"citations_delta",)"
     R"("citation":{"n":1}}})",
     R"({"type":"content_block_stop","index":0})",
     R"({"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t",)"
     R"("name":"f","input":{}}})",
     R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
     R"("partial_json":"{\"x\""}})",
     R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
     R"("partial_json":":1}"}})",
     R"({"type":"content_block_start","index":2,"content_block":{"type":"compaction",)"
     R"("content":""}})",
     R"({"type":"content_block_delta","index":2,"delta":{"type":"compaction_delta",)"
     R"("content":"sum"}})",
     R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}})",
     R"({"type":"message_stop"})"}));
  REQUIRE(made);
  const auto read = json_tree::parse(*made);
  CHECK(read["content"][0]
        == json_tree::parse(R"({"type":"text","text":"ab","citations":[{"n":1}]})"));
  CHECK(read["content"][1]["input"] == json_tree::parse(R"({"x":1})"));
  CHECK(read["content"][2]["content"] == "sum");
  CHECK(read["stop_reason"] == "tool_use");
  CHECK(read["usage"] == json_tree::parse(R"({"input_tokens":3,"output_tokens":7})"));
  CHECK(read["future"] == json_tree::parse("[1]"));
}

TEST_CASE("a tool's input that was cut is kept as text", "[messages][native]") {
  const auto made = message_of(frames_of(
    {start.c_str(),
     R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t",)"
     R"("name":"f","input":{}}})",
     R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",)"
     R"("partial_json":"{\"x"}})"}));
  REQUIRE(made);
  CHECK(json_tree::parse(*made)["content"][0]["input"] == "{\"x");
}

TEST_CASE("events without a beginning are no message", "[messages][native]") {
  CHECK_FALSE(message_of(frames_of({R"({"type":"ping"})"})));
  CHECK_FALSE(message_of(""));
}

TEST_CASE("only the id changes when a message gets another one", "[messages][native]") {
  const auto events = frames_of({start.c_str(), R"({"type":"ping"})"});
  CHECK(with_message_id(events, "msg_1") == events);
  auto wanted = events;
  wanted.replace(wanted.find("msg_1"), 5, "msg_other");
  CHECK(with_message_id(events, "msg_other") == wanted);
}

TEST_CASE("a stream that is collected keeps the message it amounts to", "[messages][native]") {
  const auto api = static_cast<std::uint8_t>(msg::native_api::messages);
  const auto block = frames_of(
    {R"({"type":"content_block_start","index":0,"content_block":{"type":"x","n":1.50}})"});
  answer_builder builder{1 << 20};
  builder.open({"msg_1", 0, "claude", {}, {}, {api, frames_of({start.c_str()})}});
  builder.add({0, "he", {}, {}, {}, {}, {api, block}});
  builder.add({0, {}, {}, {}, {}, {}, {api, frames_of({R"({"type":"ping"})"})}});
  builder.add({0, "y", {}, "stop", {}, {}, {api, {}}});
  auto reply = builder.finish({});
  REQUIRE(reply);
  CHECK(builder.bytes() == 0);
  CHECK(reply->choices.front().content == "hey");
  const auto kept = reply->native.text;
  CHECK(kept.find(R"("content":[{"type":"x","n":1.50}])") != std::string::npos);
  answer_player player{std::move(*reply)};
  CHECK(player.open().native == msg::native_text{api, {}});
  std::string text;
  std::string native;
  while (const auto piece = player.next()) {
    text += piece->content;
    native += piece->native.text;
  }
  CHECK(text == "hey");
  CHECK(native == kept);
}
