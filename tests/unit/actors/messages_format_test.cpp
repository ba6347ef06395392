#include "actors/gateway/http_errors.hpp"
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/chat/answer.hpp"
#include "apis/openai/chat_json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/openai_members.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

msg::chat_reply reply_of(const msg::chat_choice& choice) {
  msg::chat_reply reply;
  reply.id = "chatcmpl-1";
  reply.model = "tiny";
  reply.choices.push_back(choice);
  return reply;
}

json whole(const msg::chat_reply& reply, messages_wish wish = {}) {
  return json::parse(messages_format(std::move(wish))->whole(reply));
}

/// The events in frames; each frame's name must be its data's type.
std::vector<json> events_in(const std::string& frames) {
  std::vector<json> events;
  for (std::size_t at = 0; at < frames.size();) {
    const auto line = frames.find("\ndata: ", at);
    const auto end = frames.find("\n\n", at);
    REQUIRE(frames.compare(at, 7, "event: ") == 0);
    REQUIRE(line < end);
    REQUIRE(end != std::string::npos);
    events.push_back(json::parse(frames.substr(line + 7, end - line - 7)));
    CHECK(events.back()["type"] == frames.substr(at + 7, line - at - 7));
    at = end + 2;
  }
  return events;
}

/// Puts a stream together as the official clients do.
struct client {
  json message;
  std::map<std::size_t, std::string> inputs;

  void take(const json& event) {
    const auto type = event["type"].get<std::string>();
    if (type == "message_start") {
      message = event["message"];
    } else if (type == "content_block_start") {
      REQUIRE(event["index"] == message["content"].size());
      message["content"].push_back(event["content_block"]);
    } else if (type == "content_block_delta") {
      add(event["index"].get<std::size_t>(), event["delta"]);
    } else if (type == "message_delta") {
      for (const auto& [name, value] : event["delta"].items())
        message[name] = value;
      for (const auto& [name, value] : event["usage"].items())
        message["usage"][name] = value;
    }
  }
  void add(std::size_t index, const json& delta) {
    REQUIRE(index < message["content"].size());
    auto& block = message["content"][index];
    if (delta["type"] == "text_delta")
      block["text"] = block["text"].get<std::string>() + delta["text"].get<std::string>();
    else if (delta["type"] == "thinking_delta")
      block["thinking"]
        = block["thinking"].get<std::string>() + delta["thinking"].get<std::string>();
    else if (delta["type"] == "signature_delta")
      block["signature"] = delta["signature"];
    else
      block["input"] = json::parse(inputs[index] += delta["partial_json"], nullptr, false);
  }
};

struct streamed {
  std::vector<json> events;
  json message;

  std::string types() const {
    std::string text;
    for (const auto& each : events) {
      const auto type = each["type"].get<std::string>();
      text += type == "content_block_start"   ? "<"
              : type == "content_block_delta" ? "."
              : type == "content_block_stop"  ? ">"
                                              : type.substr(8, 2) + " ";
    }
    return text;
  }
};

streamed stream(const std::vector<msg::chat_chunk>& chunks, messages_wish wish = {},
                const msg::token_usage& usage = {}) {
  const auto format = messages_format(std::move(wish));
  auto frames = format->open({"chatcmpl-1", 1, "tiny", {}, {}});
  for (const auto& each : chunks)
    frames += format->chunk(each);
  frames += format->end(usage);
  streamed got{events_in(frames), {}};
  client reader;
  for (const auto& each : got.events)
    reader.take(each);
  got.message = reader.message;
  return got;
}

msg::chat_chunk said(const std::string& text) {
  return {0, text, {}, {}, {}};
}
msg::chat_chunk rest(const std::string& members) {
  return test::piece_of(members);
}
msg::chat_chunk finish(const std::string& reason, const std::string& more = {}) {
  return {0, {}, {}, reason, more};
}

} // namespace

TEST_CASE("a whole text is a message", "[actors][messages]") {
  msg::chat_choice choice;
  choice.content = "hi \xE2\x80\xA6";
  choice.finish_reason = "stop";
  auto reply = reply_of(choice);
  reply.usage.prompt = 100;
  reply.usage.cached_prompt = 60;
  reply.usage.completion = 5;
  reply.usage.rest = R"({"cache_creation_input_tokens":30,"service_tier":"standard","other":1})";
  CHECK(whole(reply)
        == json::parse(R"({"id":"msg_chatcmpl-1","type":"message","role":"assistant",)"
                       R"("model":"tiny","content":[{"type":"text","text":"hi …"}],)"
                       R"("stop_reason":"end_turn","stop_sequence":null,"usage":{)"
                       R"("input_tokens":10,"cache_creation_input_tokens":30,)"
                       R"("cache_read_input_tokens":60,"output_tokens":5,)"
                       R"("service_tier":"standard"}})"));
}

