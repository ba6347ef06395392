#include "apis/chat/answer.hpp"
#include "apis/chat/answer_format.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/native_chat.hpp"
#include "tests/support/catch.hpp"

#include <string>

using namespace skep;
using namespace skep::actors;

namespace {

constexpr auto chat_api = static_cast<std::uint8_t>(msg::native_api::chat);

msg::native_request sent(std::string body) {
  return {chat_api, std::move(body), {}, {}, {}};
}

std::string frame(const std::string& data) {
  return native_frame({}, data);
}

const std::string piece_event
  = R"({"id":"c1","object":"chat.completion.chunk","x":1.0,"choices":[{"index":0,)"
    R"("delta":{"content":"a"}}]})";
const std::string usage_event
  = R"({"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}})";

} // namespace

TEST_CASE("a client's body goes to the provider as it came but for what is the provider's",
          "[chat][native]") {
  const std::string body
    = R"({ "model": "up/m", "seed":1e3, "messages":[], "future":{"b":1,"a":2} })";
  CHECK(native_chat_body(sent(body), "m", false, true)
        == R"({ "model": "m", "seed":1e3, "messages":[], "future":{"b":1,"a":2} })");
  const auto streamed = native_chat_body(sent(R"({"model":"m","stream":true})"), "m", true, true);
  CHECK(streamed == R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
  CHECK(native_chat_body(
          sent(R"({"model":"m","stream":true,"stream_options":{"include_usage":false,"o":1}})"),
          "m", true, true)
        == R"({"model":"m","stream":true,"stream_options":{"include_usage":true,"o":1}})");
  CHECK(
    native_chat_body(sent(R"({"model":"m","stream":true,"stream_options":{}})"), "m", true, false)
    == R"({"model":"m","stream":true})");
  CHECK(native_chat_body(sent(R"({"model":"m","stream":true})"), "m", false, true)
        == R"({"model":"m","stream":false})");
}

TEST_CASE("a byte order mark is nothing that anybody said", "[chat][native]") {
  CHECK(bare_json("\xEF\xBB\xBF {\"a\":1}\r\n") == R"({"a":1})");
  CHECK(bare_json("\n{}") == "{}");
  CHECK(frame("\xEF\xBB\xBF{}") == "data: {}\n\n");
}

TEST_CASE("a whole answer has an id and a model, whoever left them out", "[chat][native]") {
  const auto told = [](const std::string& text) {
    msg::chat_reply reply;
    reply.id = "c7";
    reply.model = "asked";
    reply.native = {chat_api, text};
    return chat_format(false)->whole(reply);
  };
  CHECK(told(R"({"choices":[]})") == R"({"choices":[],"id":"c7","model":"asked"})");
  CHECK(told(R"({"id":"c7","model":"m"})") == R"({"id":"c7","model":"m"})");
}

TEST_CASE("answers that OpenAI's clients could not read are not passed on", "[chat][native]") {
  CHECK(is_regular_chat(piece_event));
  CHECK(is_regular_chat(usage_event));
  CHECK_FALSE(is_regular_chat(R"({"id":"c"})"));
  CHECK_FALSE(is_regular_chat(R"({"choices":[{"delta":{"content":"a"}}]})"));
  CHECK_FALSE(is_regular_chat(
    R"({"choices":[{"index":0,"delta":{"tool_calls":[{"id":"1","function":{"name":"f",)"
    R"("arguments":"{}"}}]}}]})"));
  CHECK_FALSE(is_regular_chat(
    R"({"choices":[{"index":0,"message":{"tool_calls":[{"id":"1","function":{"name":"f",)"
    R"("arguments":{}}}]}}]})"));
  CHECK(is_regular_chat(
    R"({"choices":[{"index":0,"message":{"tool_calls":[{"id":"1","function":{"name":"f",)"
    R"("arguments":"{}"}}]}}]})"));
}

TEST_CASE("calls that a server numbers alike get numbers of their own", "[chat][native]") {
  const std::string event
    = R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{}}]}}]})";
  msg::chat_chunk piece;
  piece.tool_calls.emplace_back().index = 0;
  CHECK(has_own_numbers(event, {piece}));
  piece.tool_calls.front().index = 1;
  CHECK_FALSE(has_own_numbers(event, {piece}));
  CHECK(has_own_numbers(event, {}));
}

TEST_CASE("events come back byte for byte, and usage to who asked for it", "[chat][native]") {
  const auto frames = frame(piece_event) + frame(usage_event) + frame("[DONE]");
  native_chat_stream asked{"c1", true};
  CHECK(asked.pass(frames) == frame(piece_event) + frame(usage_event));
  CHECK(asked.told_usage());
  native_chat_stream silent{"c1", false};
  CHECK(silent.pass(frames) == frame(piece_event));
  CHECK_FALSE(silent.told_usage());
}

TEST_CASE("who shares an answer gets its events under an id of their own", "[chat][native]") {
  native_chat_stream other{"mine", false};
  auto wanted = piece_event;
  wanted.replace(wanted.find("c1"), 2, "mine");
  CHECK(other.pass(frame(piece_event)) == frame(wanted));
  // Azure's event about the prompt comes before the answer has an id.
  const auto before = frame(R"({"id":"","choices":[],"prompt_filter_results":[]})");
  CHECK(other.pass(before) == before);
}

TEST_CASE("a chat's stream mixes what came with what had to be put right", "[chat][native]") {
  const auto format = chat_format(true);
  msg::chat_open begin{"c1", 5, "m", {}, {}, {chat_api, {}}};
  CHECK(format->open(begin).empty());
  msg::chat_chunk piece;
  piece.content = "a";
  piece.native = {chat_api, frame(piece_event)};
  CHECK(format->chunk(piece) == frame(piece_event));
  piece.native.text.clear(); // Another piece of the same event.
  CHECK(format->chunk(piece).empty());
  msg::chat_chunk mended;
  mended.content = "b";
  CHECK(format->chunk(mended).find(R"("content":"b")") != std::string::npos);
  msg::token_usage usage;
  usage.prompt = 1;
  usage.completion = 1;
  const auto end = format->end(usage);
  CHECK(end.find(R"("total_tokens":2)") != std::string::npos);
  CHECK(end.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("a whole chat that is streamed is played from its typed members", "[chat][native]") {
  msg::chat_reply reply;
  reply.id = "c1";
  reply.choices.push_back({0, "assistant", "text", false, "stop", {}, {}, {}});
  reply.native = {chat_api, R"({"id":"c1","choices":[]})"};
  answer_player player{reply};
  CHECK(player.open().native == msg::native_text{});
  const auto piece = player.next();
  REQUIRE(piece);
  CHECK(piece->native.text.empty());
  CHECK_FALSE(player.next());
}
