#include "apis/openai/chat_json.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

/// What a body becomes on its way through: read by the gateway, written by a connector.
json through(const json& body) {
  const auto read = read_chat_body(body.dump());
  REQUIRE(read);
  return json::parse(write_chat_request(read->request));
}

std::string param_at_fault(const std::string& body) {
  const auto read = read_chat_body(body);
  REQUIRE(!read);
  CHECK(read.error().why.code == errc::bad_request);
  return read.error().param;
}

} // namespace

TEST_CASE("a request keeps every member on its way through", "[actors][json]") {
  const json body{
    {"model", "m"},
    {"messages",
     {{{"role", "system"}, {"content", "be brief"}},
      {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "look"}}}}},
      {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {{{"id", "c"}}}}},
      {{"role", "tool"}, {"content", "4"}, {"tool_call_id", "c"}},
      {{"role", "user"}, {"content", ""}, {"name", "ann"}}}},
    {"temperature", 0.5},
    {"tools", {{{"type", "function"}}}},
    {"unknown", {{"deep", {1, 2, 3}}}},
  };
  CHECK(through(body) == body);
}

TEST_CASE("a streamed request asks the provider for usage, whatever the client asked",
          "[actors][json]") {
  const json body{
    {"model", "m"}, {"stream", true}, {"messages", {{{"role", "user"}, {"content", "x"}}}}};
  CHECK(through(body)["stream_options"]["include_usage"] == true);
  CHECK(!read_chat_body(body.dump())->include_usage);
  auto wants = body;
  wants["stream_options"] = {{"include_usage", true}};
  CHECK(read_chat_body(wants.dump())->include_usage);
}

