#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <atomic>
#include <thread>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

TEST_CASE("http stream delivers each frame as its own chunk when it is written", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  for (int round = 0; round < 2; ++round) {
    REQUIRE(client.send(get("/")));
    auto [request, exchange] = box.next();
    exchange->begin_stream(200, {{"content-type", "text/event-stream"}});
    const auto head = client.read_until("\r\n\r\n");
    CHECK_THAT(head, Contains("transfer-encoding: chunked\r\n") && !Contains("content-length"));
    for (int i = 0; i < 5; ++i) {
      // The next frame is written only after this one was read: nothing waits for company.
      REQUIRE(exchange->write("data: " + std::to_string(i) + "\n\n"));
      REQUIRE(client.read_some() == "9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
    }
    CHECK(exchange->write("")); // An empty frame must not pass for the last chunk.
    exchange->end();
    CHECK(client.read_until("\r\n\r\n") == "0\r\n\r\n");
    CHECK_FALSE(exchange->write("late"));
  }
  CHECK(server->stats().accepted == 1);
}

TEST_CASE("http stream written inside the handler arrives whole", "[net][http]") {
  const auto server = serve([](http_request&&, std::shared_ptr<http_exchange> exchange) {
    exchange->begin_stream(200, {});
    if (exchange->write("one") && exchange->write("two"))
      exchange->end();
  });
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  CHECK_THAT(client.read_until("0\r\n\r\n"), EndsWith("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
}

TEST_CASE("http stream to an HTTP/1.0 client ends with the connection", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  const auto ask = [&](raw_client& client) {
    REQUIRE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    auto exchange = box.next().second;
    exchange->begin_stream(200, {});
    REQUIRE(exchange->write("plain"));
    return exchange;
  };
  raw_client whole{server->local_port()};
  ask(whole)->end();
  CHECK_THAT(whole.read_to_end(), Contains("connection: close\r\n") && !Contains("chunked")
                                    && EndsWith("\r\n\r\nplain"));
  CHECK_FALSE(whole.was_reset());
  raw_client cut{server->local_port()};
  ask(cut)->abort();
  cut.read_to_end();
  CHECK(cut.was_reset());
}

TEST_CASE("http stream aborted sends what is queued and no last chunk", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  auto exchange = box.next().second;
  exchange->begin_stream(200, {});
  SECTION("by abort()") {
    REQUIRE(exchange->write("data: error\n\n"));
    exchange->abort();
  }
  SECTION("by dropping the exchange") {
    REQUIRE(exchange->write("data: error\n\n"));
    exchange.reset();
  }
  CHECK_THAT(client.read_to_end(), EndsWith("d\r\ndata: error\n\n\r\n"));
  CHECK(client.ended());
}

TEST_CASE("http exchange learns once that its client went away", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  std::atomic<int> closed{0};
  const auto lose = [&](auto&& leave, bool streaming, std::string_view ahead = {}) {
    raw_client client{server->local_port()};
    REQUIRE(client.send(get("/") + std::string{ahead}));
    auto exchange = box.next().second;
    exchange->on_closed([&closed] { ++closed; });
    if (streaming) {
      exchange->begin_stream(200, {});
      REQUIRE(exchange->write("x"));
      REQUIRE(!client.read_until("x\r\n").empty());
    }
    const auto before = closed.load();
    leave(client);
    REQUIRE(eventually([&] { return closed == before + 1; }));
    CHECK(exchange->gone());
    CHECK_FALSE(exchange->write("late"));
    // Set afterwards it runs too: the handler may be slower than the client.
    std::atomic<int> late{0};
    exchange->on_closed([&late] { ++late; });
    CHECK(eventually([&] { return late == 1; }));
  };
  lose([](raw_client& c) { c.close(); }, false);
  lose([](raw_client& c) { c.reset(); }, false);
  lose([](raw_client& c) { c.close_sending(); }, false);
  lose([](raw_client& c) { c.close(); }, true);
  lose([](raw_client& c) { c.reset(); }, true);
  // With requests sent ahead, more than the server reads, the close is still seen.
  std::string ahead;
  while (ahead.size() < 40'000)
    ahead += get("/ahead");
  lose([](raw_client& c) { c.close(); }, false, ahead);
  CHECK(eventually([&] { return server->stats().connections == 0; }));
  CHECK(closed == 6);
  CHECK(server->stats().lost == 6);
  CHECK(server->active() == 0);
}

TEST_CASE("http exchange answered to the end is not told about the close", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  std::atomic<int> closed{0};
  {
    raw_client client{server->local_port()};
    REQUIRE(client.send(get("/")));
    auto exchange = box.next().second;
    exchange->on_closed([&closed] { ++closed; });
    exchange->respond({});
    CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
  }
  CHECK(eventually([&] { return server->stats().connections == 0; }));
  CHECK(closed == 0);
  CHECK(server->stats().lost == 0);
}

TEST_CASE("http stream to a slow reader is bounded and resumes", "[net][http]") {
  request_box box;
  http_server_config config;
  config.send_buffer_max_bytes = 64 * 1024;
  const auto server = serve(box.handler(), config);
  raw_client client{server->local_port(), 4096};
  REQUIRE(client.send(get("/")));
  auto exchange = box.next().second;
  std::atomic<std::size_t> drained{0};
  exchange->on_drained([&drained](std::size_t bytes) { drained += bytes; });
  exchange->begin_stream(200, {});
  const std::string frame(1000, 'f');
  // The kernel takes some megabytes at most; then the bound must hold.
  std::atomic<std::size_t> written{0};
  const auto fill = [&] {
    while (written < 64'000'000 && exchange->write(frame))
      written += frame.size();
  };
  const auto stuck = [&] {
    fill();
    return written - drained + frame.size() > config.send_buffer_max_bytes
           && server->stats().frames_refused > 0;
  };
  REQUIRE(eventually(stuck));
  REQUIRE(written < 64'000'000);
  // Reports come a moment after the room: without further writes they catch up.
  CHECK(eventually([&] { return written - drained <= config.send_buffer_max_bytes; }));
  std::size_t got = 0;
  std::thread reading{[&] {
    while (!client.ended())
      got += client.read_some().size();
  }};
  const std::size_t target = written + 400'000;
  CHECK(eventually([&] {
    if (written < target && exchange->write(frame))
      written += frame.size();
    return written >= target;
  }));
  exchange->abort();
  reading.join();
  CHECK(got > target);
  CHECK(drained > 0);
}

TEST_CASE("http stream reports every byte as drained", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  auto exchange = box.next().second;
  std::atomic<std::size_t> drained{0};
  exchange->on_drained([&drained](std::size_t bytes) { drained += bytes; });
  exchange->begin_stream(200, {});
  for (int i = 0; i < 100; ++i)
    REQUIRE(exchange->write(std::string(100, 'x')));
  CHECK(eventually([&] { return drained == 10'000; }));
  exchange->end();
  CHECK_THAT(client.read_until("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
}

TEST_CASE("http stream with credits runs from its own drained callback", "[net][http]") {
  constexpr int frames = 20'000;
  const auto server = serve([](http_request&&, std::shared_ptr<http_exchange> exchange) {
    const auto sent = std::make_shared<int>(0);
    exchange->begin_stream(200, {});
    // The callback holds the exchange here because ending it releases the callback.
    exchange->on_drained([exchange, sent](std::size_t) {
      if (*sent == frames)
        return exchange->end();
      ++*sent;
      if (!exchange->write("frame"))
        exchange->abort();
    });
    ++*sent;
    if (!exchange->write("frame"))
      exchange->abort();
  });
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  CHECK(client.read_until("0\r\n\r\n").size() > frames * 10);
}

TEST_CASE("http streams of many threads keep their order", "[net][http]") {
  request_box box;
  http_server_config config;
  config.threads = 2;
  const auto server = serve(box.handler(), config);
  constexpr int streams = 8;
  std::atomic<int> taken{0};
  std::vector<std::unique_ptr<raw_client>> clients;
  std::vector<std::thread> writers;
  for (int s = 0; s < streams; ++s) {
    clients.push_back(std::make_unique<raw_client>(server->local_port()));
    REQUIRE(clients.back()->send(get("/")));
    writers.emplace_back([&taken, exchange = box.next().second] {
      exchange->begin_stream(200, {});
      for (int i = 0; i < 1000; ++i)
        taken += exchange->write(std::to_string(i) + ";") ? 1 : 0;
      exchange->end();
    });
  }
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const auto frame = std::to_string(i) + ";";
    expected += std::to_string(frame.size()) + "\r\n" + frame + "\r\n";
  }
  for (auto& client : clients) {
    client->read_until("\r\n\r\n");
    CHECK(client->read_until("0\r\n\r\n") == expected + "0\r\n\r\n");
  }
  for (auto& writer : writers)
    writer.join();
  CHECK(taken == streams * 1000);
}
