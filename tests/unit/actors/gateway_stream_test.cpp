#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"
#include "tests/unit/actors/made_up_id.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using net::testing::raw_client;
using nlohmann::json;
using test::eventually;

namespace {

constexpr auto stream = R"("stream":true)";

std::string text_of(const reply& got) {
  std::string text;
  for (const auto& event : got.events) {
    const auto chunk = json::parse(event, nullptr, false);
    if (chunk.is_object() && chunk.contains("choices") && !chunk["choices"].empty())
      text += chunk["choices"][0]["delta"].value("content", "");
  }
  return text;
}

} // namespace

TEST_CASE("a stream is server-sent events from the role to [DONE]", "[actors][gateway][stream]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got = fetch(gateway, post_chat(order("say abc", stream)));
  CHECK(got.status == 200);
  CHECK(got.headers.at("content-type") == "text/event-stream; charset=utf-8");
  CHECK(got.headers.at("cache-control") == "no-cache");
  CHECK(got.headers.at("x-accel-buffering") == "no");
  CHECK(got.headers.at("x-skep-cache") == "HIT");
  CHECK(got.headers.count("content-length") == 0);
  CHECK(got.whole);
  REQUIRE(got.events.size() == 6);
  CHECK(got.events.back() == "[DONE]");
  int finishes = 0;
  for (std::size_t n = 0; n + 1 < got.events.size(); ++n) {
    const auto chunk = json::parse(got.events[n]);
    CHECK(chunk["object"] == "chat.completion.chunk");
    CHECK(chunk["id"] == made_up_id(got, "chatcmpl-")); // A hit: it was made for somebody else.
    CHECK(chunk["created"] == 1);
    CHECK(chunk["model"] == "tiny");
    CHECK_FALSE(chunk.contains("usage")); // Nobody asked for it.
    finishes += chunk["choices"][0]["finish_reason"].is_null() ? 0 : 1;
  }
  CHECK(finishes == 1);
  CHECK(json::parse(got.events.front())["choices"][0]["delta"]
        == json{{"role", "assistant"}, {"content", ""}});
  CHECK(text_of(got) == "abc");
}

TEST_CASE("include_usage adds null usage to chunks and one last chunk with it",
          "[actors][gateway][stream]") {
  open_gateway gateway;
  const auto got = fetch(
    gateway, post_chat(order("say a", R"("stream":true,"stream_options":{"include_usage":true})")));
  REQUIRE(got.events.size() == 5);
  for (std::size_t n = 0; n < 3; ++n)
    CHECK(json::parse(got.events[n]).at("usage").is_null());
  const auto last = json::parse(got.events[3]);
  CHECK(last["choices"].empty());
  CHECK(last["usage"]["prompt_tokens"] == 7);
  CHECK(last["usage"]["completion_tokens"] == 3);
  CHECK(got.events[4] == "[DONE]");
}

TEST_CASE("a tool call's delta is passed through", "[actors][gateway][stream]") {
  open_gateway gateway;
  const auto got = fetch(gateway, post_chat(order("tools", stream)));
  REQUIRE(got.events.size() == 4);
  const auto call = json::parse(got.events[1])["choices"][0]["delta"]["tool_calls"][0];
  CHECK(call["function"]["name"] == "f");
  CHECK(json::parse(got.events[2])["choices"][0]["finish_reason"] == "tool_calls");
}

