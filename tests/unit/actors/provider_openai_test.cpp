#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <atomic>

using namespace skep;
using namespace skep::actors::testing;
using skep::test::eventually;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;
using std::chrono::milliseconds;

TEST_CASE("a whole answer comes back with its usage", "[actors][provider][openai]") {
  upstream_request seen;
  auto options = quick_options();
  options.api_key = config::secret{"KEY", "sk-secret"};
  options.organization = "org-1";
  options.project = "proj-1";
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request;
      on.reply(200, whole_answer);
    }),
    options};
  const auto got = provider.finish_chat(false);
  CHECK(got->story() == "reply");
  CHECK(got->text() == "hello");
  CHECK(got->usage().prompt == 7);
  CHECK(!got->usage().estimated);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/v1/chat/completions");
  CHECK(seen.header("authorization") == "Bearer sk-secret");
  CHECK(seen.header("openai-organization") == "org-1");
  CHECK(seen.header("openai-project") == "proj-1");
  CHECK(seen.header("content-type") == "application/json");
  CHECK(seen.header("x-request-id").size() > 8);
  // Our span under the caller's trace.
  CHECK(seen.header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
  CHECK(seen.header("traceparent").find("b7ad6b7169203331") == std::string::npos);
  CHECK(seen.body.find(R"("content":"hi")") != std::string::npos);
}

TEST_CASE("a stream comes through piece by piece, and its connection is used again",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests,
             [](upstream_connection& on, int) {
               send_stream(on, {sse_text("hel"), sse_text("lo"), sse_stop, sse_usage, sse_done});
             }),
    quick_options(), GENERATE(false, true)};
  for (int round = 0; round < 3; ++round) {
    const auto got = provider.finish_chat(true);
    CHECK(got->story() == "open chunk end");
    CHECK(got->text() == "hello");
    CHECK(got->usage().completion == 2);
    CHECK(!got->usage().estimated);
    // The tail is read after the answer's end; only then is the connection free again.
    CHECK(eventually([&] { return provider.idle(); }));
  }
  CHECK(requests == 3);
  CHECK(provider.upstream().accepted() == 1);
  CHECK(eventually([&] { return provider.meters().in_flight.value() == 0; }));
}

TEST_CASE("an answer ends with [DONE], however long its connection lingers",
          "[actors][provider][openai]") {
  std::atomic<bool> closed{false};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    on.begin_chunks();
    on.send_chunk(sse_text("a") + sse_stop + sse_done);
    closed = on.wait_closed();
  }};
  CHECK(provider.finish_chat(true)->story() == "open chunk end");
  CHECK(eventually([&] { return closed.load(); }));
}

TEST_CASE("a server that leaves [DONE] out has its finish reason believed",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int) {
    send_stream(on, {sse_text("a"), sse_stop});
  })};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->usage().estimated);
}

TEST_CASE("tool-call deltas pass through untouched", "[actors][provider][openai]") {
  const std::string first = R"([{"index":0,"id":"t","type":"function",)"
                            R"("function":{"name":"f","arguments":""}}])";
  const std::string second = R"([{"index":0,"function":{"arguments":"{\"a\":"}}])";
  const auto piece = [](const std::string& delta) {
    return sse(R"({"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":)" + delta
               + "}}]}");
  };
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [&](upstream_connection& on, int) {
    send_stream(on, {piece(first), piece(second), sse_stop, sse_done});
  })};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->deltas() == first + second);
}

TEST_CASE("a stream that was paused gives its connection back, too", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int) {
    // One piece far over the window: what it overshot has to be granted before the tail is read.
    const std::string comment = ": " + std::string(12'000, '.') + "\n\n";
    send_stream(on, {sse_text("a") + sse_stop + sse_done + comment, ": more\n\n"});
  })};
  for (int round = 0; round < 3; ++round) {
    const auto call = provider.chat(true, 1);
    CHECK(eventually([&] { return provider.fetches_paused() == 1; }));
    CHECK(eventually([&] { return call->text() == "a"; }));
    provider.grant(call, 100'000);
    CHECK(eventually([&] { return call->complete(); }));
    CHECK(call->story() == "open chunk end");
    CHECK(eventually([&] { return provider.idle(); }));
  }
  CHECK(provider.upstream().accepted() == 1);
}

