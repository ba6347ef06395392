#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fetch_recorder.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

using namespace skep;
using namespace skep::net;
using namespace skep::testing;
using namespace std::chrono_literals;

TEST_CASE("chunks of a stream arrive as they are sent", "[net][http_client]") {
  // The upstream sends each chunk only once the one before has been seen by the client.
  box<bool> seen[2];
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto&) {
    peer.begin_chunks();
    peer.send_chunk("data: 1\n\n");
    seen[0].take();
    peer.send_chunk("data: 2\n\n");
    seen[1].take();
    peer.end_chunks();
  })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, stream(upstream.url()));
  CHECK(events->wait_data("data: 1\n\n"));
  CHECK(events->header("content-type") == "text/event-stream");
  seen[0].put(true);
  CHECK(events->wait_data("data: 1\n\ndata: 2\n\n"));
  CHECK(events->done_count() == 0);
  seen[1].put(true);
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK(result.body.empty());
  CHECK(result.body_bytes == 18);
}

TEST_CASE("an error answer to a stream is collected, not streamed", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request(
    [](auto& peer, auto&) { peer.reply(429, "{\"error\":1}", "Retry-After: 7\r\n"); })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, stream(upstream.url(), 0));
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK(result.status == 429);
  CHECK(result.body == "{\"error\":1}");
  CHECK(events->header("retry-after") == "7");
  CHECK(events->data().empty());
}

TEST_CASE("a stream without credit stops its upstream and loses nothing", "[net][http_client]") {
  const std::string body = pattern(24 << 20);
  const std::string head = GENERATE(as<std::string>{}, "Content-Length: 25165824", "X-Till: close");
  std::atomic<std::size_t> sent{0};
  tiny_upstream upstream{[&](upstream_connection& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n");
    for (std::size_t at = 0; at < body.size(); at += 65'536) {
      if (!peer.send(std::string_view{body}.substr(at, 65'536)))
        return;
      sent = at + 65'536;
    }
  }};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, stream(upstream.url(), 100'000));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  // What the client took is its credit and at most one piece more; the rest waits in the sockets.
  const std::size_t taken = events->data().size();
  CHECK(taken >= 100'000);
  CHECK(taken < 100'000 + 16'384);
  CHECK(sent < body.size());
  for (std::size_t granted = 0; granted < body.size(); granted += 1 << 20) {
    client.grant(id, 1 << 20);
    REQUIRE(events->wait_data_size(std::min(body.size(), granted)));
  }
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK((events->data() == body));
  CHECK(client.stats().paused == 0);
}

TEST_CASE("credit of a single byte at a time brings a whole stream", "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto&) {
    // One packet: what is held back includes the end of the stream.
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n0\r\n\r\n");
  })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, stream(upstream.url(), 0));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  CHECK(events->data().empty());
  CHECK(eventually([&, id = id, events = events] {
    client.grant(id, 1);
    return events->done_count() == 1;
  }));
  CHECK(events->wait_done().ok());
  CHECK(events->data() == "abcdefghi");
}

TEST_CASE("a paused stream does not hold up a live one", "[net][http_client]") {
  const std::string body = pattern(8 << 20);
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto&) {
    peer.begin_chunks();
    for (std::size_t at = 0; at < body.size(); at += 8'192)
      if (!peer.send_chunk(std::string_view{body}.substr(at, 8'192)))
        return;
    peer.end_chunks();
  })};
  http_client client{{}};
  const auto [stopped_id, stopped] = begin_fetch(client, stream(upstream.url(), 1'000));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  const auto [live_id, live] = begin_fetch(client, stream(upstream.url(), std::int64_t{1} << 40));
  CHECK(live->wait_done().ok());
  CHECK((live->data() == body));
  CHECK(stopped->done_count() == 0);
  client.grant(stopped_id, std::int64_t{1} << 40);
  CHECK(stopped->wait_done().ok());
  CHECK((stopped->data() == body));
}

TEST_CASE("each time-out ends a transfer under its own name", "[net][http_client]") {
  std::atomic<int> mode{0};
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto&) {
    if (mode > 0)
      peer.begin_chunks();
    if (mode > 1)
      peer.send_chunk("data: 1\n\n");
    // Drips for the total time-out; stays silent otherwise.
    while (mode == 3 && !peer.wait_closed(2ms))
      peer.send_chunk(":\n");
    peer.wait_closed();
  })};
  http_client client{{}};
  auto request = stream(upstream.url());
  SECTION("no answer at all: first byte") {
    request.first_byte_timeout = 50ms;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::first_byte_timeout);
    CHECK(result.why.code == errc::deadline_exceeded);
    CHECK(result.timings.total >= 50ms);
    CHECK(result.timings.total < 5s);
  }
  SECTION("headers but no body: first byte") {
    mode = 1;
    request.first_byte_timeout = 50ms;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::first_byte_timeout);
    CHECK(result.status == 200);
  }
  SECTION("silence after a first piece: idle") {
    mode = 2;
    request.idle_timeout = 50ms;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::idle_timeout);
    CHECK(result.why.code == errc::stream_cut);
    CHECK(result.body_bytes == 9);
  }
  SECTION("drops without end: total") {
    mode = 3;
    request.idle_timeout = 5s;
    request.total_timeout = 100ms;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::total_timeout);
    CHECK(result.why.code == errc::deadline_exceeded);
    CHECK(result.body_bytes > 9);
  }
}

TEST_CASE("an upstream that accepts nobody runs into the connect time-out", "[net][http_client]") {
  // A TLS handshake that never goes on is part of connecting.
  tiny_upstream upstream{[](upstream_connection& peer) { peer.wait_closed(); }};
  http_client client{{}};
  auto request = get("https://127.0.0.1:" + std::to_string(upstream.port()) + "/");
  request.connect_timeout = 50ms;
  const auto result = fetch(client, request);
  CHECK(result.error == fetch_error::connect_timeout);
  CHECK(result.why.code == errc::transport_failed);
}

TEST_CASE("the idle time-out stands still while the consumer is the slow one",
          "[net][http_client]") {
  tiny_upstream upstream{tiny_upstream::each_request([](auto& peer, auto&) {
    peer.begin_chunks();
    peer.send_chunk(pattern(40'000));
    peer.wait_closed();
  })};
  http_client client{{}};
  auto request = stream(upstream.url(), 1'000);
  request.idle_timeout = 40ms;
  SECTION("and the total time-out still counts") {
    request.total_timeout = 400ms;
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::total_timeout);
    CHECK(result.timings.total >= 400ms);
  }
  SECTION("and it runs again once credit is there") {
    const auto [id, events] = begin_fetch(client, request);
    CHECK(eventually([&] { return client.stats().paused == 1; }));
    client.grant(id, 1 << 20);
    const auto result = events->wait_done();
    CHECK(result.error == fetch_error::idle_timeout);
    CHECK(result.body_bytes == 40'000);
  }
}