TEST_CASE("a whole answer to a stream request is streamed all the same",
          "[actors][gateway][stream]") {
  gateway_config options;
  options.stream_window = 1024;
  open_gateway gateway{options};
  const auto got = fetch(
    gateway, post_chat(order("lump", R"("stream":true,"stream_options":{"include_usage":true})")));
  CHECK(got.headers.at("content-type") == "text/event-stream; charset=utf-8");
  CHECK(got.whole);
  REQUIRE(got.events.size() > 4);
  CHECK(text_of(got).size() == 300'000);
  const auto last = json::parse(got.events.rbegin()[2])["choices"][0];
  const auto& calls = last["delta"]["tool_calls"];
  CHECK(calls == json::parse(R"([{"id":"a","index":0},{"id":"b","index":1}])"));
  CHECK(last["finish_reason"] == "tool_calls");
  CHECK(json::parse(got.events.rbegin()[1])["usage"]["prompt_tokens"] == 7);
  CHECK(got.events.back() == "[DONE]");
}

TEST_CASE("a stream nobody asked for is an error and stops its producer",
          "[actors][gateway][stream]") {
  open_gateway gateway;
  const auto got = fetch(gateway, post_chat(order("begin")));
  CHECK(got.status == 500);
  CHECK(json::parse(got.body)["error"]["type"] == "server_error");
  CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
}

TEST_CASE("clients that come and go leave nothing behind", "[actors][gateway][stream]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const char* orders[] = {"say abc", "hold", "begin", "flood 64", "cut", "fail 16"};
  std::uint32_t random = 7;
  for (int round = 0; round < 300; ++round) {
    random = random * 1'664'525 + 1'013'904'223;
    raw_client client{gateway.port()};
    const auto* what = orders[(random >> 8) % std::size(orders)];
    REQUIRE(client.send(post_chat(order(what, (random >> 16) % 2 == 0 ? stream : ""))));
    // Some have seen the beginning of their answer; "hold" has none.
    if ((random >> 20) % 3 == 0 && what != orders[1])
      client.read_some(1);
    if ((random >> 24) % 2 == 0)
      client.reset();
    if (round % 50 == 49)
      gateway.kill_gateway();
  }
  CHECK(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
  CHECK(
    eventually([&] { return gateway.metric(R"(skep_guard_in_flight{name="gateway/0"})") == 0; }));
  // Every deadline was taken back.
  CHECK(eventually([&] { return gateway.env().timers().size() == 0; }));
  CHECK(eventually([&] { return fetch(gateway, get("/health")).status == 200; }));
}

TEST_CASE("connections stay open between streams and whole answers", "[actors][gateway][stream]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  for (int n = 0; n < 10; ++n) {
    CHECK(ask(client, post_chat(order("say abc", stream))).whole);
    CHECK(ask(client, post_chat(order("say abc"))).status == 200);
  }
}

TEST_CASE("an error in the middle of a stream is its last event, and the body ends cleanly",
          "[actors][gateway][stream]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  raw_client client{gateway.port()};
  const auto got = ask(client, post_chat(order("cut", stream)));
  CHECK(got.status == 200);
  REQUIRE_FALSE(got.events.empty());
  const auto error = json::parse(got.events.back());
  CHECK(error["error"]["code"] == "upstream_cut");
  CHECK(error["error"].size() == 4);
  CHECK(text_of(got) == "x");
  // A client's fetch drops what an aborted body still had for it, the reason first of all.
  CHECK(got.whole);
  CHECK(ask(client, post_chat(order("say abc"))).status == 200);
}

TEST_CASE("a stream that stands still ends with an error event", "[actors][gateway][stream]") {
  gateway_config options;
  options.stream_idle_timeout = std::chrono::milliseconds{50};
  open_gateway gateway{options};
  raw_client client{gateway.port()};
  // The time-out is over long before; it was for the stream to begin.
  const auto got = ask(client, post_chat(order("begin", stream), "x-request-timeout-ms: 20\r\n"));
  CHECK(got.status == 200);
  REQUIRE_FALSE(got.events.empty());
  CHECK(json::parse(got.events.back())["error"]["code"] == "upstream_cut");
  CHECK(got.whole);
  CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
}

TEST_CASE("a client that leaves cancels the work behind it", "[actors][gateway][stream]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  SECTION("that has not answered yet") {
    raw_client client{gateway.port()};
    REQUIRE(client.send(post_chat(order("hold"))));
    REQUIRE(eventually([&] { return gateway.helper.calls == 1; }));
    client.close();
    CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
  }
  SECTION("that has not sent the first token yet") {
    raw_client client{gateway.port()};
    REQUIRE(client.send(post_chat(order("hold", stream))));
    REQUIRE(eventually([&] { return gateway.helper.calls == 1; }));
    client.reset();
    CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
  }
  SECTION("that is in the middle of a stream") {
    raw_client client{gateway.port()};
    REQUIRE(client.send(post_chat(order("begin", stream))));
    REQUIRE_FALSE(client.read_until("\"x\"").empty());
    client.close();
    CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
  }
  SECTION("that waits for credit") {
    raw_client client{gateway.port(), 4096};
    REQUIRE(client.send(post_chat(order("flood 65536", stream))));
    REQUIRE(eventually([&] { return gateway.helper.pauses > 0; }));
    client.reset();
    CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
  }
  const auto* gone = R"(skep_http_requests_total{route="/v1/chat/completions",status="499"})";
  CHECK(eventually([&] { return gateway.metric(gone) == 1; }));
  CHECK(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
}

TEST_CASE("a slow client stops its producer and nobody else", "[actors][gateway][stream]") {
  gateway_config options;
  options.stream_window = 16 * 1024;
  open_gateway gateway{options, GENERATE(false, true)};
  constexpr std::uint64_t total = 16u << 20;
  raw_client slow{gateway.port(), 4096};
  REQUIRE(slow.send(post_chat(order("flood " + std::to_string(total / 1024), stream))));
  // It stands still once the sockets' buffers and the window are full.
  std::uint64_t before = 0;
  REQUIRE(eventually([&] { return gateway.helper.pauses > 0; }));
  REQUIRE(eventually([&] {
    CHECK(fetch(gateway, post_chat(order("say quick", stream))).whole);
    const auto now = gateway.helper.sent.load();
    return now > 0 && std::exchange(before, now) == now;
  }));
  CHECK(gateway.helper.sent < total);
  const auto got = read_reply(slow);
  CHECK(got.whole);
  CHECK(gateway.helper.sent == total);
  CHECK(text_of(got).size() == total);
  CHECK(got.events.back() == "[DONE]");
  CHECK(gateway.metric("skep_http_frames_refused_total") == 0);
}

TEST_CASE("a flood to a reading client arrives whole with the smallest window",
          "[actors][gateway][stream]") {
  gateway_config options;
  options.stream_window = 1024;
  open_gateway gateway{options, GENERATE(false, true)};
  const auto got = fetch(gateway, post_chat(order("flood 512", stream)));
  CHECK(got.whole);
  CHECK(text_of(got).size() == 512 * 1024);
}
