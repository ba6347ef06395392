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

TEST_CASE("a stream that fails behind its preamble has not begun, and is tried again",
          "[actors][provider][retry]") {
  const auto chunk = [](const std::string& choices) {
    return sse(R"({"id":"c","model":"m","choices":[)" + choices + "]}");
  };
  const auto preamble = GENERATE_COPY(
    chunk(R"({"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null})"),
    chunk(R"({"index":0,"delta":{}})"),
    sse(R"({"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]})"),
    sse(R"({"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":3}})"));
  const auto failure
    = GENERATE(sse(R"({"error":{"message":"boom","code":500}})"), sse_done, std::string{});
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
    while (on.read_request()) {
      on.begin_chunks();
      if (requests++ == 0) {
        on.send_chunk(preamble + failure);
        if (failure.empty())
          return; // The connection breaks.
      } else {
        on.send_chunk(sse_text("second") + sse_stop + sse_done);
      }
      on.end_chunks();
    }
  }};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->text() == "second");
  CHECK(got->attempts() == 2);
  CHECK(requests == 2);
}

TEST_CASE("Anthropic's stream has not begun before its first delta", "[actors][provider][retry]") {
  const std::string start
    = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\","
      "\"model\":\"c\",\"usage\":{\"input_tokens\":3}}}\n\n";
  const std::string ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
  const std::string block
    = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
      "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
  const std::string overloaded
    = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
      "\"message\":\"Overloaded\"}}\n\n";
  const auto preamble
    = GENERATE_COPY(start + "", start + ping, start + block, start + block + ping);
  auto options = quick_options();
  options.kind = provider_kind::anthropic;
  options.attempts_max = 2;
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [&](upstream_connection& on, int) {
                                    send_stream(on, {preamble, overloaded});
                                  }),
                         options};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::provider_overloaded);
  CHECK(requests == 2);
}

TEST_CASE("429s count by themselves", "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempts_max = 2;
  options.retry_paced_attempts_max = 6;
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

TEST_CASE("429s are final after so many, and the failure says whose and how many",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.retry_paced_attempts_max = 3;
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int) {
                                    on.reply(429, error_body("slow down"),
                                             "retry-after-ms: 20\r\n");
                                  }),
                         options, GENERATE(false, true)};
  const auto got = provider.finish_chat(false);
  CHECK(got->why().code == errc::rate_limited);
  CHECK(got->why().retry_after == milliseconds{20});
  CHECK(got->why().provider == "test");
  CHECK(got->why().status == 429);
  CHECK(got->why().tries == 3);
  CHECK(requests == 3);
}

TEST_CASE("a wait that would outlast the caller is not begun: it hears of the 429 in time",
          "[actors][provider][retry]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int) {
    on.reply(429, error_body("slow down"), "retry-after: 2\r\n");
  })};
  const auto before = clock::now();
  const auto got = provider.finish_chat(false, 1200ms);
  CHECK(got->why().code == errc::rate_limited);
  CHECK(got->why().retry_after == milliseconds{2'000});
  CHECK(got->why().tries == 1);
  CHECK(clock::now() - before < 1s);
  CHECK(requests == 1);
}

TEST_CASE("after a time-out there is no second call, unless the configuration says so",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.attempt_timeout = milliseconds{50};
  options.retry_after_timeout = GENERATE(false, true);
  std::atomic<int> requests{0};
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int n) {
                                    if (n == 0)
                                      on.wait_closed(milliseconds{10'000});
                                    else
                                      on.reply(200, whole_answer);
                                  }),
                         options};
  const auto got = provider.finish_chat(false);
  CHECK(got->why().code == (options.retry_after_timeout ? errc::none : errc::deadline_exceeded));
  CHECK(requests == (options.retry_after_timeout ? 2 : 1));
}

