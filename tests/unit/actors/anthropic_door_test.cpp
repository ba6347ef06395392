#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/server_request.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

/// A body with these turns and further members.
std::string body_of(std::string_view messages, std::string_view more = {}) {
  std::string text = R"({"model":"claude","max_tokens":64,"messages":)";
  text.append(messages).append(more.empty() ? "" : ",").append(more);
  return text + "}";
}

msg::chat_request read(const std::string& body) {
  const auto got = read_messages_body(body);
  REQUIRE(got);
  return got->request;
}

std::string refusal(const std::string& body) {
  const auto got = read_messages_body(body);
  REQUIRE_FALSE(got);
  CHECK(got.error().why.code == errc::bad_request);
  return got.error().why.detail;
}

constexpr auto hello = R"([{"role":"user","content":"hello"}])";

} // namespace

TEST_CASE("a plain conversation becomes OpenAI's", "[actors][messages]") {
  const auto got
    = read(body_of(R"([{"role":"user","content":"hello"},{"role":"assistant","content":"hi"},)"
                   R"({"role":"user","content":[{"type":"text","text":"\u00fcber"}]}])",
                   R"("system":"be brief","stream":true)"));
  CHECK(got.model == "claude");
  CHECK(got.stream);
  CHECK(got.parameters == R"({"max_tokens":64})");
  CHECK(got.messages
        == std::vector<msg::chat_message>{{"system", "be brief", {}},
                                          {"user", "hello", {}},
                                          {"assistant", "hi", {}},
                                          {"user",
                                           "\xC3\xBC"
                                           "ber",
                                           {}}});
}

TEST_CASE("blocks that say more than their text stay parts with their bytes",
          "[actors][messages]") {
  const std::string marked = R"({"type":"text", "text":"a","cache_control":{"type":"ephemeral"}})";
  const auto got = read(body_of(R"([{"role":"user","content":[)" + marked
                                  + R"(,{"type":"document","source":{"type":"text"}}]}])",
                                R"("system":[)" + marked + "]"));
  REQUIRE(got.messages.size() == 2);
  CHECK(got.messages[0].role == "system");
  CHECK(got.messages[0].rest == R"({"content":[)" + marked + "]}");
  CHECK(got.messages[1].content.empty());
  CHECK(got.messages[1].rest
        == R"({"content":[)" + marked + R"(,{"type":"document","source":{"type":"text"}}]})");
}

TEST_CASE("images become image_url parts, uploaded ones stay", "[actors][messages]") {
  const auto got = read(body_of(
    R"([{"role":"user","content":[)"
    R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},)"
    R"({"type":"image","source":{"type":"url","url":"https://a/b.png"},"cache_control":{}},)"
    R"({"type":"image","source":{"type":"file","file_id":"f"}}]}])"));
  REQUIRE(got.messages.size() == 1);
  CHECK(got.messages[0].rest
        == R"({"content":[)"
           R"({"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},)"
           R"({"type":"image_url","image_url":{"url":"https://a/b.png"},"cache_control":{}},)"
           R"({"type":"image","source":{"type":"file","file_id":"f"}}]})");
}

TEST_CASE("tool calls and thinking become members of the assistant's message",
          "[actors][messages]") {
  const auto got = read(
    body_of(R"([{"role":"user","content":"go"},{"role":"assistant","content":[)"
            R"({"type":"thinking","thinking":"hm","signature":"c2ln"},)"
            R"({"type":"redacted_thinking","data":"xx"},)"
            R"({"type":"text","text":"I look"},)"
            R"({"type":"tool_use","id":"toolu_1","name":"f","input":{ "b": 1.50,"a":"\u00e4"}},)"
            R"({"type":"tool_use","id":"toolu_2","name":"g","input":{},"cache_control":{},)"
            R"("caller":{"type":"direct"}}]}])"));
  REQUIRE(got.messages.size() == 2);
  const auto& turn = got.messages[1];
  CHECK(turn.role == "assistant");
  CHECK(turn.content == "I look");
  const auto rest = json::parse(turn.rest);
  CHECK(rest["thinking_blocks"]
        == json::parse(R"([{"type":"thinking","thinking":"hm","signature":"c2ln"},)"
                       R"({"type":"redacted_thinking","data":"xx"}])"));
  CHECK(rest["reasoning_content"] == "hm");
  CHECK(
    turn.tool_calls
    == std::vector<msg::tool_call>{
      {0, "toolu_1", "function", "f", R"({ "b": 1.50,"a":"\u00e4"})", {}},
      {1, "toolu_2", "function", "g", "{}", R"({"cache_control":{},"caller":{"type":"direct"}})"},
    });
}

