// How one call's tries follow each other, whatever the dialect.
#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <atomic>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using skep::test::eventually;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;
using std::chrono::milliseconds;

TEST_CASE("429s do not count as tries, only as time", "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempts_max = 2;
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int n) {
                                    if (n < 5)
                                      on.reply(429, error_body("slow down"),
                                               "retry-after-ms: 1\r\n");
                                    else
                                      on.reply(200, whole_answer);
                                  }),
                         options};
  CHECK(provider.finish_chat(false)->text() == "hello");
  CHECK(requests == 6);
  CHECK(provider.meters().retries.value() == 5);
}

TEST_CASE("429s are final once their time is over", "[actors][provider][retry]") {
  auto options = quick_options();
  options.retry_paced_max = milliseconds{30};
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int) {
                                    on.reply(429, error_body("slow down"),
                                             "retry-after-ms: 20\r\n");
                                  }),
                         options};
  const auto got = provider.finish_chat(false);
  CHECK(got->why().code == errc::rate_limited);
  CHECK(got->why().retry_after == milliseconds{20});
  CHECK(requests <= 2);
}

TEST_CASE("an overloaded provider is tried again, a spent quota is not",
          "[actors][provider][retry]") {
  struct row {
    int status;
    const char* code;
    errc expected;
    int tries;
  };
  const auto [status, code, expected, tries]
    = GENERATE(row{529, "overloaded_error", errc::provider_overloaded, 3},
               row{503, "server_is_overloaded", errc::provider_overloaded, 3},
               row{429, "engine_overloaded", errc::provider_overloaded, 3},
               row{429, "insufficient_quota", errc::quota_exhausted, 1},
               row{402, "x", errc::quota_exhausted, 1});
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [status = status, code = code](upstream_connection& on, int) {
      on.reply(status, error_body("no", code));
    })};
  CHECK(provider.finish_chat(false)->why().code == expected);
  CHECK(requests == tries);
}

TEST_CASE("a retry the budget does not allow is counted", "[actors][provider][retry]") {
  auto options = quick_options();
  options.retry_ratio = 0;
  options.retry_reserve_per_s = 0;
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(500, "oops"); }), options};
  CHECK(provider.finish_chat(false)->why().code == errc::provider_failed);
  CHECK(requests == 1);
  CHECK(provider.meters().retries.value() == 0);
  CHECK(provider.meters().retries_refused.value() == 1);
}

// -- the time-out of one attempt ------------------------------------------------------------------

TEST_CASE("an attempt that trickles nothing of an answer ends in time for another",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempt_timeout = milliseconds{100};
  std::atomic<int> requests{0};
  const bool stream = GENERATE(true, false);
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           const bool slow = requests++ == 0;
                           if (!stream && !slow) {
                             on.reply(200, whole_answer);
                             return;
                           }
                           on.begin_chunks(stream ? "text/event-stream" : "application/json");
                           // Never silent for long, and never an answer: a slow-loris.
                           while (slow && !on.wait_closed(milliseconds{5})
                                  && on.send_chunk(stream ? ": wait\n\n" : " ")) {
                           }
                           on.send_chunk(sse_text("hello") + sse_stop + sse_done);
                           on.end_chunks();
                         },
                         options};
  const auto before = clock::now();
  const auto got = provider.finish_chat(stream);
  CHECK(got->text() == "hello");
  CHECK(requests == 2);
  CHECK(clock::now() - before >= 100ms);
  CHECK(clock::now() - before < 5s);
}

TEST_CASE("a stream that has begun may take longer than an attempt to begin",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempt_timeout = milliseconds{60};
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           ++requests;
                           on.begin_chunks();
                           on.send_chunk(sse_text("a"));
                           on.wait_closed(milliseconds{150});
                           on.send_chunk(sse_text("b") + sse_stop + sse_done);
                           on.end_chunks();
                         },
                         options};
  const auto got = provider.finish_chat(true);
  CHECK(got->text() == "ab");
  CHECK(requests == 1);
}

TEST_CASE("an answer that trickles ends with its total time-out", "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempts_max = 1;
  options.total_timeout = milliseconds{120};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.begin_chunks();
                           while (!on.wait_closed(milliseconds{5})
                                  && on.send_chunk(sse_text("x"))) {
                           }
                         },
                         options};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk failed");
  CHECK(got->why().code == errc::deadline_exceeded);
}

// -- bounds ---------------------------------------------------------------------------------------

TEST_CASE("an answer over answer_bytes is refused, and not asked for again",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.answer_max = 1024;
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(200, std::string(5000, ' ')); }),
    options};
  CHECK(provider.finish_chat(false)->why().code == errc::malformed);
  CHECK(requests == 1);
}

TEST_CASE("one huge piece of a stream is handed on under the caller's credit",
          "[actors][provider][retry]") {
  std::atomic<int> requests{0};
  const std::string huge(std::size_t{2} << 20, 'x');
  open_provider provider{counting(requests, [&](upstream_connection& on, int) {
    send_stream(on, {sse_text(huge) + sse_stop + sse_done});
  })};
  const auto got = provider.chat(true, 64u << 10);
  // The piece itself passes the credit, once; what follows it waits.
  CHECK(eventually([&] { return got->text().size() == huge.size(); }));
  CHECK(!got->complete());
  provider.grant(got, huge.size() * 2);
  CHECK(eventually([&] { return got->complete(); }));
  CHECK(got->story() == "open chunk end");
}

TEST_CASE("calls over tokens_per_minute are refused with the time until there are enough",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.tokens_per_minute = 10;
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(200, whole_answer); }), options};
  // Estimated at one token, it takes nine; the next is estimated at one, and there is one.
  CHECK(provider.finish_chat(false)->story() == "reply");
  CHECK(provider.finish_chat(false)->story() == "reply");
  const auto refused = provider.finish_chat(false);
  CHECK(refused->why().code == errc::rate_limited);
  CHECK(refused->why().retry_after > 30s);
  CHECK(requests == 2);
}