TEST_CASE("why an answer ended is said in Anthropic's words", "[actors][messages]") {
  const auto ended
    = [](const std::string& reason, const std::string& more = {}, const std::string& message = {}) {
        msg::chat_choice choice;
        choice.finish_reason = reason;
        choice.rest = more;
        test::take_members(choice, message);
        const auto got = whole(reply_of(choice), {{}, false, {"END"}});
        return json::array({got["stop_reason"], got["stop_sequence"]});
      };
  CHECK(ended("stop") == json{"end_turn", nullptr});
  CHECK(ended("length") == json{"max_tokens", nullptr});
  CHECK(ended("tool_calls") == json{"tool_use", nullptr});
  CHECK(ended("content_filter") == json{"refusal", nullptr});
  CHECK(ended("") == json{"end_turn", nullptr});
  CHECK(ended("stop", R"({"stop_sequence":"END"})") == json{"stop_sequence", "END"});
  CHECK(ended("stop", R"({"stop_reason":"pause_turn"})") == json{"pause_turn", nullptr});
  CHECK(ended("length", R"({"stop_reason":"model_context_window_exceeded"})")
        == json{"model_context_window_exceeded", nullptr});
  // vLLM's stop_reason is the sequence, or the number of a token.
  CHECK(ended("stop", R"({"stop_reason":"END"})") == json{"stop_sequence", "END"});
  CHECK(ended("stop", R"({"stop_reason":128001})") == json{"end_turn", nullptr});
  // Neither is one that the provider's owner set a reason.
  CHECK(ended("stop", R"({"stop_reason":"</s>"})") == json{"stop_sequence", "</s>"});
  CHECK(ended("stop", {}, R"({"tool_calls":[{"id":"a","function":{"name":"f"}}]})")
        == json{"tool_use", nullptr});
}

TEST_CASE("thinking, other blocks, text and tool calls stand in this order", "[actors][messages]") {
  msg::chat_choice choice;
  choice.content = "I look";
  choice.finish_reason = "tool_calls";
  test::take_members(
    choice, R"({"tool_calls":[{"id":"t1","function":{"name":"f","arguments":"{ \"a\": 1.0}"}},)"
            R"({"function":{"name":"g","arguments":""}},)"
            R"({"id":"t3","function":{"name":"h","arguments":"{\"cut\":"}}],)"
            R"("content_blocks":[{"type":"server_tool_use","id":"s"}],"reasoning_content":"hm",)"
            R"("thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"c2ln"}]})");
  const auto text = messages_format({})->whole(reply_of(choice));
  CHECK(text.find(R"("input":{ "a": 1.0})") != std::string::npos);
  CHECK(json::parse(text)["content"]
        == json::parse(R"([{"type":"thinking","thinking":"hm","signature":"c2ln"},)"
                       R"({"type":"server_tool_use","id":"s"},{"type":"text","text":"I look"},)"
                       R"({"type":"tool_use","id":"t1","name":"f","input":{"a":1.0}},)"
                       R"({"type":"tool_use","id":"toolu_chatcmpl-1_1","name":"g","input":{}},)"
                       R"({"type":"tool_use","id":"t3","name":"h",)"
                       R"("input":{"INVALID_JSON":"{\"cut\":"}}])"));
}

TEST_CASE("unsigned reasoning is shown to those who asked for thinking", "[actors][messages]") {
  msg::chat_choice choice;
  choice.content = "x";
  choice.message_rest = R"({"reasoning_content":"hm"})";
  CHECK(whole(reply_of(choice))["content"].size() == 1);
  CHECK(whole(reply_of(choice), {{}, true, {}})["content"][0]
        == json::parse(R"({"type":"thinking","thinking":"hm","signature":""})"));
  const auto hidden = stream({rest(choice.message_rest), said("x")});
  CHECK(hidden.message["content"].size() == 1);
  const auto shown
    = stream({rest(choice.message_rest), rest(R"({"reasoning":"!"})"), said("x")}, {{}, true, {}});
  CHECK(shown.types() == "st <..><.>de st ");
  CHECK(shown.message["content"][0]["thinking"] == "hm!");
}