TEST_CASE("a turn of only tool calls has null content", "[actors][messages]") {
  const auto got = read(body_of(R"([{"role":"user","content":"go"},{"role":"assistant","content":[)"
                                R"({"type":"tool_use","id":"t","name":"f","input":{}}]}])"));
  CHECK(json::parse(got.messages[1].rest).at("content").is_null());
}

TEST_CASE("tool results are messages of their own, in their place", "[actors][messages]") {
  const auto got = read(body_of(
    R"([{"role":"user","content":[)"
    R"({"type":"tool_result","tool_use_id":"t1","content":"42"},)"
    R"({"type":"tool_result","tool_use_id":"t2","is_error":true,"content":[)"
    R"({"type":"text","text":"no"},)"
    R"({"type":"image","source":{"type":"url","url":"http://a"}}]},)"
    R"({"type":"text","text":"and?"},)"
    R"({"type":"tool_result","tool_use_id":"t3","cache_control":{"type":"ephemeral"}}]}])"));
  REQUIRE(got.messages.size() == 4);
  CHECK(got.messages[0] == msg::chat_message{"tool", "42", R"({"tool_call_id":"t1"})"});
  CHECK(got.messages[1].rest
        == R"({"content":[{"type":"text","text":"no"},)"
           R"({"type":"image_url","image_url":{"url":"http://a"}}],)"
           R"("tool_call_id":"t2","is_error":true})");
  CHECK(got.messages[2] == msg::chat_message{"user", "and?", {}});
  CHECK(got.messages[3].role == "tool");
  CHECK(got.messages[3].rest == R"({"tool_call_id":"t3","cache_control":{"type":"ephemeral"}})");
}

TEST_CASE("thinking behind text begins a message of its own", "[actors][messages]") {
  const auto got = read(body_of(
    R"([{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"text","text":"a"},)"
    R"({"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"b"}]}])"));
  REQUIRE(got.messages.size() == 3);
  CHECK(got.messages[1] == msg::chat_message{"assistant", "a", {}});
  CHECK(got.messages[2].content == "b");
  CHECK(got.messages[2].rest.find("thinking_blocks") != std::string::npos);
}

TEST_CASE("tools become functions, and schemas keep their bytes", "[actors][messages]") {
  const std::string schema = R"({"type":"object", "properties":{"z":{},"a":{}}})";
  const auto got
    = read(body_of(hello, R"("tools":[{"name":"f","description":"d","input_schema":)" + schema
                            + R"(,"strict":true,"cache_control":{"type":"ephemeral"}},)"
                              R"({"type":"web_search_20250305","name":"web_search"}])"));
  CHECK(got.parameters
        == R"({"max_tokens":64,"tools":[{"type":"function","function":)"
           R"({"name":"f","description":"d","parameters":)"
             + schema
             + R"(,"strict":true},"cache_control":{"type":"ephemeral"}},)"
               R"({"type":"web_search_20250305","name":"web_search"}]})");
}

TEST_CASE("parameters take OpenAI's names where there are any", "[actors][messages]") {
  const auto parameters_with
    = [](const std::string& more) { return json::parse(read(body_of(hello, more)).parameters); };
  const auto got = parameters_with(
    R"("stop_sequences":["a","b"],"stop":"ignored","temperature":0.5,"top_k":3,"top_p":null,)"
    R"("metadata":{"user_id":"u"},"user":"ignored","service_tier":"auto",)"
    R"("thinking":{"type":"enabled","budget_tokens":1024},"made_up":[1],"stream_options":{})");
  CHECK(got
        == json::parse(R"({"max_tokens":64,"stop":["a","b"],"temperature":0.5,"top_k":3,)"
                       R"("user":"u","service_tier":"auto","made_up":[1],)"
                       R"("thinking":{"type":"enabled","budget_tokens":1024}})"));
  CHECK(parameters_with(R"("tool_choice":{"type":"auto"})")["tool_choice"] == "auto");
  CHECK(parameters_with(R"("tool_choice":{"type":"none"})")["tool_choice"] == "none");
  const auto any
    = parameters_with(R"("tool_choice":{"type":"any","disable_parallel_tool_use":true})");
  CHECK(any["tool_choice"] == "required");
  CHECK(any["parallel_tool_calls"] == false);
  CHECK(parameters_with(R"("tool_choice":{"type":"tool","name":"f"})")["tool_choice"]
        == json::parse(R"({"type":"function","function":{"name":"f"}})"));
}

