#include "actors/provider/answer_stream.hpp"
#include "tests/support/catch.hpp"

#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;

namespace {

using phase = answer_stream::phase;

const std::string head = R"({"id":"c","created":5,"model":"m",)";

/// One that reads OpenAI's events.
struct openai_stream : answer_stream {
  openai_stream()
    : answer_stream(openai_dialect(std::make_shared<const provider_config>(), {}, {})
                      ->codec_for({})
                      .read_stream()) {}
};

std::string event(const std::string& json) {
  return "data: " + json + "\n\n";
}

std::string text(const std::string& content, const std::string& index = "0") {
  return event(head + R"("choices":[{"index":)" + index + R"(,"delta":{"content":")" + content
               + R"("},"finish_reason":null}]})");
}

std::string finish(const std::string& index = "0") {
  return event(head + R"("choices":[{"index":)" + index
               + R"(,"delta":{},"finish_reason":"stop"}]})");
}

std::string usage_event() {
  return event(head + R"("choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}})");
}

std::string all_text(answer_stream& from) {
  std::string sum;
  while (from.waiting())
    sum += from.take_chunk().content;
  return sum;
}

} // namespace

TEST_CASE("a stream is put together wherever its bytes are split", "[provider][stream]") {
  const auto bytes = text("he") + text("llo") + finish() + usage_event() + event("[DONE]");
  const auto step = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{10'000});
  openai_stream stream;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    stream.push(std::string_view{bytes}.substr(at, step));
  const auto open = stream.take_open();
  REQUIRE(open);
  CHECK(open->id == "c");
  CHECK(open->created == 5);
  CHECK(open->model == "m");
  CHECK(!stream.take_open());
  CHECK(all_text(stream) == "hello");
  CHECK(stream.state() == phase::whole);
  CHECK(stream.usage(100).prompt == 7);
  CHECK(stream.usage(100).completion == 2);
  CHECK(!stream.usage(100).estimated);
}

TEST_CASE("a stream without usage has it estimated, and marked so", "[provider][stream]") {
  openai_stream stream;
  stream.push(text("12345678") + finish() + event("[DONE]"));
  const auto usage = stream.usage(9);
  CHECK(usage.estimated);
  CHECK(usage.prompt == 3);
  CHECK(usage.completion == 2);
}

TEST_CASE("without [DONE] an answer is whole once every choice has finished",
          "[provider][stream]") {
  openai_stream stream;
  stream.push(text("a", "0") + text("b", "1") + finish("0"));
  SECTION("all finished") {
    stream.push(finish("1"));
    stream.close();
    CHECK(stream.state() == phase::whole);
  }
  SECTION("one did not") {
    CHECK(!stream.finished());
    stream.close();
    CHECK(stream.state() == phase::failed);
    CHECK(stream.why().code == errc::stream_cut);
  }
  // LiteLLM says how one of several choices ended, Snowflake of none.
  SECTION("one did not, and [DONE] came") {
    stream.push(event("[DONE]"));
    CHECK(stream.state() == phase::whole);
  }
}

TEST_CASE("a stream that ends too early was cut", "[provider][stream]") {
  const auto* bytes = GENERATE("", "data: [DONE]\n\n", ": ping\n\n");
  openai_stream stream;
  stream.push(bytes);
  stream.close();
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::stream_cut);
  CHECK(!stream.take_open());
}

