#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fetch_recorder.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::testing;
using namespace std::chrono_literals;

namespace {

/// A port of 127.0.0.1 nobody listens on: it was free a moment ago and is not handed out at once.
std::uint16_t closed_port() {
  return tiny_upstream{[](upstream_connection&) {}}.port();
}

} // namespace

TEST_CASE("a GET brings status, headers and body", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    peer.reply(200, request.method + " " + request.target + " " + request.header("x-probe"),
               "X-Answer: yes\r\n");
  })};
  http_client client{{}};
  auto request = get(upstream.url("/v1/models?x=1"));
  request.headers = {{"X-Probe", "a b"}};
  const auto [id, events] = begin_fetch(client, std::move(request));
  const fetch_result result = events->wait_done();
  CHECK(result.ok());
  CHECK(result.why.code == errc::none);
  CHECK(result.status == 200);
  CHECK(result.body == "GET /v1/models?x=1 a b");
  CHECK(result.body_bytes == result.body.size());
  CHECK(result.version == http_version::http_1_1);
  CHECK_FALSE(result.reused_connection);
  CHECK(result.timings.total >= result.timings.first_byte);
  CHECK(result.timings.first_byte >= result.timings.headers);
  CHECK(result.timings.headers.count() > 0);
  CHECK(events->status() == 200);
  CHECK(events->header("x-answer") == "yes");
  CHECK(events->data().empty());
}

TEST_CASE("a POST carries its body as it is, binary and large", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    peer.reply(201, request.body,
               "X-Expect: " + request.header("expect")
                 + "\r\nX-Type: " + request.header("content-type") + "\r\n");
  })};
  http_client client{{}};
  auto request = get(upstream.url());
  request.method = "POST";
  request.body = std::string("\0\r\n\xff", 4) + pattern(3 << 20);
  request.headers = {{"Content-Type", "application/json"}};
  const std::string sent = request.body;
  const auto [id, events] = begin_fetch(client, std::move(request));
  const fetch_result result = events->wait_done();
  CHECK(result.status == 201);
  CHECK((result.body == sent));
  CHECK(events->header("x-expect").empty());
  CHECK(events->header("x-type") == "application/json");
}

TEST_CASE("PUT, DELETE and HEAD arrive as such", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    if (request.method == "HEAD")
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    else
      peer.reply(200, request.method + request.body);
  })};
  http_client client{{}};
  auto request = get(upstream.url());
  request.method = "PUT";
  request.body = "x";
  CHECK(fetch(client, request).body == "PUTx");
  request.method = "DELETE";
  request.body.clear();
  CHECK(fetch(client, request).body == "DELETE");
  request.method = "HEAD";
  const auto head = fetch(client, request);
  CHECK(head.ok());
  CHECK(head.body.empty());
}

TEST_CASE("early hints and trailers are skipped, a redirect is an answer", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    if (request.target == "/moved")
      peer.reply(302, "elsewhere", "Location: /other\r\n");
    else
      peer.send("HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Real: 2\r\nX-Empty:\r\n\r\n"
                "2\r\nok\r\n0\r\nX-Trailer: 3\r\n\r\n");
  })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, get(upstream.url("/hints")));
  CHECK(events->wait_done().body == "ok");
  CHECK(events->status() == 200);
  CHECK(events->header("x-real") == "2");
  CHECK(events->header("x-hint").empty());
  CHECK(events->header("x-trailer").empty());
  const auto moved = fetch(client, get(upstream.url("/moved")));
  CHECK(moved.status == 302);
  CHECK(moved.body == "elsewhere");
}

TEST_CASE("cancel closes the upstream's socket", "[net][http_client]") {
  box<bool> requested;
  box<bool> closed;
  const bool answered = GENERATE(false, true);
  tiny_upstream upstream{[&](upstream_connection& peer) {
    peer.read_request();
    if (answered) {
      peer.begin_chunks();
      peer.send_chunk("data: 1\n\n");
    }
    requested.put(true);
    closed.put(peer.wait_closed(5s));
  }};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, stream(upstream.url()));
  requested.take();
  if (answered) {
    CHECK(events->wait_data("data: 1\n\n"));
  }
  client.cancel(id);
  const auto result = events->wait_done();
  CHECK(result.error == fetch_error::cancelled);
  CHECK(result.why.code == errc::cancelled);
  CHECK(result.status == (answered ? 200 : 0));
  CHECK(closed.take());
  client.cancel(id);
  client.grant(id, 1);
  client.cancel(12'345);
  CHECK(fetch(client, get("http://127.0.0.1:" + std::to_string(closed_port()))).error
        == fetch_error::connect_failed);
  CHECK(events->done_count() == 1);
}

