#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

TEST_CASE("http server answers many requests on one connection", "[net][http]") {
  const auto server = serve(echo);
  raw_client client{server->local_port()};
  for (int i = 0; i < 5; ++i) {
    const auto path = "/n" + std::to_string(i);
    REQUIRE(client.send(get(path + "?a=1&b")));
    const auto response = client.read_response();
    CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK\r\ndate: "));
    CHECK_THAT(response, EndsWith("\r\n\r\nGET " + path + "?a=1&b "));
    CHECK_THAT(response, !Contains("connection:"));
  }
  const auto stats = server->stats();
  CHECK(stats.accepted == 1);
  CHECK(stats.requests == 5);
  CHECK(stats.connections == 1);
  CHECK(stats.active == 0);
}

TEST_CASE("http server answers pipelined requests in order", "[net][http]") {
  const auto server = serve(echo);
  raw_client client{server->local_port()};
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += "POST /p HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n" + std::to_string(10 + i);
  REQUIRE(client.send(all));
  for (int i = 0; i < 50; ++i)
    CHECK_THAT(client.read_response(), EndsWith("POST /p? " + std::to_string(10 + i)));
}

TEST_CASE("http server keeps a pipelined request until the first is answered", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/one") + get("/two")));
  auto [first, answer_first] = box.next();
  CHECK(first.path == "/one");
  CHECK(server->stats().requests == 1);
  answer_first->respond({200, {}, "1"});
  auto [second, answer_second] = box.next();
  CHECK(second.path == "/two");
  answer_second->respond({200, {}, "2"});
  CHECK_THAT(client.read_response(), EndsWith("\r\n\r\n1"));
  CHECK_THAT(client.read_response(), EndsWith("\r\n\r\n2"));
}

TEST_CASE("http server hands the request over as it was sent", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  REQUIRE(client.send("POST http://host:1/v1/x%20y?q=%31 HTTP/1.1\r\nHost: t\r\n"
                      "AUTHORIZATION: Bearer k \r\nContent-Length: 4\r\n\r\nbody"));
  auto [request, exchange] = box.next();
  CHECK(request.method == "POST");
  CHECK(request.path == "/v1/x%20y");
  CHECK(request.query == "q=%31");
  CHECK(request.header("authorization") == "Bearer k");
  CHECK(request.header("absent").empty());
  CHECK(request.body == "body");
  CHECK_THAT(request.peer, StartsWith("127.0.0.1:"));
  CHECK(request.thread_index == 0);
  exchange->respond({204, {}, {}});
  CHECK_THAT(client.read_response(), !Contains("content-length"));
}

TEST_CASE("http server decodes a chunked body and ignores its trailers", "[net][http]") {
  const auto server = serve(echo);
  raw_client client{server->local_port()};
  REQUIRE(client.send("POST /c HTTP/1.1\r\nhost: t\r\nTransfer-Encoding: Chunked\r\n\r\n"
                      "3;ext=1\r\nabc\r\n00A\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"
                      + get("/next")));
  CHECK_THAT(client.read_response(), EndsWith("POST /c? abc0123456789"));
  CHECK_THAT(client.read_response(), EndsWith("GET /next? "));
}

TEST_CASE("http server follows the keep-alive rules of both versions", "[net][http]") {
  const auto server = serve(echo);
  const auto ask = [&](std::string_view request) {
    raw_client client{server->local_port()};
    REQUIRE(client.send(request));
    const auto response = client.read_response();
    const bool told = response.find("connection: close\r\n") != std::string::npos;
    const bool kept = response.find("connection: keep-alive\r\n") != std::string::npos;
    if (told) {
      CHECK(client.read_to_end().empty());
      CHECK(client.ended());
      return std::string{"close"};
    }
    REQUIRE(client.send(request));
    CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
    return std::string{kept ? "keep, said" : "keep"};
  };
  CHECK(ask("GET / HTTP/1.1\r\nhost: t\r\n\r\n") == "keep");
  CHECK(ask("GET / HTTP/1.1\r\nhost: t\r\nConnection: close\r\n\r\n") == "close");
  CHECK(ask("GET / HTTP/1.0\r\n\r\n") == "close");
  CHECK(ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == "keep, said");
}

TEST_CASE("http server answers HEAD with the length and no body", "[net][http]") {
  const auto server = serve([](http_request&& request, std::shared_ptr<http_exchange> exchange) {
    if (request.path != "/stream")
      return exchange->respond({200, {}, "twelve bytes"});
    exchange->begin_stream(200, {});
    if (exchange->write("never sent"))
      exchange->end();
  });
  raw_client client{server->local_port()};
  REQUIRE(
    client.send("HEAD / HTTP/1.1\r\nhost: t\r\n\r\nHEAD /stream HTTP/1.1\r\nhost: t\r\n\r\n"));
  REQUIRE(client.send(get("/")));
  CHECK_THAT(client.read_until("\r\n\r\n"), Contains("content-length: 12\r\n"));
  CHECK_THAT(client.read_until("\r\n\r\n"), Contains("transfer-encoding: chunked\r\n"));
  CHECK_THAT(client.read_response(), EndsWith("twelve bytes"));
}