TEST_CASE("an answer without choices is an empty message", "[actors][messages]") {
  msg::chat_reply reply;
  CHECK(whole(reply)["content"] == json::array());
  CHECK(stream({}).types() == "st de st ");
}

TEST_CASE("a refusal is text", "[actors][messages]") {
  msg::chat_choice choice;
  choice.message_rest = R"({"refusal":"no"})";
  CHECK(whole(reply_of(choice))["content"][0]["text"] == "no");
  CHECK(stream({rest(choice.message_rest)}).message["content"][0]["text"] == "no");
}

// -- streams --------------------------------------------------------------------------------------

TEST_CASE("a streamed text is one block between the message's events", "[actors][messages]") {
  msg::token_usage usage;
  usage.prompt = 7;
  usage.completion = 3;
  const auto got
    = stream({rest(R"({"role":"assistant"})"), said("a"), said("b"), finish("stop")}, {}, usage);
  CHECK(got.types() == "st <..>de st ");
  CHECK(got.events.front()["message"]["usage"]["output_tokens"] == 0);
  CHECK(got.message["id"] == "msg_chatcmpl-1");
  CHECK(got.message["content"] == json::parse(R"([{"type":"text","text":"ab"}])"));
  CHECK(got.message["stop_reason"] == "end_turn");
  CHECK(got.message["usage"]["input_tokens"] == 7);
  CHECK(got.message["usage"]["output_tokens"] == 3);
}

TEST_CASE("tool calls become blocks of their own, with their input in pieces",
          "[actors][messages]") {
  const auto got = stream(
    {said("I"),
     rest(R"({"tool_calls":[{"index":0,"id":"a","type":"function",)"
          R"("function":{"name":"f","arguments":""}}]})"),
     rest(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]})"),
     rest(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})"),
     rest(R"({"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]})"),
     finish("tool_calls")});
  CHECK(got.types() == "st <.><..><.>de st ");
  CHECK(got.message["content"]
        == json::parse(R"([{"type":"text","text":"I"},)"
                       R"({"type":"tool_use","id":"a","name":"f","input":{"x":1}},)"
                       R"({"type":"tool_use","id":"b","name":"g","input":{}}])"));
  CHECK(got.message["stop_reason"] == "tool_use");
}

TEST_CASE("pieces of several calls may come by turns, or without a name", "[actors][messages]") {
  const auto by_turns = stream(
    {rest(R"({"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]})"),
     rest(R"({"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}]})"),
     rest(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}},)"
          R"({"index":1,"function":{"arguments":"}"}}]})")});
  CHECK(by_turns.message["content"][0]["input"] == json{{"x", 1}});
  CHECK(by_turns.message["content"][1]["input"] == json::object());
  const auto late_name = stream({rest(R"({"tool_calls":[{"index":0,"id":"a",)"
                                      R"("function":{"arguments":"{\"x\":"}}]})"),
                                 rest(R"({"tool_calls":[{"index":0,"function":)"
                                      R"({"name":"f","arguments":"1}"}}]})")});
  CHECK(late_name.message["content"]
        == json::parse(R"([{"type":"tool_use","id":"a","name":"f","input":{"x":1}}])"));
  const auto no_name = stream({rest(R"({"tool_calls":[{"function":{"arguments":"{\"x\":1}"}}]})")});
  CHECK(no_name.message["content"][0]["id"] == "toolu_chatcmpl-1_0");
  CHECK(no_name.message["content"][0]["input"] == json{{"x", 1}});
}

TEST_CASE("thinking is signed at its block's end, and text may stand between",
          "[actors][messages]") {
  const auto piece = [](const std::string& members) {
    return rest(R"({"reasoning_content":"said twice","thinking_blocks":[)" + members + "]}");
  };
  const auto got = stream({piece(R"({"index":0,"type":"thinking","thinking":"a"})"),
                           piece(R"({"index":0,"type":"thinking","thinking":"b"})"),
                           piece(R"({"index":0,"type":"thinking","signature":"c2"})"),
                           piece(R"({"index":0,"type":"thinking","signature":"ln"})"),
                           piece(R"({"index":1,"type":"redacted_thinking","data":"x"})"), said("t"),
                           piece(R"({"index":2,"type":"thinking","thinking":"c","signature":"s"})"),
                           finish("stop")},
                          {{}, true, {}});
  CHECK(got.types() == "st <...><><.><..>de st ");
  CHECK(got.message["content"]
        == json::parse(R"([{"type":"thinking","thinking":"ab","signature":"c2ln"},)"
                       R"({"type":"redacted_thinking","data":"x"},{"type":"text","text":"t"},)"
                       R"({"type":"thinking","thinking":"c","signature":"s"}])"));
}