// -- retries --------------------------------------------------------------------------------------

TEST_CASE("a 429 is tried again after the time it names", "[actors][provider][openai]") {
  const bool stream = GENERATE(false, true);
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [stream](upstream_connection& on, int n) {
    if (n == 0)
      on.reply(429, error_body("slow down"), "retry-after-ms: 60\r\n");
    else if (stream)
      send_stream(on, {sse_text("hello"), sse_stop, sse_done});
    else
      on.reply(200, whole_answer);
  })};
  const auto before = clock::now();
  const auto got = provider.finish_chat(stream);
  CHECK(got->text() == "hello");
  CHECK(clock::now() - before >= 60ms);
  CHECK(requests == 2);
  CHECK(provider.meters().retries.value() == 1);
}

TEST_CASE("a 429 that names a time nobody has is passed on at once", "[actors][provider][openai]") {
  auto options = quick_options();
  const bool by_deadline = GENERATE(false, true);
  if (!by_deadline)
    options.retry_wait_max = milliseconds{500};
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on,
                          int) { on.reply(429, error_body("slow down"), "retry-after: 15\r\n"); }),
    options};
  const auto before = clock::now();
  const auto got = provider.finish_chat(false, by_deadline ? duration{10s} : duration{60s});
  CHECK(clock::now() - before < 5s);
  CHECK(got->why().code == errc::rate_limited);
  CHECK(got->why().retry_after == milliseconds{15'000});
  CHECK(got->why().detail == "slow down");
  CHECK(requests == 1);
}

TEST_CASE("a provider that keeps failing is tried attempts_max times",
          "[actors][provider][openai]") {
  const int attempts = GENERATE(1, 2, 4);
  auto options = quick_options();
  options.attempts_max = static_cast<std::uint32_t>(attempts);
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(500, "oops"); }), options};
  const auto got = provider.finish_chat(GENERATE(false, true));
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::provider_failed);
  CHECK(requests == attempts);
}

TEST_CASE("a spent retry budget lets the failure stand", "[actors][provider][openai]") {
  auto options = quick_options();
  options.retry_ratio = 0;
  options.retry_reserve_per_s = 0;
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on, int) { on.reply(500, "oops"); }), options};
  CHECK(provider.finish_chat(false)->why().code == errc::provider_failed);
  CHECK(requests == 1);
}

TEST_CASE("what would fail again is not tried again, and says why", "[actors][provider][openai]") {
  struct row {
    int status;
    const char* code;
    errc expected;
  };
  const auto [status, code, expected]
    = GENERATE(row{400, "x", errc::bad_request}, row{401, "x", errc::provider_auth_failed},
               row{404, "model_not_found", errc::not_found},
               row{429, "insufficient_quota", errc::quota_exhausted},
               row{400, "context_length_exceeded", errc::context_overflow},
               row{400, "content_filter", errc::content_filtered});
  auto options = quick_options();
  options.api_key = config::secret{"KEY", "sk-secret"};
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests,
             [status = status, code = code](upstream_connection& on, int) {
               on.reply(status, error_body("the key sk-secret, or the rest, is wrong", code));
             }),
    options};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "failed");
  CHECK(got->why().code == expected);
  CHECK(got->why().detail
        == (expected == errc::provider_auth_failed ? "the provider test refused skep's credentials"
                                                   : "the key ***, or the rest, is wrong"));
  CHECK(requests == 1);
}

TEST_CASE("a key that is a word stays one in what the provider says",
          "[actors][provider][openai]") {
  auto options = quick_options();
  options.api_key = config::secret{"KEY", "x"};
  std::atomic<int> requests{0};
  open_provider provider{
    counting(requests, [](upstream_connection& on,
                          int) { on.reply(400, error_body("You exceeded your context")); }),
    options};
  CHECK(provider.finish_chat(false)->why().detail == "You exceeded your context");
}

