#include "apis/chat/plain_words.hpp"
#include "apis/openai/chat_json.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

msg::chat_choice choice_of(const std::string& message, const std::string& more = "") {
  auto read = read_chat_reply(R"({"choices":[{"index":0,"message":)" + message + more + "}]}");
  REQUIRE(read);
  return read->choices.at(0);
}

msg::chat_choice plain_of(const std::string& message, const std::string& more = "") {
  const auto plain = in_plain_words(choice_of(message, more));
  REQUIRE(plain);
  return *plain;
}

} // namespace

TEST_CASE("what is said in plain words stays as it is", "[actors][gateway]") {
  const auto message = GENERATE(as<std::string>{}, R"({"role":"assistant","content":"A."})",
                                R"({"content":null,"refusal":"No."})", R"({"reasoning":"Hm."})");
  CHECK_FALSE(in_plain_words(choice_of(message, R"(,"finish_reason":"stop")")));
}

TEST_CASE("a content of parts is a text and what was thought", "[actors][gateway]") {
  const auto plain
    = plain_of(R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"},)"
               R"({"type":"text","text":"b"}]},{"type":"thinking","thinking":"c"},)"
               R"({"type":"text","text":"A"},{"type":"reference","reference_ids":[1]},7,)"
               R"({"type":"text","text":"B"}],"prefix":false})");
  CHECK(plain.content == "AB");
  const json::object rest{plain.message_rest};
  CHECK(reasoning_of(rest) == "abc");
  CHECK(rest.at("prefix") == "false");
  CHECK_FALSE(rest.has("content"));
}

TEST_CASE("a piece of a stream with parts keeps the text beside them", "[actors][gateway]") {
  msg::chat_chunk piece;
  piece.content = "B";
  piece.delta_rest = R"({"content":[{"type":"text","text":"A"}]})";
  const auto plain = in_plain_words(piece);
  REQUIRE(plain);
  CHECK(plain->content == "AB");
  CHECK(plain->delta_rest.empty());
}

TEST_CASE("a function_call is a tool call", "[actors][gateway]") {
  const auto plain
    = plain_of(R"({"content":null,"function_call":{"name":"f","arguments":"{\"x\":1}"}})");
  REQUIRE(plain.tool_calls.size() == 1);
  CHECK(plain.tool_calls[0].name == "f");
  CHECK(plain.tool_calls[0].arguments == R"({"x":1})");
  // The API writes null where there is none, Snowflake an empty one.
  const auto none = GENERATE(as<std::string>{}, "null", R"({"name":"","arguments":""})", "{}", "7");
  CHECK(plain_of(R"({"function_call":)" + none + "}").tool_calls.empty());
}

TEST_CASE("each server's word for its end is the API's", "[actors][gateway]") {
  const auto finish = [](const std::string& more) { return plain_of("{}", more).finish_reason; };
  CHECK(finish(R"(,"finish_reason":"model_length")") == "length");
  CHECK(finish(R"(,"finish_reason":"insufficient_system_resource")") == "length");
  CHECK(finish(R"(,"finish_reason":"content_filter: SAFETY")") == "content_filter");
  CHECK(finish(R"(,"finish_reason":"stop","stop_reason":"pause_turn")") == "length");
}
