// The connector in front of an upstream that speaks Anthropic's Messages API.
#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <nlohmann/json.hpp>

#include <atomic>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::test::eventually;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;
using std::chrono::milliseconds;

namespace {

provider_config anthropic_quick() {
  auto options = quick_options();
  options.kind = provider_kind::anthropic;
  options.api_key = config::secret{"KEY", "sk-ant-secret"};
  return options;
}

const std::string whole
  = R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[)"
    R"({"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,)"
    R"("usage":{"input_tokens":7,"output_tokens":2}})";

std::string event(const std::string& type, const std::string& members = {}) {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\""
         + (members.empty() ? "" : "," + members) + "}\n\n";
}

const std::string message_start
  = event("message_start", R"("message":{"id":"msg_1","model":"claude","usage":)"
                           R"({"input_tokens":7,"output_tokens":1}})");
const std::string block_start
  = event("content_block_start", R"("index":0,"content_block":{"type":"text","text":""})");
const std::string block_stop = event("content_block_stop", R"("index":0)");
const std::string message_end
  = event("message_delta",
          R"("delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2})")
    + event("message_stop");

std::string text_piece(const std::string& text) {
  return event("content_block_delta",
               R"("index":0,"delta":{"type":"text_delta","text":")" + text + "\"}");
}

std::string error_of(const std::string& type, const std::string& message) {
  return R"({"type":"error","error":{"type":")" + type + R"(","message":")" + message + R"("}})";
}

} // namespace

TEST_CASE("an anthropic provider is asked in its own words", "[actors][provider][anthropic]") {
  upstream_request seen;
  auto options = anthropic_quick();
  options.anthropic.beta = {"a-1", "b-2"};
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request;
      on.reply(200, whole);
    }),
    options, GENERATE(false, true)};
  const auto got = provider.finish_chat(false);
  CHECK(got->story() == "reply");
  CHECK(got->text() == "hello");
  CHECK(got->usage().prompt == 7);
  CHECK(got->usage().completion == 2);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/v1/messages");
  CHECK(seen.header("x-api-key") == "sk-ant-secret");
  CHECK(seen.header("authorization").empty());
  CHECK(seen.header("anthropic-version") == "2023-06-01");
  CHECK(seen.header("anthropic-beta") == "a-1,b-2");
  CHECK(seen.header("content-type") == "application/json");
  CHECK(seen.header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
  CHECK(json::parse(seen.body) == json::parse(R"({"model":"m","max_tokens":8192,"messages":[
    {"role":"user","content":[{"type":"text","text":"hi"}]}]})"));
}

TEST_CASE("an anthropic stream comes through, and its connection is used again",
          "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int) {
                                    send_stream(on, {message_start, block_start, event("ping"),
                                                     text_piece("hel"), text_piece("lo"),
                                                     block_stop, message_end});
                                  }),
                         anthropic_quick(), GENERATE(false, true)};
  for (int round = 0; round < 2; ++round) {
    const auto got = provider.finish_chat(true);
    CHECK(got->story() == "open chunk end");
    CHECK(got->text() == "hello");
    CHECK(got->usage().prompt == 7);
    CHECK(got->usage().completion == 2);
    CHECK(!got->usage().estimated);
    CHECK(eventually([&] { return provider.idle(); }));
  }
  CHECK(provider.upstream().accepted() == 1);
  CHECK(provider.meters().in_flight.value() == 0);
}

TEST_CASE("an anthropic tool call streams as OpenAI's", "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests,
             [](upstream_connection& on, int) {
               send_stream(on, {message_start,
                                event("content_block_start",
                                      R"("index":0,"content_block":{"type":"tool_use","id":"t",)"
                                      R"("name":"f","input":{}})"),
                                event("content_block_delta",
                                      R"("index":0,"delta":{"type":"input_json_delta",)"
                                      R"("partial_json":"{\"a\":1}"})"),
                                block_stop, message_end});
             }),
    anthropic_quick()};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->deltas()
        == R"([{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}])"
           R"([{"index":0,"function":{"arguments":"{\"a\":1}"}}])");
}

TEST_CASE("anthropic failures have their codes, their tries and no keys",
          "[actors][provider][anthropic]") {
  struct row {
    int status;
    const char* type;
    const char* message;
    errc expected;
    int tries;
  };
  const auto [status, type, message, expected, tries] = GENERATE(
    row{529, "overloaded_error", "Overloaded", errc::provider_overloaded, 3},
    row{500, "api_error", "oops sk-ant-secret", errc::provider_failed, 3},
    row{400, "invalid_request_error", "prompt is too long: 9 tokens", errc::context_overflow, 1},
    row{400, "invalid_request_error", "Your credit balance is too low", errc::quota_exhausted, 1},
    row{401, "authentication_error", "bad key sk-ant-secret", errc::provider_auth_failed, 1},
    row{404, "not_found_error", "model: m", errc::not_found, 1},
    row{413, "request_too_large", "too much", errc::too_large, 1});
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [status = status, type = type, message = message](
                                              upstream_connection& on,
                                              int) { on.reply(status, error_of(type, message)); }),
                         anthropic_quick()};
  const auto got = provider.finish_chat(GENERATE(false, true));
  CHECK(got->story() == "failed");
  CHECK(got->why().code == expected);
  CHECK(got->why().detail.find("sk-ant") == std::string::npos);
  CHECK(requests == tries);
}