TEST_CASE("one large delta with everything in it is played in order", "[actors][messages]") {
  const std::string members
    = R"({"thinking_blocks":[{"type":"thinking","thinking":"a","signature":"1"},)"
      R"({"type":"thinking","thinking":"b","signature":"2"}],)"
      R"("content_blocks":[{"type":"web_search_tool_result","tool_use_id":"s"}],)"
      R"("tool_calls":[{"id":"t","function":{"name":"f","arguments":"{\"x\":1}"}},)"
      R"({"id":"u","function":{"name":"g","arguments":"{}"}}]})";
  msg::chat_choice choice;
  choice.content = "text";
  choice.finish_reason = "tool_calls";
  test::take_members(choice, members);
  const auto got = stream({{0, "text", delta_members(choice.message_rest), "tool_calls",
                            R"({"stop_sequence":null})", choice.tool_calls}});
  CHECK(got.message == whole(reply_of(choice)));
}

TEST_CASE("of several choices the first is streamed", "[actors][messages]") {
  const auto got = stream({said("a"), {1, "other", {}, {}, {}}, said("b")});
  CHECK(got.message["content"][0]["text"] == "ab");
}

TEST_CASE("a provider's answer comes out as Anthropic sent it", "[actors][messages]") {
  const std::string answer
    = R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[)"
      R"({"type":"thinking","thinking":"so\u2026","signature":"RXk+/="},)"
      R"({"type":"text","text":"I look"},)"
      R"({"type":"tool_use","id":"toolu_1","name":"f","input":{ "z":1.0,"a":[1e3,"\/"]}}],)"
      R"("stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,)"
      R"("cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5,)"
      R"("service_tier":"standard"}})";
  const auto read = read_messages_reply(answer);
  REQUIRE(read);
  const auto written = messages_format({})->whole(*read);
  CHECK(json::parse(written) == json::parse(answer));
  CHECK(written.find(R"({ "z":1.0,"a":[1e3,"\/"]})") != std::string::npos);
  CHECK(written.find(R"("thinking":"so\u2026")") != std::string::npos);
}

TEST_CASE("a provider's stream comes out as Anthropic sent it", "[actors][messages]") {
  const std::vector<std::string> sent{
    R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
    R"("model":"claude","content":[],"stop_reason":null,"stop_sequence":null,)"
    R"("usage":{"input_tokens":9,"output_tokens":1}}})",
    R"({"type":"content_block_start","index":0,"content_block":)"
    R"({"type":"thinking","thinking":"","signature":""}})",
    R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}})",
    R"({"type":"content_block_delta","index":0,)"
    R"("delta":{"type":"signature_delta","signature":"c2ln"}})",
    R"({"type":"content_block_stop","index":0})",
    R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})",
    R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I"}})",
    R"({"type":"content_block_stop","index":1})",
    R"({"type":"content_block_start","index":2,"content_block":)"
    R"({"type":"tool_use","id":"toolu_1","name":"f","input":{}}})",
    R"({"type":"content_block_delta","index":2,)"
    R"("delta":{"type":"input_json_delta","partial_json":"{\"a\""}})",
    R"({"type":"content_block_delta","index":2,)"
    R"("delta":{"type":"input_json_delta","partial_json":": 1}"}})",
    R"({"type":"content_block_stop","index":2})",
    R"({"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},)"
    R"("usage":{"output_tokens":7}})",
    R"({"type":"message_stop"})"};
  anthropic_stream provider;
  const auto format = messages_format({});
  std::string frames;
  msg::token_usage usage;
  client expected_reader;
  for (const auto& data : sent) {
    expected_reader.take(json::parse(data));
    const auto event = provider.read(data);
    REQUIRE(event);
    if (!event->open.id.empty())
      frames += format->open(event->open);
    for (const auto& each : event->chunks)
      frames += format->chunk(each);
    if (event->usage)
      usage = *event->usage;
  }
  frames += format->end(usage);
  client reader;
  const auto events = events_in(frames);
  for (const auto& each : events)
    reader.take(each);
  for (const auto* member : {"id", "model", "content", "stop_reason", "stop_sequence"})
    CHECK(reader.message[member] == expected_reader.message[member]);
  CHECK(reader.message["usage"]["input_tokens"] == 9);
  CHECK(reader.message["usage"]["output_tokens"] == 7);
  CHECK(events.size() == sent.size());
}

