#include "actors/provider/answer_stream.hpp"
#include "apis/anthropic/client_answer.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;
using phase = answer_stream::phase;

namespace {

msg::chat_reply reply_of(const std::string& content, const std::string& more = {}) {
  const auto read = read_messages_reply(
    R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":)" + content
    + (more.empty() ? R"(,"stop_reason":"end_turn","stop_sequence":null)" : "," + more) + "}");
  REQUIRE(read);
  REQUIRE(read->choices.size() == 1);
  return *read;
}

struct messages_stream : answer_stream {
  messages_stream() : answer_stream(make()) {}
  static std::unique_ptr<event_reader> make() {
    auto options = std::make_shared<provider_config>();
    options->kind = provider_kind::anthropic;
    return dialect_of(options, {}, {})->codec_for({}).read_stream();
  }
};

std::string event(const std::string& type, const std::string& members = {}) {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\""
         + (members.empty() ? "" : "," + members) + "}\n\n";
}

const std::string begin_line
  = event("message_start", R"("message":{"id":"msg_1","type":"message","role":"assistant",)"
                           R"("content":[],"model":"claude","stop_reason":null,)"
                           R"("usage":{"input_tokens":10,"cache_read_input_tokens":5,)"
                           R"("cache_creation_input_tokens":2,"output_tokens":1}})");

std::string begin_block(int index, const std::string& block) {
  return event("content_block_start",
               "\"index\":" + std::to_string(index) + R"(,"content_block":)" + block);
}
std::string delta(int index, const std::string& piece) {
  return event("content_block_delta",
               "\"index\":" + std::to_string(index) + R"(,"delta":)" + piece);
}
std::string end_block(int index) {
  return event("content_block_stop", "\"index\":" + std::to_string(index));
}
std::string text_piece(const std::string& text) {
  return delta(0, R"({"type":"text_delta","text":")" + text + "\"}");
}
std::string stop(const std::string& reason = "end_turn") {
  return event("message_delta", R"("delta":{"stop_reason":")" + reason
                                  + R"(","stop_sequence":null},"usage":{"output_tokens":9})")
         + event("message_stop");
}

const std::string text_block = R"({"type":"text","text":""})";

/// All that waits: texts joined, and the other members of the deltas one by one.
struct taken {
  std::string text;
  std::vector<json> rests;
  std::vector<msg::tool_call> calls;
  std::string finish_reason;
  std::string rest;
};
taken take_all(answer_stream& from) {
  taken all;
  while (from.waiting()) {
    const auto chunk = from.take_chunk();
    all.text += chunk.content;
    if (!chunk.delta_rest.empty())
      all.rests.push_back(json::parse(chunk.delta_rest));
    all.calls.insert(all.calls.end(), chunk.tool_calls.begin(), chunk.tool_calls.end());
    if (!chunk.finish_reason.empty())
      all.finish_reason = chunk.finish_reason;
    all.rest += chunk.rest;
  }
  return all;
}

} // namespace

TEST_CASE("a whole answer of Anthropic's is one of OpenAI's", "[provider][anthropic]") {
  const auto reply = reply_of(R"([{"type":"text","text":"hel"},{"type":"text","text":"lo"}])",
                              R"("stop_reason":"end_turn","stop_sequence":null,"container":null,
    "usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,
             "output_tokens":3,"service_tier":"standard","server_tool_use":null})");
  CHECK(reply.id == "msg_1");
  CHECK(reply.model == "claude");
  CHECK(reply.choices[0].content == "hello");
  CHECK(reply.choices[0].finish_reason == "stop");
  CHECK(reply.choices[0].message_rest.empty());
  CHECK(reply.choices[0].rest.empty());
  CHECK(reply.usage.prompt == 17);
  CHECK(reply.usage.cached_prompt == 5);
  CHECK(reply.usage.completion == 3);
  CHECK(json::parse(reply.usage.rest)
        == json{{"cache_creation_input_tokens", 2}, {"service_tier", "standard"}});
}

TEST_CASE("tool use, thinking and unknown blocks keep their bytes in an answer",
          "[provider][anthropic]") {
  const auto reply = reply_of(
    R"([{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"},
        {"type":"server_tool_use","id":"s1","name":"w","input":{"q":1.50}},
        {"type":"tool_use","id":"t1","name":"f","input":{"z": 1.50,"a":[]}},
        {"type":"tool_use","id":"t2","name":"g","input":{}}])",
    R"("stop_reason":"tool_use")");
  const auto& choice = reply.choices[0];
  CHECK(choice.content.empty());
  CHECK(choice.content_null);
  CHECK(choice.finish_reason == "tool_calls");
  const auto rest = json::parse(choice.message_rest);
  CHECK(rest["reasoning_content"] == "hm");
  CHECK(rest["thinking_blocks"].size() == 2);
  CHECK(rest["content_blocks"][0]["name"] == "w");
  CHECK(choice.tool_calls
        == std::vector<msg::tool_call>{
          {0, "t1", "function", "f", R"({"z": 1.50,"a":[]})", {}},
          {1, "t2", "function", "g", "{}", {}},
        });
  CHECK(choice.message_rest.find(R"({"q":1.50})") != std::string::npos);
}

