// Providers have prompt caches of their own. What steers them must reach them, what they say about
// them must reach the client, and a conversation that grows must begin with the same bytes.
#include "apis/openai/chat_json.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;

namespace {

const std::string parts
  = R"([{"type":"text","text":"Long instructions.",)"
    R"("cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"More."}])";
const std::string tools
  = R"([{"type":"function","function":{"name":"find","parameters":{"type":"object","properties":)"
    R"({"reason":{"type":"string"},"answer":{"type":"string"}}}},)"
    R"("cache_control":{"type":"ephemeral"}}])";

std::string body_with(const std::string& more_messages) {
  return R"({"prompt_cache_retention":"24h","model":"m","messages":[{"role":"system","content":)"
         + parts + R"(},{"content":"hi","role":"user"})" + more_messages
         + R"(],"prompt_cache_key":"k-1","tools":)" + tools + R"(,"temperature":0.10})";
}

msg::chat_request request_of(const std::string& body) {
  const auto read = read_chat_body(body);
  REQUIRE(read);
  return read->request;
}

const std::string usage
  = R"({"prompt_tokens":2000,"completion_tokens":5,"total_tokens":2005,"prompt_tokens_details":)"
    R"({"cached_tokens":1920,"audio_tokens":0,"cache_write_tokens":64},)"
    R"("cache_creation_input_tokens":64,"cache_read_input_tokens":1920})";

} // namespace

TEST_CASE("cache controls reach the provider byte for byte, in their order",
          "[actors][provider][prompt_cache]") {
  std::string seen;
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request.body;
      on.reply(200, whole_answer);
    })};
  CHECK(provider.finish_chat(request_of(body_with("")))->story() == "reply");
  CHECK(seen.find("\"content\":" + parts) != std::string::npos);
  CHECK(seen.find("\"tools\":" + tools) != std::string::npos);
  CHECK(seen.find(R"("prompt_cache_key":"k-1")") != std::string::npos);
  CHECK(seen.find(R"("prompt_cache_retention":"24h")") != std::string::npos);
  CHECK(seen.find(R"("temperature":0.10)") != std::string::npos);
  CHECK(json::parse(seen) == json::parse(body_with("")));
}

TEST_CASE("a conversation that grows begins with the same bytes at the provider",
          "[actors][provider][prompt_cache]") {
  const auto turn = R"(,{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":)"
                    R"("function","function":{"name":"find","arguments":"{\"answer\":1}"}}]},)"
                    R"({"role":"tool","tool_call_id":"c","content":"found"})";
  std::string more;
  auto before = write_chat_request(request_of(body_with(more)));
  for (int n = 0; n < 5; ++n) {
    more += turn;
    const auto now = write_chat_request(request_of(body_with(more)));
    // Everything up to the end of the messages there were, and all of the parameters.
    const auto end_before = before.rfind("],\"prompt_cache_retention\"");
    const auto end_now = now.rfind("],\"prompt_cache_retention\"");
    REQUIRE(end_before != std::string::npos);
    REQUIRE(end_now != std::string::npos);
    CHECK(now.compare(0, end_before, before, 0, end_before) == 0);
    CHECK(now.substr(end_now) == before.substr(end_before));
    before = now;
  }
  CHECK(write_chat_request(request_of(body_with(more))) == before);
}

TEST_CASE("a whole answer's account of the provider's prompt cache reaches the client",
          "[actors][provider][prompt_cache]") {
  const auto reply
    = read_chat_reply(R"({"id":"x","model":"m","choices":[{"index":0,"message":)"
                      R"({"role":"assistant","content":"a"},"finish_reason":"stop"}],)"
                      R"("usage":)"
                      + usage + "}");
  REQUIRE(reply);
  CHECK(reply->usage.cached_prompt == 1920);
  CHECK(json::parse(write_chat_reply(*reply))["usage"] == json::parse(usage));
}

TEST_CASE("a stream's account of the provider's prompt cache reaches the client",
          "[actors][provider][prompt_cache]") {
  const auto event
    = chunk_reader{}.read(R"({"id":"x","model":"m","choices":[],"usage":)" + usage + "}");
  REQUIRE(event);
  REQUIRE(event->usage);
  CHECK(event->usage->cached_prompt == 1920);
  chunk_writer writer{msg::chat_open{"x", 1, "m", {}, {}}, true};
  const auto frames = writer.finish(*event->usage);
  const auto frame = frames.substr(6, frames.find("\n\n") - 6);
  CHECK(json::parse(frame)["usage"] == json::parse(usage));
}