TEST_CASE("a whole answer may be silent as long as its caller waits", "[actors][provider][retry]") {
  auto options = quick_options();
  options.first_byte_timeout = milliseconds{50};
  options.idle_timeout = milliseconds{50};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.wait_closed(milliseconds{200});
                           on.begin_chunks("application/json");
                           on.send_chunk(" ");
                           on.wait_closed(milliseconds{200});
                           on.send_chunk(whole_answer);
                           on.end_chunks();
                         },
                         options};
  CHECK(provider.finish_chat(false)->text() == "hello");
}

TEST_CASE("a stream that moves outlives its caller's deadline", "[actors][provider][retry]") {
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    on.begin_chunks();
    for (int n = 0; n < 8; ++n) {
      on.send_chunk(sse_text("x"));
      on.wait_closed(milliseconds{100});
    }
    on.send_chunk(sse_stop + sse_done);
    on.end_chunks();
  }};
  CHECK(provider.finish_chat(true, 400ms)->text() == "xxxxxxxx");
}

TEST_CASE("a caller in a hurry teaches nobody about the provider", "[actors][provider][retry]") {
  // The provider's own clock does.
  const bool hurry = GENERATE(true, false);
  auto options = quick_options();
  options.total_timeout = hurry ? milliseconds{10'000} : milliseconds{50};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.wait_closed(milliseconds{10'000});
                         },
                         options};
  rt::guard_config rules;
  rules.breaker.failures_max = 1;
  provider.guard_with(rules);
  const auto got = provider.finish_chat(false, hurry ? duration{200ms} : duration{10s});
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK((provider.circuit() == flow::breaker_state::closed) == hurry);
}

TEST_CASE("a stream that never begins ends at its caller's deadline", "[actors][provider][retry]") {
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    ++requests;
    on.begin_chunks();
    while (!on.wait_closed(milliseconds{5}) && on.send_chunk(": wait\n\n")) {
    }
  }};
  const auto got = provider.finish_chat(true, 200ms);
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::deadline_exceeded);
  CHECK(requests == 1);
}

TEST_CASE("silence before a stream's first piece is a time-out, whatever came instead",
          "[actors][provider][retry]") {
  auto options = quick_options();
  options.idle_timeout = milliseconds{50};
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           ++requests;
                           on.begin_chunks();
                           on.send_chunk(": wait\n\n");
                           on.wait_closed(milliseconds{10'000});
                         },
                         options};
  CHECK(provider.finish_chat(true)->why().code == errc::deadline_exceeded);
  CHECK(requests == 1);
}

TEST_CASE("clients hear whose trouble it is, and nothing of where it runs",
          "[actors][provider][retry]") {
  SECTION("one that refuses our key") {
    open_provider provider{[](upstream_connection& on) {
      on.read_request();
      on.reply(401, error_body("You didn't provide an API key."));
    }};
    const auto why = provider.finish_chat(GENERATE(false, true))->why();
    CHECK(why.code == errc::provider_auth_failed);
    CHECK(why.detail == "the provider test refused skep's credentials");
    CHECK(why.status == 401);
  }
  SECTION("one that breaks off") {
    open_provider provider{[](upstream_connection& on) {
      on.read_request();
      on.begin_chunks();
      on.send_chunk(sse_text("x"));
    }};
    const auto why = provider.finish_chat(true)->why();
    CHECK(why.code == errc::stream_cut);
    CHECK(why.detail == "the provider test broke its answer off");
  }
}

TEST_CASE("an answer says how often its provider was asked", "[actors][provider][retry]") {
  std::atomic<int> requests{0};
  const bool stream = GENERATE(false, true);
  open_provider provider{counting(requests, [stream](upstream_connection& on, int n) {
    if (n < 2)
      on.reply(500, "oops");
    else if (stream)
      send_stream(on, {sse_text("hello"), sse_stop, sse_done});
    else
      on.reply(200, whole_answer);
  })};
  const auto got = provider.finish_chat(stream);
  CHECK(got->text() == "hello");
  CHECK(got->attempts() == 3);
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
  options.retry_after_timeout = true;
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