TEST_CASE("every stop reason has its finish reason, and what that cannot say is kept",
          "[provider][anthropic]") {
  struct row {
    const char* given;
    const char* finish;
    const char* rest;
  };
  const auto [given, finish, rest]
    = GENERATE(row{R"("stop_reason":"max_tokens")", "length", ""},
               row{R"("stop_reason":"refusal")", "content_filter", ""},
               row{R"("stop_reason":"stop_sequence","stop_sequence":"END")", "stop",
                   R"({"stop_sequence":"END"})"},
               row{R"("stop_reason":"pause_turn")", "stop", R"({"stop_reason":"pause_turn"})"},
               row{R"("stop_reason":"model_context_window_exceeded")", "length",
                   R"({"stop_reason":"model_context_window_exceeded"})"},
               row{R"("stop_reason":"brand_new")", "stop", R"({"stop_reason":"brand_new"})"},
               row{R"("stop_reason":null)", "stop", ""});
  const auto reply = reply_of("[]", given);
  CHECK(reply.choices[0].finish_reason == finish);
  CHECK(reply.choices[0].rest == rest);
}

TEST_CASE("bytes that are no message are a failure of the provider", "[provider][anthropic]") {
  const auto body
    = GENERATE(std::string{}, "<html>", "[]", "{}", R"({"type":"message"})",
               R"({"type":"message","content":"text"})", R"({"type":"message","content":[})",
               R"({"type":"error","error":{"type":"api_error","message":"x"}})",
               R"({"type":"message","content":[)" + std::string(100'000, '[')
                 + std::string(100'000, ']') + "]}");
  const auto read = read_messages_reply(body);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == errc::provider_failed);
  // Blocks of wrong types are no reason to fail.
  CHECK(reply_of(R"([7,null,"x",{},{"type":9},{"type":"text","text":5},{"type":"tool_use"}])")
          .choices[0]
          .content.empty());
}

// -- streams --------------------------------------------------------------------------------------

TEST_CASE("a stream of Anthropic's is put together wherever its bytes are split",
          "[provider][anthropic][stream]") {
  const auto bytes = begin_line + begin_block(0, text_block) + event("ping") + text_piece("he")
                     + text_piece("llo") + end_block(0) + event("brand_new", R"("x":1)") + stop();
  const auto step = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{10'000});
  messages_stream stream;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    stream.push(std::string_view{bytes}.substr(at, step));
  const auto open = stream.take_open();
  REQUIRE(open);
  CHECK(open->id == "msg_1");
  CHECK(open->model == "claude");
  const auto all = take_all(stream);
  CHECK(all.text == "hello");
  CHECK(all.finish_reason == "stop");
  CHECK(all.rests.empty());
  CHECK(stream.state() == phase::whole);
  const auto usage = stream.usage(100);
  CHECK(usage.prompt == 17);
  CHECK(usage.cached_prompt == 5);
  CHECK(usage.completion == 9);
  CHECK(!usage.estimated);
  CHECK(json::parse(usage.rest) == json{{"cache_creation_input_tokens", 2}});
}

TEST_CASE("streamed tool calls come as OpenAI streams them", "[provider][anthropic][stream]") {
  messages_stream stream;
  const auto piece = [](int index, const std::string& text) {
    return delta(index, R"({"type":"input_json_delta","partial_json":)" + json(text).dump() + "}");
  };
  stream.push(begin_line + begin_block(0, text_block) + text_piece("hm") + end_block(0)
              + begin_block(1, R"({"type":"tool_use","id":"t1","name":"f","input":{}})")
              + piece(1, "") + piece(1, "{\"a\"") + piece(1, ":1}") + end_block(1)
              + begin_block(2, R"({"type":"tool_use","id":"t2","name":"g","input":{}})")
              + end_block(2)
              + begin_block(3, R"({"type":"tool_use","id":"t3","name":"h","input":{"b":2}})")
              + end_block(3) + stop("tool_use"));
  const auto all = take_all(stream);
  CHECK(all.finish_reason == "tool_calls");
  CHECK(all.rests.empty());
  REQUIRE(all.calls.size() == 7);
  CHECK(all.calls[0] == msg::tool_call{0, "t1", "function", "f", {}, {}});
  std::array<std::string, 3> arguments;
  for (const auto& call : all.calls)
    arguments.at(call.index) += call.arguments;
  CHECK(arguments == std::array<std::string, 3>{R"({"a":1})", "{}", R"({"b":2})"});
}

TEST_CASE("streamed thinking carries its text twice and its signature once",
          "[provider][anthropic][stream]") {
  messages_stream stream;
  stream.push(begin_line + begin_block(0, R"({"type":"thinking","thinking":"","signature":""})")
              + delta(0, R"({"type":"thinking_delta","thinking":"h\u00e4"})")
              + delta(0, R"({"type":"signature_delta","signature":"sig"})") + end_block(0)
              + begin_block(1, R"({"type":"redacted_thinking","data":"x"})") + end_block(1)
              + stop());
  const auto all = take_all(stream);
  REQUIRE(all.rests.size() == 3);
  CHECK(all.rests[0] == json::parse(R"({"reasoning_content":"h\u00e4","thinking_blocks":[
                           {"index":0,"type":"thinking","thinking":"h\u00e4"}]})"));
  CHECK(all.rests[1]
        == json::parse(R"({"thinking_blocks":[{"index":0,"type":"thinking","signature":"sig"}]})"));
  CHECK(
    all.rests[2]
    == json::parse(R"({"thinking_blocks":[{"index":1,"type":"redacted_thinking","data":"x"}]})"));
}

TEST_CASE("blocks nobody knows arrive whole", "[provider][anthropic][stream]") {
  messages_stream stream;
  stream.push(begin_line
              + begin_block(0, R"({"type":"server_tool_use","id":"s","name":"w","input":{}})")
              + delta(0, R"({"type":"input_json_delta","partial_json":"{\"q\":1}"})")
              + delta(0, R"({"type":"brand_new_delta","x":1})") + end_block(0)
              + begin_block(1, R"({"type":"web_search_tool_result","content":[1]})") + end_block(1)
              + stop("pause_turn"));
  const auto all = take_all(stream);
  REQUIRE(all.rests.size() == 2);
  CHECK(all.rests[0]["content_blocks"][0]
        == json::parse(R"({"type":"server_tool_use","id":"s","name":"w","input":{"q":1}})"));
  CHECK(all.rests[1]["content_blocks"][0]["type"] == "web_search_tool_result");
  CHECK(all.rest == R"({"stop_reason":"pause_turn"})");
}

TEST_CASE("without message_stop a stream was cut, whatever finished",
          "[provider][anthropic][stream]") {
  const auto bytes
    = GENERATE(std::string{}, event("ping"), begin_line, begin_line + begin_block(0, text_block),
               begin_line + begin_block(0, text_block) + text_piece("a") + end_block(0)
                 + event("message_delta", R"("delta":{"stop_reason":"end_turn"})"));
  messages_stream stream;
  stream.push(bytes);
  stream.close();
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::stream_cut);
  CHECK(stream.take_open().has_value() == (bytes.find("text_delta") != std::string::npos));
}

TEST_CASE("a cut answer's tokens are the prompt's as counted and the text's as estimated",
          "[provider][anthropic][stream]") {
  messages_stream stream;
  stream.push(begin_line + begin_block(0, text_block) + text_piece(std::string(80, 'x')));
  const auto usage = stream.usage(1);
  CHECK(usage.prompt == 17);
  CHECK(usage.completion == 20);
  CHECK(usage.estimated);
}

TEST_CASE("tokens that a stream does not count are estimated", "[provider][anthropic][stream]") {
  messages_stream stream;
  stream.push(event("message_start", R"("message":{"id":"1","model":"m"})")
              + begin_block(0, text_block) + text_piece(std::string(80, 'x')) + end_block(0)
              + event("message_delta", R"("delta":{"stop_reason":"end_turn"})")
              + event("message_stop"));
  CHECK(stream.usage(40).prompt == 10);
  CHECK(stream.usage(40).completion == 20);
}

TEST_CASE("an error event ends a stream with its meaning", "[provider][anthropic][stream]") {
  messages_stream stream;
  stream.push(begin_line + begin_block(0, text_block) + text_piece("a")
              + event("error", R"("error":{"type":"overloaded_error","message":"Overloaded"})")
              + text_piece("b"));
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::provider_overloaded);
  CHECK(take_all(stream).text == "a");
}

TEST_CASE("a stream that makes no sense fails instead of growing",
          "[provider][anthropic][stream]") {
  std::string many;
  for (int index = 0; index < 100; ++index)
    many += begin_block(index, text_block);
  std::string endless = begin_block(0, R"({"type":"server_tool_use","input":{}})");
  for (int piece = 0; piece < 6; ++piece)
    endless += delta(0, R"({"type":"input_json_delta","partial_json":")"
                          + std::string(std::size_t{1} << 20, 'x') + "\"}");
  const auto bytes = GENERATE_COPY(std::string{"data: {nonsense\n\n"},
                                   std::string{"data: [DONE]x\n\n"}, text_piece("no block"), many,
                                   endless, "data: " + std::string(1000, '[') + "\n\n",
                                   "data: " + std::string(std::size_t{5} << 20, 'x'));
  messages_stream stream;
  stream.push(begin_line + bytes);
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::provider_failed);
}