TEST_CASE("what the answer's writer must know is read along", "[actors][messages]") {
  const auto plain = read_messages_body(body_of(hello, R"("thinking":{"type":"disabled"})"));
  REQUIRE(plain);
  CHECK_FALSE(plain->thinking);
  const auto thinks = read_messages_body(
    body_of(hello, R"("thinking":{"type":"adaptive"},"stop_sequences":["x"])"));
  REQUIRE(thinks);
  CHECK(thinks->thinking);
  CHECK(thinks->stop_sequences == std::vector<std::string>{"x"});
}

TEST_CASE("wrong bodies are refused by the name of their member", "[actors][messages]") {
  const auto starts = [](const std::string& body, std::string_view with) {
    INFO(body);
    const auto said = refusal(body);
    CHECK(said.substr(0, with.size()) == with);
  };
  starts("[]", "the body must be");
  starts("{", "the body is no JSON we can read: ");
  starts(std::string(200, '['), "the body is no JSON we can read: it is nested deeper");
  starts(R"({"max_tokens":1,"messages":[]})", "model: Field required");
  starts(R"({"model":1,"max_tokens":1})", "model: Input should be a valid string");
  starts(R"({"model":"m","messages":[]})", "max_tokens: Field required");
  for (const auto* count : {"0", "-1", "1.5", "\"9\"", "99999999999999999999"})
    starts(R"({"model":"m","max_tokens":)" + std::string{count} + "}", "max_tokens: Input");
  starts(R"({"model":"m","max_tokens":1})", "messages: Field required");
  starts(body_of("{}"), "messages: Input should be a valid list");
  starts(body_of("[]"), "messages: at least one message");
  starts(body_of(R"([{"role":"user","content":[]}])"), "messages: at least one message");
  starts(body_of("[1]"), "messages.0: ");
  starts(body_of(R"([{"content":"a"}])"), "messages.0.role: Field required");
  starts(body_of(R"([{"role":"system","content":"a"}])"), "messages: at least one message");
  starts(body_of(R"([{"role":"system","content":[{"type":"image"}]}])"), "messages.0.content.0");
  starts(body_of(hello, R"("thread":{"type":"create"})"), "thread: ");
  starts(body_of(R"([{"role":"tool","content":"a"}])"), "messages.0.role: Input should be");
  starts(body_of(R"([{"role":"user"}])"), "messages.0.content: Field required");
  starts(body_of(R"([{"role":"user","content":7}])"), "messages.0.content: ");
  const auto starts_block
    = [&](const std::string& role, const std::string& block, const std::string& with) {
        starts(body_of(R"([{"role":")" + role + R"(","content":[)" + block + "]}]"),
               "messages.0.content.0" + with);
      };
  starts_block("user", "3", ": Input should be an object");
  starts_block("user", "{}", ".type: Field required");
  starts_block("user", R"({"type":"text"})", ".text: Field required");
  starts_block("user", R"({"type":"text","text":1})", ".text: Input should");
  starts_block("user", R"({"type":"image"})", ".source: Field required");
  starts_block("user", R"({"type":"image","source":{"type":"base64"}})", ".source.media_type: ");
  starts_block("user", R"({"type":"tool_use"})", ": `tool_use`");
  starts_block("user", R"({"type":"tool_result"})", ".tool_use_id: Field required");
  starts_block("user", R"({"type":"tool_result","tool_use_id":"a","content":[{}]})",
               ".content.0.type: Field required");
  starts_block("assistant", R"({"type":"tool_result"})", ": `tool_result`");
  starts_block("assistant", R"({"type":"tool_use","name":"f","input":{}})", ".id: Field");
  starts_block("assistant", R"({"type":"tool_use","id":"a","name":"f"})", ".input: Field");
  starts_block("assistant", R"({"type":"tool_use","id":"a","name":"f","input":"{}"})",
               ".input: Input should be an object");
  starts(body_of(hello, R"("system":[{"type":"image","source":{"type":"url","url":"u"}}])"),
         "system.0.type: ");
  starts(body_of(hello, R"("stream":"yes")"), "stream: ");
  starts(body_of(hello, R"("stop_sequences":"a")"), "stop_sequences: ");
  starts(body_of(hello, R"("stop_sequences":[1])"), "stop_sequences.0: ");
  starts(body_of(hello, R"("tools":{})"), "tools: ");
  starts(body_of(hello, R"("tools":[1])"), "tools.0: ");
  starts(body_of(hello, R"("tools":[{"name":"f"}])"), "tools.0.input_schema: Field required");
  starts(body_of(hello, R"("tools":[{"input_schema":{}}])"), "tools.0.name: Field required");
  starts(body_of(hello, R"("tool_choice":"auto")"), "tool_choice.type: ");
  starts(body_of(hello, R"("tool_choice":{"type":"tool"})"), "tool_choice.name: Field required");
}

