#include "apis/chat/answer.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "tests/support/catch.hpp"

#include <chrono>

using namespace skep;
using namespace skep::actors;
using Catch::Matchers::Contains;

namespace {

msg::chat_reply reply_of(std::string text) {
  msg::chat_reply reply;
  reply.id = "x";
  reply.model = "m";
  reply.choices.emplace_back();
  reply.choices.back().content = std::move(text);
  reply.choices.back().finish_reason = "stop";
  return reply;
}

std::string played(answer_player player) {
  std::string text;
  while (const auto piece = player.next())
    text += piece->content;
  return text;
}

} // namespace

TEST_CASE("an answer played as a stream and collected again is the same", "[actors][answer]") {
  auto before = reply_of({});
  before.choices[0].content.assign(5000, 'a').append("end");
  answer_player player{before};
  answer_builder builder{1 << 20};
  builder.open(player.open());
  while (const auto piece = player.next())
    builder.add(*piece);
  const auto after = builder.finish(player.end());
  REQUIRE(after);
  CHECK(*after == before);
}

TEST_CASE("pieces never end inside a character", "[actors][answer]") {
  std::string text;
  for (int n = 0; n < 2000; ++n)
    text += "\xe2\x82\xac"; // Three bytes each, so that 1024 falls inside one.
  answer_player player{reply_of(text)};
  while (const auto piece = player.next())
    CHECK(piece->content.size() % 3 == 0);
  CHECK(played(answer_player{reply_of(text)}) == text);
}

TEST_CASE("an empty answer is one piece with its finish reason", "[actors][answer]") {
  answer_player player{reply_of("")};
  const auto piece = player.next();
  REQUIRE(piece);
  CHECK(piece->finish_reason == "stop");
  CHECK(!player.next());
}