TEST_CASE("an anthropic 429 is tried again when its limits are reset",
          "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int n) {
                                    if (n == 0)
                                      on.reply(429, error_of("rate_limit_error", "slow"),
                                               "anthropic-ratelimit-requests-remaining: 0\r\n"
                                               "anthropic-ratelimit-requests-reset: "
                                               "2020-01-01T00:00:00Z\r\n");
                                    else
                                      on.reply(200, whole);
                                  }),
                         anthropic_quick()};
  CHECK(provider.finish_chat(false)->text() == "hello");
  CHECK(requests == 2);
}

TEST_CASE("an anthropic stream that breaks is tried again only before its first piece",
          "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  const bool began = GENERATE(false, true);
  const bool by_error = GENERATE(false, true);
  open_provider provider{
    counting(requests,
             [=](upstream_connection& on, int n) {
               const auto head = began ? message_start + block_start + text_piece("a") : "";
               const auto fault
                 = by_error ? "event: error\ndata: " + error_of("overloaded_error", "x") + "\n\n"
                            : std::string{": nothing\n\n"};
               if (n == 0)
                 send_stream(on, {head + fault});
               else
                 send_stream(on, {message_start, block_start, text_piece("b"), message_end});
             }),
    anthropic_quick()};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == (began ? "open chunk failed" : "open chunk end"));
  CHECK(got->text() == (began ? "a" : "b"));
  CHECK(requests == (began ? 1 : 2));
  if (began)
    CHECK(got->why().code == (by_error ? errc::provider_overloaded : errc::stream_cut));
}

TEST_CASE("bytes that are no answer of Anthropic's are tried again, then fail",
          "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  const std::string body = GENERATE("<html>", "{}", R"({"type":"message"})", R"({"id":"msg)");
  open_provider provider{
    counting(requests, [&](upstream_connection& on, int) { on.reply(200, body); }),
    anthropic_quick()};
  CHECK(provider.finish_chat(false)->why().code == errc::provider_failed);
  CHECK(requests == 3);
}

TEST_CASE("what Anthropic's API cannot do never leaves the house",
          "[actors][provider][anthropic]") {
  open_provider provider{[](upstream_connection&) {}, anthropic_quick()};
  msg::chat_request request;
  request.model = "m";
  request.messages = {{"user", "hi", {}}};
  request.parameters = R"({"n":2})";
  const auto refused = provider.finish_chat(request);
  CHECK(refused->why().code == errc::bad_request);
  CHECK(refused->why().detail.starts_with("n must be 1"));
  const auto vectors = provider.embed({"m", {"a"}, {}, {}});
  CHECK(vectors->why().code == errc::bad_request);
  CHECK(vectors->why().detail.find("kind openai") != std::string::npos);
  CHECK(provider.upstream().accepted() == 0);
  CHECK(provider.meters().in_flight.value() == 0);
}

TEST_CASE("the models of an anthropic provider are listed", "[actors][provider][anthropic]") {
  upstream_request seen;
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request;
      on.reply(200, R"({"data":[{"type":"model","id":"claude-a","display_name":"A",)"
                    R"("created_at":"2025-02-19T00:00:00Z"},{"id":"claude-b","created_at":"?"},)"
                    R"({"display_name":"none"}],"has_more":false,"last_id":"claude-b"})");
    }),
    anthropic_quick()};
  const auto list = provider.models()->models().models;
  REQUIRE(list.size() == 2);
  CHECK(list[0]
        == msg::model_entry{"claude-a", 1'739'923'200, "anthropic", R"({"display_name":"A"})"});
  CHECK(list[1] == msg::model_entry{"claude-b", 0, "anthropic"});
  CHECK(seen.target == "/v1/models?limit=1000");
  CHECK(seen.header("x-api-key") == "sk-ant-secret");
}

TEST_CASE("a caller that leaves an anthropic stream closes its socket",
          "[actors][provider][anthropic]") {
  std::atomic<bool> closed{false};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.begin_chunks();
                           on.send_chunk(message_start + block_start + text_piece("a"));
                           closed = on.wait_closed();
                         },
                         anthropic_quick()};
  const auto call = provider.chat(true);
  CHECK(eventually([&] { return call->story() == "open chunk"; }));
  provider.give_up(call);
  CHECK(eventually([&] { return closed.load(); }));
  CHECK(eventually([&] { return provider.meters().in_flight.value() == 0; }));
}

TEST_CASE("an anthropic stream may cut a character in two, and keep awake without data",
          "[actors][provider][anthropic]") {
  std::atomic<int> requests{0};
  const std::string beat = "event: ping\ndata:\n\n";
  open_provider provider{
    counting(requests,
             [&](upstream_connection& on, int) {
               send_stream(on, {beat, message_start, block_start, text_piece(R"(a\ud83d)"), beat,
                                text_piece(R"(\ude00b)"), block_stop, message_end});
             }),
    anthropic_quick()};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->text()
        == "a\U0001F600"
           "b");
}