// -- to a provider of Anthropic's and back --------------------------------------------------------

TEST_CASE("what a client writes reaches a provider of Anthropic's as it was",
          "[actors][messages]") {
  const std::string thinking
    = R"({"type":"thinking","thinking":"so\u2026 \"yes\"","signature":"RXk+/="})";
  const std::string redacted = R"({"type":"redacted_thinking","data":"c2VjcmV0"})";
  const std::string input = R"({ "z":1.0, "a":[1e3,"\/"] })";
  const std::string schema = R"({"type":"object","properties":{"z":{},"a":{}},"required":[]})";
  const auto written = write_messages_request(
    read(body_of(
      R"([{"role":"user","content":[{"type":"text","text":"go","cache_control":{"ttl":"1h"}}]},)"
      R"({"role":"assistant","content":[)"
        + thinking + "," + redacted
        + R"(,{"type":"text","text":"I look"},)"
          R"({"type":"tool_use","id":"toolu_1","name":"f","caller":{"type":"direct"},"input":)"
        + input
        + R"(}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1",)"
          R"("content":[{"type":"text","text":"42"}],"is_error":false},)"
          R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},)"
          R"({"type":"text","text":"and now?"}]}])",
      R"("system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],)"
      R"("tools":[{"name":"f","input_schema":)"
        + schema
        + R"(}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"top_k":3,)"
          R"("stop_sequences":["END"],"metadata":{"user_id":"u"},"service_tier":"standard_only",)"
          R"("thinking":{"type":"enabled","budget_tokens":2048},"stream":true)")),
    {});
  REQUIRE(written);
  for (const auto& bytes : {thinking, redacted, input, schema})
    CHECK(written->find(bytes) != std::string::npos);
  const auto body = json::parse(*written);
  CHECK(
    body["messages"]
    == json::parse(
      R"([{"role":"user","content":[{"type":"text","text":"go","cache_control":{"ttl":"1h"}}]},)"
      R"({"role":"assistant","content":[)"
      + thinking + "," + redacted
      + R"(,{"type":"text","text":"I look"},)"
        R"({"type":"tool_use","id":"toolu_1","name":"f","caller":{"type":"direct"},"input":)"
      + input
      + R"(}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1",)"
        R"("content":[{"type":"text","text":"42"}],"is_error":false},)"
        R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},)"
        R"({"type":"text","text":"and now?"}]}])"));
  CHECK(body["system"]
        == json::parse(R"([{"type":"text","text":"s",)"
                       R"("cache_control":{"type":"ephemeral"}}])"));
  CHECK(body["tools"][0]["name"] == "f");
  CHECK(body["tool_choice"] == json::parse(R"({"type":"any","disable_parallel_tool_use":true})"));
  CHECK(body["stop_sequences"] == json::parse(R"(["END"])"));
  CHECK(body["metadata"] == json::parse(R"({"user_id":"u"})"));
  CHECK(body["service_tier"] == "standard_only");
  CHECK(body["thinking"]["budget_tokens"] == 2048);
  CHECK(body["top_k"] == 3);
  CHECK(body["max_tokens"] == 64);
  CHECK(body["stream"] == true);
}

TEST_CASE("instructions within the conversation keep their place", "[actors][messages]") {
  const auto got = read(body_of(R"([{"role":"user","content":"a"},)"
                                R"({"role":"system","content":"be brief"}])",
                                R"("thread":null)"));
  CHECK(got.messages
        == std::vector<msg::chat_message>{{"user", "a", {}}, {"system", "be brief", {}}});
}