TEST_CASE("an answer over the bound is not collected", "[actors][answer]") {
  answer_builder small{1000};
  msg::chat_chunk piece;
  piece.content = std::string(2000, 'x');
  small.add(piece);
  CHECK(small.bytes() == 0);
  CHECK(!small.finish({}));
  answer_builder calls{10'000};
  piece = {};
  for (int n = 0; n < 1000; ++n) {
    piece.tool_calls = {{0, "", "", "", "0123456789", ""}};
    calls.add(piece);
    CHECK(calls.bytes() <= 10'000);
  }
  CHECK(!calls.finish({}));
}

TEST_CASE("what a builder keeps is counted, not what pieces weigh", "[actors][answer]") {
  answer_builder builder{50'000};
  for (int n = 0; n < 10'000; ++n)
    builder.add({0, "abc", R"({"refusal":null})", "", R"({"token_id":)" + std::to_string(n) + "}"});
  CHECK(builder.bytes() < 32'000);
  const auto reply = builder.finish({});
  REQUIRE(reply);
  CHECK(reply->choices[0].content.size() == 30'000);
  CHECK(reply->choices[0].rest == R"({"token_id":9999})");
}

TEST_CASE("a stream is put together with all its members", "[actors][answer]") {
  struct example {
    std::vector<std::pair<std::string, std::string>> pieces; // Of a delta and of its choice.
    std::string message;
    std::string choice;
  };
  const auto e = GENERATE(values<example>({
    {{{R"({"refusal":null})", ""}, {"", ""}}, R"({"refusal":null})", ""},
    {{{R"({"refusal":null})", ""}, {R"({"refusal":"I "})", ""}, {R"({"refusal":"won't"})", ""}},
     R"({"refusal":"I won't"})",
     ""},
    {{{R"({"reasoning_content":"a\n"})", ""}, {R"({"reasoning_content":"\u20acb"})", ""}},
     R"({"reasoning_content":"a\n\u20acb"})",
     ""},
    {{{R"({"parts":[ ]})", ""}, {R"({"parts":[1, 2]})", ""}, {R"({"parts":[3]})", ""}},
     R"({"parts":[1, 2,3]})",
     ""},
    {{{R"({"audio":{"id":"x","data":"QQ"}})", ""}, {R"({"audio":{"id":"x","data":"=="}})", ""}},
     R"({"audio":{"id":"x","data":"QQ=="}})",
     ""},
    {{{R"({"n":1,"b":false})", ""}, {R"({"n":2,"b":true})", ""}}, R"({"n":2,"b":true})", ""},
    {{{"", R"({"logprobs":{"content":[1],"refusal":null}})"},
      {"", R"({"logprobs":{"content":[2],"refusal":null}})"}},
     "",
     R"({"logprobs":{"content":[1,2],"refusal":null}})"},
    {{{"", R"({"native_finish_reason":null,"content_filter_results":{"hate":{"filtered":false}}})"},
      {"", R"({"native_finish_reason":"stop","content_filter_results":{}})"}},
     "",
     R"({"native_finish_reason":"stop","content_filter_results":{"hate":{"filtered":false}}})"},
    {{{"", R"({"text":"a"})"}, {"", R"({"text":"b"})"}}, "", R"({"text":"b"})"},
    {{{"", R"({"text":"a"})"}, {"", R"({"text":""})"}}, "", R"({"text":""})"},
  }));
  answer_builder builder{1 << 20};
  for (const auto& [delta, choice] : e.pieces)
    builder.add({0, "", delta, "", choice});
  const auto reply = builder.finish({});
  REQUIRE(reply);
  CHECK(reply->choices[0].message_rest == e.message);
  CHECK(reply->choices[0].rest == e.choice);
}

TEST_CASE("tool calls are put together from their pieces", "[actors][answer]") {
  const bool indexed = GENERATE(true, false);
  const std::string first = indexed ? R"("index":0,)" : "";
  const std::string second = indexed ? R"("index":1,)" : "";
  chunk_reader reader;
  const auto call = [&](const std::string& members) {
    const auto event = reader.read(R"({"choices":[{"delta":{"tool_calls":[{)" + members + "}]}}]}");
    return event.value().chunks.at(0);
  };
  answer_builder builder{1 << 20};
  builder.add(call(first + R"("id":"a","type":"function","function":{"name":"f","arguments":""})"));
  builder.add(call(first + R"("id":"a","type":"function","function":{"arguments":"{\"x\""})"));
  builder.add(call(first + R"("function":{"name":null,"arguments":":1}"})"));
  builder.add(
    call(second + R"("id":"b","type":"function","function":{"name":"g","arguments":"{}"})"));
  builder.add({0, "", "", "tool_calls", ""});
  const auto reply = builder.finish({});
  REQUIRE(reply);
  const auto& choice = reply->choices[0];
  CHECK(choice.content_null);
  CHECK(choice.finish_reason == "tool_calls");
  CHECK(choice.message_rest.empty());
  CHECK_THAT(write_chat_reply(*reply),
             Contains(R"("tool_calls":[{"id":"a","type":"function",)"
                      R"("function":{"name":"f","arguments":"{\"x\":1}"}},)"
                      R"({"id":"b","type":"function",)"
                      R"("function":{"name":"g","arguments":"{}"}}])"));
  answer_player player{*reply};
  const auto piece = player.next();
  REQUIRE(piece);
  CHECK(piece->delta_rest.empty());
  CHECK(piece->tool_calls == choice.tool_calls);
  CHECK(choice.tool_calls.at(1).index == 1);
}

TEST_CASE("members are played before a long text and tool calls behind it", "[actors][answer]") {
  auto reply = reply_of(std::string(3000, 'x'));
  reply.choices[0].message_rest = R"({"reasoning":"hm","refusal":null})";
  reply.choices[0].tool_calls = {{0, "a", "", "", "", ""}};
  answer_player player{reply};
  CHECK(player.next()->delta_rest == R"({"reasoning":"hm","refusal":null})");
  CHECK(player.next()->delta_rest.empty());
  const auto last = player.next();
  REQUIRE(last);
  CHECK(last->delta_rest.empty());
  CHECK(last->tool_calls == reply.choices[0].tool_calls);
  CHECK(last->finish_reason == "stop");
  CHECK(!player.next());
}

TEST_CASE("content in parts is played before text and written as one list with it",
          "[actors][answer]") {
  const std::string thought = R"({"type":"thinking","thinking":[{"type":"text","text":"hm"}]})";
  answer_builder builder{1 << 20};
  const bool text_first = GENERATE(false, true);
  if (text_first)
    builder.add({0, "So", "", "", ""});
  builder.add({0, "", R"({"content":[)" + thought + "]}", "", ""});
  builder.add({0, "Yes", "", "", ""});
  builder.add({0, "", "", "stop", ""});
  const auto reply = builder.finish({});
  REQUIRE(reply);
  const std::string before = text_first ? R"({"type":"text","text":"So"},)" : "";
  CHECK_THAT(write_chat_reply(*reply),
             Contains(R"("content":[)" + before + thought + R"(,{"type":"text","text":"Yes"}])"));
  answer_player player{*reply};
  const auto parts = player.next();
  REQUIRE(parts);
  CHECK(parts->content.empty());
  CHECK(parts->delta_rest == R"({"content":[)" + before + thought + "]}");
  CHECK(player.next()->content == "Yes");
}

TEST_CASE("what is written of a choice never stands there twice", "[actors][answer]") {
  msg::chat_reply reply = reply_of("A.");
  reply.choices[0].rest = R"({"delta":{"role":"assistant","content":""},"message":{"content":""}})";
  const auto count = [](const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
      ++found;
    return found;
  };
  CHECK(count(write_chat_reply(reply), R"("message":)") == 1);
  answer_player player{reply};
  chunk_writer writer{player.open(), false};
  const auto frames = writer.frame(*player.next());
  CHECK_THAT(frames, Contains(R"("delta":{"content":"A."},)"));
  CHECK(count(frames, R"("delta":)") == 2); // One in each of two frames.
}

TEST_CASE("putting a stream together takes time in proportion to its length", "[actors][answer]") {
  const auto time_of = [](int pieces) {
    answer_builder builder{std::size_t{64} << 20};
    msg::chat_chunk piece;
    const auto from = std::chrono::steady_clock::now();
    for (int n = 0; n < pieces; ++n) {
      piece.delta_rest
        = R"({"reasoning":"some words","reasoning_details":[{"index":0,"text":"some words"}]})";
      piece.tool_calls = {{static_cast<std::uint32_t>(n % 50), "", "", "", "abcdefgh",
                           R"({"extra_content":{"signature":"abc"}})"}};
      piece.rest = R"({"logprobs":{"content":[{"token":"x","logprob":-1}]}})";
      builder.add(piece);
    }
    REQUIRE(builder.finish({}));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
  };
  time_of(1000);
  // Ten times as many: ten times as long, not a hundred times.
  CHECK(time_of(50'000) < 40 * time_of(5'000));
}
