#include "apis/openai/chat_json.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <array>
#include <atomic>

using namespace skep;
using namespace skep::actors::testing;
using skep::test::eventually;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;
using std::chrono::milliseconds;

TEST_CASE("calls over in_flight_max are refused with a retry-after", "[actors][provider][openai]") {
  auto options = quick_options();
  options.in_flight_max = 2;
  std::atomic<int> asked{0};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           ++asked;
                           on.wait_closed();
                         },
                         options};
  const std::array held{provider.chat(false), provider.chat(true)};
  CHECK(eventually([&] { return asked == 2; }));
  const auto refused = provider.finish_chat(false);
  CHECK(refused->why().code == errc::overloaded);
  CHECK(refused->why().retry_after > milliseconds{0});
  CHECK(provider.meters().refused.value() == 1);
  for (const auto& call : held)
    provider.give_up(call);
}

TEST_CASE("calls over requests_per_minute are refused with the time until the next",
          "[actors][provider][openai]") {
  auto options = quick_options();
  options.requests_per_minute = 1;
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(200, whole_answer); }), options};
  CHECK(provider.finish_chat(false)->story() == "reply");
  const auto refused = provider.finish_chat(false);
  CHECK(refused->why().code == errc::rate_limited);
  CHECK(refused->why().retry_after > 30s);
  CHECK(requests == 1);
}

TEST_CASE("the provider's list of models is asked for once and kept",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  upstream_request seen;
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request;
      if (requests++ == 0)
        on.reply(500, "oops");
      else
        on.reply(
          200, R"({"data":[{"id":"a","created":5,"owned_by":"o","max_model_len":8},{"id":"b"}]})");
    })};
  CHECK(provider.models()->why().code == errc::provider_failed);
  for (int round = 0; round < 2; ++round) {
    const auto list = provider.models()->models().models;
    REQUIRE(list.size() == 2);
    CHECK(list[0] == msg::model_entry{"a", 5, "o", R"({"max_model_len":8})"});
    CHECK(actors::write_model(list[0])
          == R"({"id":"a","object":"model","created":5,"owned_by":"o","max_model_len":8})");
    CHECK(list[1].id == "b");
  }
  CHECK(seen.method == "GET");
  CHECK(seen.target == "/v1/models");
  CHECK(requests == 2);
}

TEST_CASE("a configured list of models asks nobody", "[actors][provider][openai]") {
  auto options = quick_options();
  options.models = {"x"};
  open_provider provider{[](upstream_connection&) {}, options};
  const auto list = provider.models()->models().models;
  REQUIRE(list.size() == 1);
  CHECK(list[0].id == "x");
  CHECK(provider.upstream().accepted() == 0);
}

TEST_CASE("a whole answer with half a character is read", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int n) {
    const std::string half = n == 0 ? R"(a\udcaf)" : "a\xF0\x9F";
    on.reply(200, R"({"id":"c","model":"m","choices":[{"index":0,"message":{"content":")" + half
                    + R"("},"finish_reason":"stop"}]})");
  })};
  CHECK(provider.finish_chat(false)->text() == "a\uFFFD");
  CHECK(provider.finish_chat(false)->text() == "a\uFFFD");
  CHECK(requests == 2);
}

TEST_CASE("JSON where a stream was asked is an error or the whole answer",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int n) {
    const auto* const json = "content-type: application/json\r\n";
    if (n == 0)
      on.reply(200, error_body("this model cannot stream", "invalid_request_error"), json);
    else
      on.reply(200, whole_answer, json);
  })};
  const auto refused = provider.finish_chat(true);
  CHECK(refused->story() == "failed");
  CHECK(refused->why().code == errc::bad_request);
  CHECK(refused->why().detail == "this model cannot stream");
  CHECK(requests == 1);
  const auto played = provider.finish_chat(true);
  CHECK(played->story() == "open chunk end");
  CHECK(played->text() == "hello");
  CHECK(requests == 2);
}