TEST_CASE("a redirect is the provider's failure, and not asked for again",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(
    requests, [](upstream_connection& on, int) { on.reply(302, "", "location: /elsewhere\r\n"); })};
  const auto got = provider.finish_chat(GENERATE(false, true));
  CHECK(got->why().code == errc::provider_failed);
  CHECK(got->why().status == 302);
  CHECK(requests == 1);
}

TEST_CASE("a provider nobody listens for is a broken transport", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    ++requests;
    on.reset();
  }};
  const auto got = provider.finish_chat(false);
  CHECK(got->why().code == errc::transport_failed);
  CHECK(requests == 3);
}

TEST_CASE("an error under a good status is an error", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int n) {
    on.reply(200, n == 0 ? error_body("too long", "context_length_exceeded") : "<html>");
  })};
  CHECK(provider.finish_chat(false)->why().code == errc::context_overflow);
  CHECK(requests == 1);
  CHECK(provider.finish_chat(false)->why().code == errc::provider_failed);
  CHECK(requests == 4);
}

TEST_CASE("an error in a good whole answer is an error", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  auto options = quick_options();
  options.attempts_max = 1;
  open_provider provider{counting(requests,
                                  [](upstream_connection& on, int) {
                                    on.reply(200,
                                             R"({"id":"c","model":"m","choices":[{"index":0,)"
                                             R"("message":{"content":"half"},"finish_reason":)"
                                             R"("error","error":{"code":429,"message":"slow"}}]})");
                                  }),
                         options};
  const auto got = provider.finish_chat(false);
  CHECK(got->why().code == errc::rate_limited);
  CHECK(got->why().detail == "slow");
}

TEST_CASE("a stream that breaks behind its finish reason is whole", "[actors][provider][openai]") {
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    on.begin_chunks();
    on.send_chunk(sse_text("a") + sse_stop);
    on.close();
  }};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk end");
  CHECK(got->text() == "a");
}

// -- broken streams -------------------------------------------------------------------------------

TEST_CASE("a stream cut after its first chunk is not tried again", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  const bool in_order = GENERATE(false, true);
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    ++requests;
    on.begin_chunks();
    on.send_chunk(sse_text("a"));
    if (in_order)
      on.end_chunks();
    on.close();
  }};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk failed");
  CHECK(got->why().code == errc::stream_cut);
  CHECK(requests == 1);
}

TEST_CASE("a stream cut before its first chunk is tried again", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    on.begin_chunks();
    on.send_chunk(": welcome\n\n");
    if (requests++ == 0)
      on.reset();
    else
      on.send_chunk(sse_text("a") + sse_stop + sse_done);
    on.end_chunks();
  }};
  CHECK(provider.finish_chat(true)->story() == "open chunk end");
  CHECK(requests == 2);
}

TEST_CASE("an error in the middle of a stream ends it and its connection",
          "[actors][provider][openai]") {
  std::atomic<bool> closed{false};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    on.begin_chunks();
    on.send_chunk(sse_text("a") + sse(error_body("broken")));
    closed = on.wait_closed();
  }};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == "open chunk failed");
  CHECK(got->why().code == errc::provider_failed);
  CHECK(got->why().detail == "broken");
  CHECK(eventually([&] { return closed.load(); }));
}

TEST_CASE("a provider that stalls runs into its time-outs", "[actors][provider][openai]") {
  auto options = quick_options();
  options.attempts_max = 1;
  options.first_byte_timeout = milliseconds{80};
  options.idle_timeout = milliseconds{80};
  const bool began = GENERATE(false, true);
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.begin_chunks();
                           if (began)
                             on.send_chunk(sse_text("a"));
                           on.wait_closed();
                         },
                         options};
  const auto got = provider.finish_chat(true);
  CHECK(got->story() == (began ? "open chunk failed" : "failed"));
  CHECK(got->why().code == (began ? errc::stream_cut : errc::deadline_exceeded));
}

// -- callers --------------------------------------------------------------------------------------