TEST_CASE("cancel right after start, and of a paused stream, ends once", "[net][http_client]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, pattern(100'000)); })};
  http_client client{{}};
  for (int i = 0; i < 100; ++i) {
    const auto [id, events] = begin_fetch(client, get(upstream.url()));
    client.cancel(id);
    const auto result = events->wait_done();
    CHECK((result.ok() || result.error == fetch_error::cancelled));
  }
  const auto [id, events] = begin_fetch(client, stream(upstream.url(), 10));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  client.cancel(id);
  CHECK(events->wait_done().error == fetch_error::cancelled);
  const auto stats = client.stats();
  CHECK(stats.paused == 0);
  CHECK(stats.active == 0);
  CHECK(stats.queued == 0);
  CHECK(stats.started == 101);
  CHECK(stats.completed + stats.failed == 101);
}

TEST_CASE("failures say where it broke", "[net][http_client]") {
  http_client client{{}};
  SECTION("nobody listens") {
    const auto result
      = fetch(client, get("http://127.0.0.1:" + std::to_string(closed_port()) + "/"));
    CHECK(result.error == fetch_error::connect_failed);
    CHECK(result.why.code == errc::transport_failed);
    CHECK_FALSE(result.why.detail.empty());
  }
  SECTION("the name does not exist") {
    // RFC 6761 reserves .invalid: no resolver knows it.
    const auto result = fetch(client, get("http://nowhere.invalid/"));
    CHECK(result.error == fetch_error::dns);
    CHECK(result.why.code == errc::transport_failed);
  }
  SECTION("the connection is reset before the answer") {
    tiny_upstream upstream{[](upstream_connection& peer) {
      peer.read_request();
      peer.reset();
    }};
    const auto result = fetch(client, get(upstream.url()));
    CHECK(result.error == fetch_error::reset);
    CHECK(result.why.code == errc::transport_failed);
  }
  SECTION("the connection is reset inside the body") {
    box<bool> seen;
    tiny_upstream upstream{[&](upstream_connection& peer) {
      peer.read_request();
      peer.begin_chunks();
      peer.send_chunk("data: 1\n\n");
      seen.take();
      peer.reset();
    }};
    const auto [id, events] = begin_fetch(client, stream(upstream.url()));
    CHECK(events->wait_data("data: 1\n\n"));
    seen.put(true);
    const auto result = events->wait_done();
    CHECK(result.error == fetch_error::cut);
    CHECK(result.why.code == errc::stream_cut);
    CHECK(result.status == 200);
  }
  SECTION("the connection is closed in order, but too early") {
    tiny_upstream upstream{[](upstream_connection& peer) {
      peer.read_request();
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    }};
    const auto result = fetch(client, get(upstream.url()));
    CHECK(result.error == fetch_error::cut);
    CHECK(result.body == "half");
  }
  SECTION("the peer does not speak HTTP") {
    tiny_upstream upstream{[](upstream_connection& peer) {
      peer.read_request();
      peer.send("SSH-2.0-OpenSSH\r\n\r\n");
    }};
    CHECK(fetch(client, get(upstream.url())).error == fetch_error::protocol);
  }
  SECTION("the URL is no URL, or of a forbidden scheme") {
    for (const char* url : {"", "http://", "file:///etc/passwd", "gopher://127.0.0.1/"}) {
      const auto result = fetch(client, get(url));
      CHECK(result.error == fetch_error::invalid_request);
      CHECK(result.why.code == errc::bad_request);
    }
  }
}

TEST_CASE("a body or header block over its limit is too_large", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    if (request.target == "/body")
      peer.reply(500, pattern(100'000));
    else
      peer.reply(200, "", "X-Long: " + std::string(20'000, 'x') + "\r\n");
  })};
  http_client client{{}};
  SECTION("the body, whose beginning is kept") {
    auto request = stream(upstream.url("/body"));
    request.body_max = 1'000;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::too_large);
    CHECK(result.why.code == errc::too_large);
    CHECK(result.status == 500);
    CHECK(result.body == pattern(1'000));
  }
  SECTION("a body of just the limit is no error") {
    auto request = get(upstream.url("/body"));
    request.body_max = 100'000;
    CHECK(fetch(client, request).ok());
  }
  SECTION("the headers") {
    auto request = get(upstream.url("/headers"));
    request.header_max = 10'000;
    CHECK(fetch(client, request).error == fetch_error::too_large);
  }
}

TEST_CASE("start refuses what cannot be sent, without a callback", "[net][http_client]") {
  http_client client{{}};
  auto events = std::make_shared<fetch_recorder>();
  auto request = get("http://127.0.0.1:1/");
  SECTION("a header with a line break") {
    request.headers = {{"X", "a\r\nInjected: 1"}};
  }
  SECTION("a header name with a blank") {
    request.headers = {{"X Y", "a"}};
  }
  SECTION("a length of the caller's own") {
    request.headers = {{"content-LENGTH", "3"}};
  }
  SECTION("a method with a line break") {
    request.method = "GET\r\n";
  }
  SECTION("a time-out of nothing") {
    request.total_timeout = 0ms;
  }
  CHECK(client.start(request, events).error().code == errc::bad_request);
  CHECK(client.stats().refused == 1);
  CHECK(client.stats().active == 0);
  CHECK(events->done_count() == 0);
}

TEST_CASE("beyond queue_max start answers overloaded with a retry-after", "[net][http_client]") {
  box<bool> go;
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto& request) {
    if (request.target == "/wait")
      go.take();
    peer.reply(200, "ok");
  })};
  fetch_config config;
  config.queue_max = 2;
  config.connections_max = 1;
  http_client client{config};
  const auto [first_id, first] = begin_fetch(client, get(upstream.url("/wait")));
  const auto [second_id, second] = begin_fetch(client, get(upstream.url("/")));
  auto refused = std::make_shared<fetch_recorder>();
  const auto third = client.start(get(upstream.url()), refused);
  REQUIRE_FALSE(third);
  CHECK(third.error().code == errc::overloaded);
  CHECK(third.error().retry_after > 0ms);
  CHECK(client.stats().active == 2);
  CHECK(client.stats().refused == 1);
  go.put(true);
  CHECK(first->wait_done().ok());
  CHECK(second->wait_done().ok());
  CHECK(upstream.accepted() == 1);
  CHECK(fetch(client, get(upstream.url())).ok());
  CHECK(refused->done_count() == 0);
}