// -- errors ---------------------------------------------------------------------------------------

TEST_CASE("an error in the middle of a stream is an error event", "[actors][messages]") {
  const auto format = messages_format({"req_1", false, {}});
  format->open({});
  const auto events = events_in(format->failed(failure{errc::stream_cut, "gone"}, {}));
  REQUIRE(events.size() == 1);
  CHECK(events[0]
        == json::parse(R"({"type":"error","error":{"type":"api_error","message":"gone"},)"
                       R"("request_id":"req_1"})"));
  failure told{errc::provider_overloaded, "full"};
  told.provider_api = msg::native_api::messages;
  told.provider_body = R"({"type":"error","error":{"type":"x","message":"m","details":{"z":1}}})";
  CHECK(events_in(format->failed(told, {}))[0] == json::parse(told.provider_body));
  told.code = errc::provider_auth_failed; // It speaks of skep's key.
  CHECK(events_in(format->failed(told, {}))[0]["error"]["type"] == "api_error");
}

TEST_CASE("errors have the status and type Anthropic's clients know", "[actors][messages]") {
  const auto shown = [](errc code) {
    const auto got = error_response(failure{code, "x"}, "model", endpoint::messages, "req_1");
    const auto body = json::parse(got.body);
    CHECK(body["type"] == "error");
    CHECK(body["request_id"] == "req_1");
    CHECK(got.headers.contains("x-should-retry"));
    CHECK(got.headers.contains("retry-after") == (got.status == 429 || got.status == 529));
    return std::to_string(got.status) + " " + body["error"]["type"].get<std::string>();
  };
  CHECK(shown(errc::bad_request) == "400 invalid_request_error");
  CHECK(shown(errc::unauthenticated) == "401 authentication_error");
  CHECK(shown(errc::forbidden) == "403 permission_error");
  CHECK(shown(errc::not_found) == "404 not_found_error");
  CHECK(shown(errc::too_large) == "413 request_too_large");
  CHECK(shown(errc::rate_limited) == "429 rate_limit_error");
  CHECK(shown(errc::quota_exhausted) == "429 rate_limit_error");
  CHECK(shown(errc::actor_failed) == "500 api_error");
  CHECK(shown(errc::provider_failed) == "502 api_error");
  CHECK(shown(errc::overloaded) == "529 overloaded_error");
  CHECK(shown(errc::provider_overloaded) == "529 overloaded_error");
  CHECK(shown(errc::circuit_open) == "529 overloaded_error");
  CHECK(shown(errc::deadline_exceeded) == "504 timeout_error");
}

TEST_CASE("blocks that came with line ends are streamed on one line", "[actors][messages]") {
  const auto reply = read_messages_reply(
    "{\"type\":\"message\",\"id\":\"m\",\"content\":[{\"type\":\"unknown\",\r\n \"signature\"\n\n:"
    "\"s\"},{\"type\":\"text\",\"text\":\"a\\nb\"}],\"stop_reason\":\"end_turn\","
    "\"container\":{\n\"id\":\"c\"}}");
  REQUIRE(reply);
  const auto format = messages_format({"req", false, {}});
  answer_player player{*reply};
  auto frames = format->open(player.open());
  while (const auto piece = player.next())
    frames += format->chunk(*piece);
  frames += format->end({});
  std::size_t events = 0;
  for (std::string_view left = frames; !left.empty(); ++events) {
    const auto end = left.find("\n\n");
    REQUIRE(end != std::string_view::npos);
    const auto frame = left.substr(0, end);
    const auto data = frame.substr(frame.find("\ndata: ") + 7);
    CHECK(json::accept(data.begin(), data.end()));
    CHECK(data.find_first_of("\r\n") == std::string_view::npos);
    left.remove_prefix(end + 2);
  }
  CHECK(events == 8);
}