TEST_CASE("http server asks for the body when the client waits for 100", "[net][http]") {
  const auto server = serve(echo);
  raw_client client{server->local_port()};
  REQUIRE(client.send("POST / HTTP/1.1\r\nhost: t\r\nExpect: 100-continue\r\n"
                      "content-length: 5\r\n\r\n"));
  CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  REQUIRE(client.send("hello"));
  CHECK_THAT(client.read_response(), EndsWith("POST /? hello"));
  REQUIRE(client.send("POST / HTTP/1.1\r\nhost: t\r\nExpect: magic\r\ncontent-length: 5\r\n\r\n"));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 417"));
}

TEST_CASE("http server answers 500 for a request dropped without an answer", "[net][http]") {
  const auto server = serve([](http_request&& request, std::shared_ptr<http_exchange> exchange) {
    if (request.path == "/throw")
      throw std::runtime_error{"handler failed"};
    if (request.path == "/other-thread")
      std::thread{[kept = std::move(exchange)]() mutable { kept.reset(); }}.detach();
  });
  raw_client client{server->local_port()};
  for (const auto* path : {"/drop", "/throw", "/other-thread"}) {
    REQUIRE(client.send(get(path)));
    CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 500 "));
  }
}

TEST_CASE("http server takes the answer from any thread", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client client{server->local_port()};
  for (int i = 0; i < 100; ++i) {
    const auto path = "/" + std::to_string(i);
    REQUIRE(client.send(get(path)));
    std::thread answering{[taken = box.next()]() mutable {
      taken.second->respond({200, {}, std::move(taken.first.path)});
      taken.second->respond({200, {}, "a second answer is ignored"});
    }};
    REQUIRE_THAT(client.read_response(), EndsWith("\r\n\r\n" + path));
    answering.join();
  }
}

TEST_CASE("http server serves 200 connections on two threads", "[net][http]") {
  std::mutex mutex;
  std::map<int, int> by_thread;
  http_server_config config;
  config.threads = 2;
  const auto server = serve(
    [&](http_request&& request, std::shared_ptr<http_exchange> exchange) {
      {
        const std::lock_guard lock{mutex};
        ++by_thread[request.thread_index];
      }
      echo(std::move(request), std::move(exchange));
    },
    config);
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 200; ++i)
    clients.push_back(std::make_unique<raw_client>(server->local_port()));
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i)
      REQUIRE(clients[i]->send(get("/" + std::to_string(i))));
    for (std::size_t i = 0; i < clients.size(); ++i)
      REQUIRE_THAT(clients[i]->read_response(), EndsWith("GET /" + std::to_string(i) + "? "));
  }
  CHECK(server->stats().connections == 200);
  const std::lock_guard lock{mutex};
  CHECK(by_thread[0] == 300);
  CHECK(by_thread[1] == 300);
}

TEST_CASE("http server sends and takes bodies larger than any buffer", "[net][http]") {
  const auto server = serve(echo);
  raw_client client{server->local_port()};
  const std::string body(3'000'000, 'b');
  std::thread sending{[&] {
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3000000\r\n\r\n");
    client.send(body);
  }};
  sending.join();
  CHECK(client.read_response().size() > body.size());
  CHECK(server->stats().bodies_bytes == 0);
}

TEST_CASE("http server drains: idle closes, running finishes, backlog is served", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  raw_client idle{server->local_port()};
  REQUIRE(idle.send(get("/idle")));
  box.next().second->respond({});
  CHECK_THAT(idle.read_response(), !Contains("connection: close"));
  raw_client running{server->local_port()};
  REQUIRE(running.send(get("/running")));
  auto [request, exchange] = box.next();
  raw_client fresh{server->local_port()};
  CHECK_FALSE(server->drained());
  server->stop_accepting();
  CHECK(idle.read_to_end().empty());
  CHECK(idle.ended());
  CHECK(server->active() == 1);
  REQUIRE(fresh.send(get("/fresh")));
  box.next().second->respond({});
  CHECK_THAT(fresh.read_response(), Contains("connection: close"));
  exchange->respond({200, {}, "done"});
  CHECK_THAT(running.read_response(), Contains("connection: close") && EndsWith("done"));
  running.close();
  fresh.close();
  CHECK(eventually([&] { return server->drained(); }));
}

TEST_CASE("http server stops with requests open and tells their owners once", "[net][http]") {
  request_box box;
  auto server = serve(box.handler());
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  auto [request, exchange] = box.next();
  std::atomic<int> closed{0};
  exchange->on_closed([&closed] { ++closed; });
  server->stop();
  CHECK(closed == 1);
  CHECK(exchange->gone());
  client.read_to_end();
  CHECK(client.ended());
  // Whoever still holds an exchange may go on using it.
  server.reset();
  exchange->respond({});
  exchange.reset();
  CHECK(closed == 1);
}

TEST_CASE("http server names the address it cannot listen on", "[net][http]") {
  const auto first = serve(echo);
  http_server_config config;
  config.port = first->local_port();
  const auto second = http_server::start(config, echo);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::transport_failed);
  CHECK_THAT(second.error().detail, Contains(first->local_endpoint()));
  CHECK_THAT(first->local_endpoint(), StartsWith("127.0.0.1:"));
}

TEST_CASE("http headers keep a value from starting another field", "[net][http]") {
  http_headers headers{{"x-a", "1\r\nx-evil: 2"}, {"bad name", "3"}};
  CHECK(headers.size() == 1);
  CHECK(headers.block() == "x-a: 1  x-evil: 2\r\n");
  CHECK(headers.get("X-A") == "1  x-evil: 2");
  CHECK_FALSE(headers.contains("x-evil"));
}