TEST_CASE("64 at once, then 64 more over the same connections", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request(
    [](auto& peer, auto& request) { peer.reply(200, "you sent " + request.body); })};
  http_client client{{}};
  for (int round = 0; round < 2; ++round) {
    std::vector<std::shared_ptr<fetch_recorder>> running;
    for (int i = 0; i < 64; ++i) {
      auto request = get(upstream.url());
      request.method = "POST";
      request.body = std::to_string(i);
      running.push_back(begin_fetch(client, std::move(request)).second);
    }
    for (std::size_t i = 0; i < running.size(); ++i) {
      const auto result = running[i]->wait_done();
      CHECK(result.ok());
      CHECK(result.body == "you sent " + std::to_string(i));
    }
  }
  const auto stats = client.stats();
  CHECK(stats.completed == 128);
  CHECK(stats.connections_opened + stats.connections_reused == 128);
  CHECK(stats.connections_opened <= 64);
  CHECK(stats.connections_opened == upstream.accepted());
}

TEST_CASE("starts, grants and cancels from many threads all end once", "[net][http_client]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, pattern(30'000)); })};
  http_client client{{}};
  std::vector<std::thread> threads;
  std::atomic<int> ended_well{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        auto events = std::make_shared<fetch_recorder>();
        const auto id = client.start(stream(upstream.url(), 1), events);
        if (!id)
          continue;
        if ((i + t) % 5 == 0)
          client.cancel(*id);
        while (!eventually([&] {
          client.grant(*id, 5'000);
          return events->done_count() > 0;
        })) {
        }
        ended_well += events->done_count() == 1 ? 1 : 0;
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(ended_well == 200);
  CHECK(client.stats().active == 0);
  CHECK(client.stats().paused == 0);
}

TEST_CASE("the client's end is the end of every transfer, once", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto& request) {
    if (request.target == "/streaming") {
      peer.begin_chunks();
      peer.send_chunk(pattern(30'000));
    }
    peer.wait_closed();
  })};
  std::vector<std::shared_ptr<fetch_recorder>> running;
  {
    http_client client{{}};
    for (int i = 0; i < 10; ++i)
      running.push_back(begin_fetch(client, i % 2 == 0 ? get(upstream.url("/silent"))
                                                       : stream(upstream.url("/streaming"), 1))
                          .second);
    CHECK(eventually([&] { return client.stats().paused == 5; }));
  }
  for (const auto& events : running) {
    CHECK(events->done_count() == 1);
    const auto result = events->wait_done();
    CHECK(result.error == fetch_error::shutdown);
    CHECK(result.why.code == errc::shutting_down);
  }
}

namespace {

/// Starts the next transfer from inside the end of this one, as a retry does.
class chain : public fetch_handler {
public:
  chain(http_client& client, fetch_request request, int left, box<int>& end)
    : client_(client), request_(std::move(request)), left_(left), end_(end) {}
  void on_headers(int, const fetch_headers&) noexcept override {}
  void on_done(fetch_result result) noexcept override {
    if (left_ == 0)
      end_.put(result.status);
    else
      static_cast<void>(
        client_.start(request_, std::make_shared<chain>(client_, request_, left_ - 1, end_)));
  }

private:
  http_client& client_;
  fetch_request request_;
  int left_;
  box<int>& end_;
};

} // namespace

TEST_CASE("a handler may start another transfer", "[net][http_client]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "ok"); })};
  box<int> end;
  http_client client{{}};
  REQUIRE(client.start(get(upstream.url()),
                       std::make_shared<chain>(client, get(upstream.url()), 20, end)));
  CHECK(end.take() == 200);
  CHECK(upstream.accepted() == 1);
}

TEST_CASE("a connection the upstream closed meanwhile is replaced unnoticed",
          "[net][http_client]") {
  tiny_upstream upstream{[](upstream_connection& peer) {
    if (peer.read_request())
      peer.reply(200, "one per connection");
  }};
  http_client client{{}};
  for (int i = 0; i < 5; ++i)
    CHECK(fetch(client, get(upstream.url())).body == "one per connection");
  CHECK(upstream.accepted() == 5);
}