TEST_CASE("a wrong request names the member at fault", "[actors][json]") {
  CHECK(param_at_fault("{") == "");
  CHECK(param_at_fault("[]") == "");
  CHECK(param_at_fault(R"({"messages":[]})") == "model");
  CHECK(param_at_fault(R"({"model":"m"})") == "messages");
  CHECK(param_at_fault(R"({"model":"m","messages":[]})") == "messages");
  CHECK(param_at_fault(R"({"model":"m","messages":[{"role":"x"}]})") == "messages[0].role");
  CHECK(param_at_fault(R"({"model":"m","messages":[{"role":"user","content":1}]})")
        == "messages[0].content");
  CHECK(param_at_fault(R"({"model":"m","messages":[{"role":"user"}],"stream":1})") == "stream");
  CHECK(param_at_fault(R"({"model":"m","messages":[{"role":"user"}],"stream_options":{}})")
        == "stream_options");
  CHECK(param_at_fault(std::string(100'000, '[')) == "");
}

TEST_CASE("a whole answer keeps every member on its way through", "[actors][json]") {
  const json body{
    {"id", "c"},
    {"object", "chat.completion"},
    {"created", 5},
    {"model", "m"},
    {"system_fingerprint", "fp"},
    {"choices",
     {{{"index", 0},
       {"message", {{"role", "assistant"}, {"content", "h\u00fcllo"}, {"refusal", nullptr}}},
       {"logprobs", nullptr},
       {"finish_reason", "stop"}},
      {{"index", 1},
       {"message", {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {{{"id", "c"}}}}}},
       {"finish_reason", "tool_calls"}}}},
    {"usage",
     {{"prompt_tokens", 3},
      {"completion_tokens", 4},
      {"total_tokens", 7},
      {"prompt_tokens_details", {{"cached_tokens", 2}, {"audio_tokens", 0}}},
      {"completion_tokens_details", {{"reasoning_tokens", 1}}}}},
  };
  const auto read = read_chat_reply(body.dump());
  REQUIRE(read);
  CHECK(json::parse(write_chat_reply(*read)) == body);
}

TEST_CASE("answers that are none are the provider's failure", "[actors][json]") {
  for (const auto* body : {"", "{", "[]", "{}", R"({"choices":5})", "null"}) {
    const auto read = read_chat_reply(body);
    REQUIRE(!read);
    CHECK(read.error().code == errc::provider_failed);
  }
  CHECK(!chunk_reader{}.read("nonsense"));
  CHECK(chunk_reader{}.read(R"({"error":{"message":"broken"}})")->error->message == "broken");
}

TEST_CASE("a choice of which nobody said how it ended gets a finish reason", "[actors][json]") {
  chunk_writer writer{msg::chat_open{"c", 5, "m", {}, {}}, false};
  for (const std::uint32_t index : {0, 1, 2}) {
    msg::chat_chunk piece;
    piece.index = index;
    piece.content = "a";
    if (index == 1)
      piece.tool_calls.push_back({0, "t", "function", "f", "{}", {}});
    if (index == 2)
      piece.finish_reason = "length";
    writer.frame(piece);
  }
  const auto last = writer.finish({});
  CHECK(last.find(R"({"index":0,"delta":{},"finish_reason":"stop"})") != std::string::npos);
  CHECK(last.find(R"({"index":1,"delta":{},"finish_reason":"tool_calls"})") != std::string::npos);
  CHECK(last.find(R"("index":2)") == std::string::npos);
  CHECK(last.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("frames follow OpenAI's rules", "[actors][json]") {
  const bool usage = GENERATE(false, true);
  chunk_writer writer{msg::chat_open{"c", 5, "m", R"({"system_fingerprint":"fp"})", {}}, usage};
  msg::chat_chunk piece;
  piece.content = "a\n\"b\"";
  auto frames = writer.frame(piece);
  piece.content.clear();
  piece.finish_reason = "stop";
  frames += writer.frame(piece);
  msg::token_usage tokens;
  tokens.prompt = 1;
  frames += writer.finish(tokens);
  std::vector<json> chunks;
  while (frames.starts_with("data: {")) {
    const auto end = frames.find("\n\n");
    chunks.push_back(json::parse(frames.substr(6, end - 6)));
    frames.erase(0, end + 2);
  }
  CHECK(frames == "data: [DONE]\n\n");
  REQUIRE(chunks.size() == (usage ? 4 : 3));
  CHECK(chunks[0]["choices"][0]["delta"] == json{{"role", "assistant"}, {"content", ""}});
  CHECK(chunks[1]["choices"][0]["delta"]["content"] == "a\n\"b\"");
  CHECK(chunks[1]["choices"][0]["finish_reason"].is_null());
  CHECK(chunks[2]["choices"][0]["finish_reason"] == "stop");
  for (const auto& chunk : chunks) {
    CHECK(chunk["id"] == "c");
    CHECK(chunk["object"] == "chat.completion.chunk");
    CHECK(chunk["system_fingerprint"] == "fp");
    CHECK(chunk.contains("usage") == usage);
  }
  if (usage) {
    CHECK(chunks[2]["usage"].is_null());
    CHECK(chunks[3]["choices"].empty());
    CHECK(chunks[3]["usage"]["prompt_tokens_details"]["cached_tokens"] == 0);
  }
}

TEST_CASE("what an answer begins with is repeated, but not what is about its prompt",
          "[actors][json]") {
  chunk_writer writer{
    msg::chat_open{"c", 5, "m", R"({"fp":"x","prompt_filter_results":[{"prompt_index":0}]})", {}},
    false};
  msg::chat_chunk piece;
  piece.content = "a";
  const auto first = writer.frame(piece);
  const auto second = writer.frame(piece);
  const auto count = [](const std::string& in, std::string_view what) {
    std::size_t found = 0;
    for (auto at = in.find(what); at != std::string::npos; at = in.find(what, at + 1))
      ++found;
    return found;
  };
  CHECK(count(first, "prompt_filter_results") == 1);
  CHECK(count(first, R"("fp":"x")") == 2); // The role has a frame of its own.
  CHECK(count(second, "prompt_filter_results") == 0);
  CHECK(count(second, R"("fp":"x")") == 1);
}

TEST_CASE("an answer with a choice that failed is none, and says why", "[actors][json]") {
  const std::string failed
    = GENERATE(R"("choices":[{"message":{"content":"half"},"finish_reason":"error",)"
               R"("error":{"code":502,"message":"died"}}])",
               R"("choices":[{"message":{"content":"half"},"finish_reason":"stop",)"
               R"("error":{"code":502,"message":"died"}}])",
               R"("error":{"code":502,"message":"died"},)"
               R"("choices":[{"message":{"content":"half"},"finish_reason":"stop"}])");
  const auto body = "{" + failed + "}";
  CHECK(!read_chat_reply(body));
  CHECK(read_error(body).message == "died");
  CHECK(read_error(body).code == "502");
}

TEST_CASE("the provider's own sum of tokens comes back", "[actors][json]") {
  const auto shown = [](const std::string& usage) {
    const auto read = read_chat_reply(
      R"({"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":)" + usage + "}");
    REQUIRE(read);
    return json::parse(write_usage(read->usage));
  };
  const auto gemini = shown(R"({"prompt_tokens":20,"completion_tokens":198,"total_tokens":623})");
  CHECK(gemini["total_tokens"] == 623);
  CHECK(gemini["completion_tokens"] == 198);
  const auto partial = shown(R"({"prompt_tokens":12,"completion_tokens":null,"total_tokens":40})");
  CHECK(partial["completion_tokens"] == 28);
  CHECK(partial["total_tokens"] == 40);
  CHECK(shown(R"({"prompt_tokens":3,"completion_tokens":4})")["total_tokens"] == 7);
  CHECK(shown(R"({"prompt_tokens":3,"completion_tokens":4,"total_tokens":0})")["total_tokens"]
        == 7);
  msg::token_usage plain;
  plain.prompt = 3;
  plain.completion = 4;
  CHECK(total_of(plain) == 7);
}

TEST_CASE("a stream asks for usage unless it is not to", "[actors][json]") {
  msg::chat_request request;
  request.model = "m";
  request.stream = true;
  CHECK(json::parse(write_chat_request(request))["stream_options"]["include_usage"] == true);
  const auto plain = json::parse(write_chat_request(request, false));
  CHECK(plain["stream"] == true);
  CHECK(!plain.contains("stream_options"));
}

TEST_CASE("the errors of providers are read whatever their shape", "[actors][json]") {
  CHECK(read_error(R"({"error":{"message":"m","type":"t","code":"c"}})").code == "c");
  CHECK(read_error(R"({"error":"plain"})").message == "plain");
  CHECK(read_error(R"({"error":{"message":"m","code":429}})").code == "429");
  CHECK(read_error(R"({"object":"error","message":"m","type":"t","code":400})").message == "m");
  CHECK(read_error(R"({"detail":"m"})").message == "m");
  CHECK(read_error(R"({"error":{"message":"m","param":"temperature"}})").param == "temperature");
  const auto fastapi = read_error(
    R"({"detail":[{"loc":["body","messages",0,"role"],"msg":"Field required"},{"msg":"no"}]})");
  CHECK(fastapi.message == "messages[0].role: Field required; no");
  CHECK(fastapi.param == "messages[0].role");
  CHECK(read_error(R"([{"error":{"code":400,"message":"Gemini says no"}}])").message
        == "Gemini says no");
  CHECK(read_error(
          R"({"object":"error","message":{"detail":[{"msg":"Extra inputs","loc":["body","x"]}]}})")
          .message
        == "x: Extra inputs");
  const auto xai = read_error(R"({"code":"permission-denied","error":"Content violates"})");
  CHECK(xai.message == "Content violates");
  CHECK(xai.code == "permission-denied");
  CHECK(read_error(R"({"errors":[{"message":"m"}]})").message == "m");
  CHECK(read_error("{\"error\":{\"message\":\"a\\ud83d\"}}").message == "a\uFFFD");
  CHECK(read_error("[]").message.empty());
  CHECK(read_error("<html>").message.empty());
  CHECK(read_error(R"({"error":{"message":5,"code":null}})").message.empty());
}

TEST_CASE("an answer in parts is read and written as it came", "[actors][openai]") {
  const std::string parts = R"([{"type":"thinking","thinking":[]},{"type":"text","text":"16"}])";
  const auto read = read_chat_reply(R"({"id":"x","model":"m","choices":[{"index":0,)"
                                    R"("message":{"role":"assistant","content":)"
                                    + parts + R"(},"finish_reason":"stop"}]})");
  REQUIRE(read);
  CHECK(!read->choices.at(0).content_null);
  const auto written = write_chat_reply(*read);
  CHECK(written.find("\"content\":") == written.rfind("\"content\":"));
  const auto from = written.find("\"content\":") + 10;
  CHECK(nlohmann::json::parse(written.substr(from, written.find(",\"finish_reason\"") - from - 1))
        == nlohmann::json::parse(parts));
}