TEST_CASE("a caller that goes away closes the provider's socket", "[actors][provider][openai]") {
  const bool stream = GENERATE(false, true);
  const bool began = stream && GENERATE(false, true);
  std::atomic<bool> asked{false};
  std::atomic<bool> closed{false};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           asked = true;
                           if (began) {
                             on.begin_chunks();
                             on.send_chunk(sse_text("a"));
                           }
                           closed = on.wait_closed();
                         },
                         quick_options(), GENERATE(false, true)};
  const auto call = provider.chat(stream);
  CHECK(eventually([&] { return began ? call->story() == "open chunk" : asked.load(); }));
  CHECK(provider.meters().in_flight.value() == 1);
  provider.give_up(call);
  CHECK(eventually([&] { return closed.load(); }));
  CHECK(eventually([&] { return provider.meters().in_flight.value() == 0; }));
  CHECK(!call->complete());
}

TEST_CASE("a caller that goes away between two tries ends them", "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int) {
    on.reply(429, error_body("slow down"), "retry-after: 4\r\n");
  })};
  const auto call = provider.chat(false, 0, 20s);
  CHECK(eventually([&] { return requests == 1; }));
  CHECK(provider.meters().in_flight.value() == 1);
  provider.give_up(call);
  CHECK(eventually([&] { return provider.meters().in_flight.value() == 0; }));
  CHECK(requests == 1);
}

TEST_CASE("a killed connector ends its calls and their sockets", "[actors][provider][openai]") {
  std::atomic<bool> asked{false};
  std::atomic<bool> closed{false};
  open_provider provider{[&](upstream_connection& on) {
    on.read_request();
    asked = true;
    closed = on.wait_closed();
  }};
  const auto call = provider.chat(true);
  CHECK(eventually([&] { return asked.load(); }));
  provider.kill_connector();
  CHECK(eventually([&] { return call->complete() && closed; }));
  CHECK(call->story() == "failed");
  CHECK(provider.meters().in_flight.value() == 0);
}

TEST_CASE("without credit the provider is read no further", "[actors][provider][openai]") {
  constexpr std::uint64_t window = 8u << 10;
  constexpr std::size_t total = std::size_t{64} << 20;
  std::atomic<bool> paused{false};
  std::atomic<std::size_t> sent{0};
  open_provider provider{[&](upstream_connection& on) {
                           on.read_request();
                           on.begin_chunks();
                           const auto piece = sse_text(std::string(1000, 'x'));
                           // Until the sockets' own buffers are full, too.
                           while (sent < total && on.send_chunk(piece, milliseconds{300}))
                             sent += piece.size();
                           paused = sent < total;
                           on.wait_closed();
                         },
                         quick_options(), GENERATE(false, true)};
  const auto call = provider.chat(true, window);
  CHECK(eventually([&] { return paused.load() && call->cost() >= window; }));
  CHECK(call->story() == "open chunk");
  // The credit may be passed by one chunk.
  CHECK(call->cost() <= window + 2000);
  const auto first = call->cost();
  provider.grant(call, window);
  CHECK(eventually([&] { return call->cost() >= first + window - 2000; }));
  CHECK(eventually([&] { return provider.fetches_paused() == 1; }));
  CHECK(call->cost() <= 2 * window + 2000);
  provider.give_up(call);
}

TEST_CASE("what was read before the end waits for the caller's credit",
          "[actors][provider][openai]") {
  std::atomic<int> requests{0};
  const bool cut = GENERATE(false, true);
  open_provider provider{counting(requests, [cut](upstream_connection& on, int) {
    if (cut)
      send_stream(on, {sse_text("a"), sse_text("b"), sse_text("c")});
    else
      send_stream(on, {sse_text("a"), sse_text("b"), sse_text("c"), sse_stop, sse_done});
  })};
  const auto call = provider.chat(true, 1);
  CHECK(eventually([&] { return call->text() == "a"; }));
  // The window is passed by one chunk; the cost of one is good for one more.
  const auto one = call->cost();
  for (const auto* expected : {"ab", "abc"}) {
    provider.grant(call, one);
    CHECK(eventually([&] { return call->text() == expected; }));
  }
  CHECK((cut || !call->complete()));
  provider.grant(call, 100'000);
  CHECK(eventually([&] { return call->complete(); }));
  CHECK(call->story() == (cut ? "open chunk failed" : "open chunk end"));
  CHECK(requests == 1);
}