TEST_CASE("an answer begins with what its client sees, not with its preamble",
          "[provider][stream]") {
  const auto piece = [](const std::string& delta) {
    return event(head + R"("choices":[{"index":0,"delta":)" + delta
                 + R"(,"finish_reason":null}]})");
  };
  openai_stream stream;
  stream.push(piece(R"({"role":"assistant","content":"","refusal":null})") + piece("{}")
              + piece(R"({"reasoning_content":"","tool_calls":[]})") + usage_event());
  CHECK(!stream.take_open());
  CHECK(!stream.waiting());
  CHECK(stream.state() == phase::reading);
  SECTION("a text") {
    stream.push(text("a"));
    CHECK(stream.take_open()->id == "c");
    CHECK(all_text(stream) == "a");
  }
  SECTION("a tool call") {
    stream.push(piece(R"({"tool_calls":[{"index":0,"id":"t","function":{"name":"f"}}]})"));
    CHECK(stream.take_open());
  }
  SECTION("a finish reason") {
    stream.push(finish());
    CHECK(stream.take_open());
  }
  SECTION("nothing: the provider never answered") {
    stream.push(event(R"({"error":{"message":"boom"}})"));
    CHECK(!stream.take_open());
    CHECK(!stream.waiting());
    CHECK(stream.state() == phase::failed);
  }
}

TEST_CASE("an endless preamble is not kept", "[provider][stream]") {
  openai_stream stream;
  const auto one = event(head + R"("choices":[{"index":0,"delta":{"refusal":null}}]})");
  int pieces = 0;
  while (!stream.waiting() && pieces < 10'000) {
    stream.push(one);
    ++pieces;
  }
  CHECK(stream.take_open());
  CHECK(pieces < 1'000);
}

TEST_CASE("events that only keep the connection awake say nothing", "[provider][stream]") {
  const auto* const beat
    = GENERATE("data:\n\n", "data: \n\n", "data:   \n\n", "event: keepalive\ndata: keepalive\n\n",
               "data: null\n\n", "event: ping\ndata:\n\n", "data: keep-alive\n\n", ": ping\n\n");
  openai_stream stream;
  stream.push(beat + text("he") + beat + text("y") + beat + finish() + beat + "data: [DONE] \n\n");
  CHECK(all_text(stream) == "hey");
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("a character cut in two between events is put together", "[provider][stream]") {
  openai_stream stream;
  const bool escaped = GENERATE(true, false);
  stream.push(text(escaped ? R"(a\ud83d)" : "a\xF0\x9F"));
  CHECK(all_text(stream).empty());
  stream.push(text(escaped ? R"(\ude00b)"
                           : "\x98\x80"
                             "b"));
  CHECK(all_text(stream)
        == "a\U0001F600"
           "b");
  stream.push(text(R"(\udcaf)") + finish() + event("[DONE]"));
  CHECK(all_text(stream) == "\uFFFD");
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("half a character at the end of a stream is U+FFFD", "[provider][stream]") {
  openai_stream stream;
  stream.push(text(R"(a\ud83d)"));
  SECTION("that is cut") {
    stream.close();
    CHECK(stream.state() == phase::failed);
  }
  SECTION("that breaks") {
    stream.fail(failure{errc::transport_failed});
    CHECK(stream.state() == phase::failed);
  }
  CHECK(all_text(stream) == "a\uFFFD");
}

TEST_CASE("a choice finishes once", "[provider][stream]") {
  openai_stream stream;
  stream.push(text("a") + finish() + finish() + event("[DONE]"));
  int finishes = 0;
  while (stream.waiting())
    finishes += stream.take_chunk().finish_reason.empty() ? 0 : 1;
  CHECK(finishes == 1);
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("an answer has the names of the first event that has any", "[provider][stream]") {
  openai_stream stream;
  const auto* const first
    = GENERATE(R"({"id":"","object":"","created":0,"model":"","choices":[],)"
               R"("prompt_filter_results":[{"prompt_index":0}]})",
               R"({"type":"ping","prompt_filter_results":[{"prompt_index":0}]})");
  stream.push(event(first) + text("a"));
  const auto open = stream.take_open();
  REQUIRE(open);
  CHECK(open->id == "c");
  CHECK(open->model == "m");
  CHECK(open->created == 5);
  CHECK(open->rest.find("prompt_filter_results") != std::string::npos);
}

TEST_CASE("a choice that failed fails the stream", "[provider][stream]") {
  const auto* const end
    = GENERATE(R"("finish_reason":"error","error":{"code":502,"message":"upstream died"}}]})",
               R"("finish_reason":"stop","error":{"code":502,"message":"upstream died"}}]})");
  openai_stream stream;
  stream.push(text("half") + event(head + R"("choices":[{"index":0,"delta":{"content":""},)" + end)
              + event("[DONE]"));
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::provider_failed);
  CHECK(stream.why().detail == "upstream died");
  CHECK(all_text(stream) == "half");
}

TEST_CASE("members that say no error are none", "[provider][stream]") {
  openai_stream stream;
  stream.push(event(head + R"("error":null,"choices":[{"index":0,"delta":{"content":"a"},)"
                    + R"("finish_reason":"stop","error":null}]})")
              + event("[DONE]"));
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("JSON instead of a stream is kept as a body, within its bound", "[provider][stream]") {
  answer_stream stream{
    openai_dialect(std::make_shared<const provider_config>(), {}, {})->codec_for({}).read_stream(),
    20};
  stream.push(" \r\n");
  CHECK(stream.body() == nullptr);
  stream.push(R"({"error")");
  stream.push(R"(:"no"})");
  REQUIRE(stream.body() != nullptr);
  CHECK(*stream.body() == R"({"error":"no"})");
  stream.push(std::string(20, ' '));
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::malformed);
}

TEST_CASE("an error in the middle keeps what came before it", "[provider][stream]") {
  openai_stream stream;
  stream.push(text("a") + event(R"({"error":{"message":"slow","code":"rate_limit_exceeded"}})")
              + text("b"));
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::rate_limited);
  CHECK(stream.why().detail == "slow");
  CHECK(all_text(stream) == "a");
}

TEST_CASE("what follows an answer's end is ignored", "[provider][stream]") {
  openai_stream stream;
  stream.push(text("a") + finish() + event("[DONE]") + text("b") + event("nonsense"));
  stream.fail(failure{errc::transport_failed});
  CHECK(all_text(stream) == "a");
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("an event that is no chunk, or never ends, fails the stream", "[provider][stream]") {
  const auto bytes = GENERATE(std::string{"data: {nonsense\n\n"},
                              "data: " + std::string(std::size_t{5} << 20, 'x'));
  openai_stream stream;
  stream.push(bytes);
  CHECK(stream.state() == phase::failed);
  CHECK(stream.why().code == errc::provider_failed);
}

TEST_CASE("no provider makes us keep books on endless choices", "[provider][stream]") {
  openai_stream stream;
  for (int index = 0; index < 200; ++index)
    stream.push(text("a", std::to_string(index)));
  CHECK(stream.state() == phase::failed);
}

TEST_CASE("with the client's own API each event goes with its piece", "[provider][stream]") {
  const auto options = std::make_shared<const provider_config>();
  answer_stream stream{openai_dialect(options, {}, {})->codec_for({}).read_stream(), 1 << 20,
                       msg::native_api::chat};
  const auto role = event(head + R"("choices":[{"index":0,"delta":{"role":"assistant"}}]})");
  const auto last = usage_event() + event("[DONE]");
  stream.push(role + text("he") + text("y") + finish() + last);
  const auto open = stream.take_open();
  REQUIRE(open);
  CHECK(open->native.is(msg::native_api::chat));
  auto all = open->native.text;
  while (stream.waiting()) {
    const auto piece = stream.take_chunk();
    CHECK(piece.native.is(msg::native_api::chat));
    all += piece.native.text;
  }
  CHECK(all == role + text("he") + text("y") + finish() + last);
  CHECK(stream.state() == phase::whole);
}

TEST_CASE("an event that clients could not read has no text of its own", "[provider][stream]") {
  const auto options = std::make_shared<const provider_config>();
  answer_stream stream{openai_dialect(options, {}, {})->codec_for({}).read_stream(), 1 << 20,
                       msg::native_api::chat};
  stream.push(event(head + R"("choices":[{"delta":{"content":"no index"}}]})"));
  REQUIRE(stream.take_open());
  CHECK(stream.take_chunk().native == msg::native_text{});
}
