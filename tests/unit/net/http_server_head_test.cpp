// What the owner decides by a request's head, before its body is read.
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

/// Lets in who has a key.
std::optional<http_response> ask_for_key(const http_request& head) {
  if (!head.header("authorization").empty())
    return std::nullopt;
  return http_response{401, {}, "no key for " + head.method + " " + head.path + head.body};
}

std::string post(std::string_view more, std::size_t length) {
  return std::string{"POST /p HTTP/1.1\r\nhost: t\r\n"}
    .append(more)
    .append("content-length: ")
    .append(std::to_string(length))
    .append("\r\n\r\n");
}

} // namespace

TEST_CASE("http server turns a request away by its head", "[net][http]") {
  http_server_config config;
  config.check_head = ask_for_key;
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  // Not a byte of the body has come, and none is asked for.
  REQUIRE(client.send(post("expect: 100-continue\r\n", 5)));
  const auto answer = client.read_response();
  CHECK_THAT(answer, StartsWith("HTTP/1.1 401 ") && Contains("connection: close\r\n")
                       && EndsWith("no key for POST /p"));
  // What still comes is read away, so that the client can read the answer after it.
  REQUIRE(client.send("hello"));
  client.close_sending();
  CHECK(client.read_to_end().empty());
  CHECK_FALSE(client.was_reset());
  CHECK(server->stats().requests == 0);
  CHECK(server->stats().heads_refused == 1);
}

TEST_CASE("http server holds no body for who is turned away", "[net][http]") {
  http_server_config config;
  config.check_head = ask_for_key;
  config.bodies_max_bytes = 1500;
  const auto server = serve(echo, config);
  std::vector<std::unique_ptr<raw_client>> strangers;
  for (int i = 0; i < 5; ++i) {
    strangers.push_back(std::make_unique<raw_client>(server->local_port()));
    REQUIRE(strangers.back()->send(post({}, 2000) + std::string(1000, 'x')));
    CHECK_THAT(strangers.back()->read_response(), StartsWith("HTTP/1.1 401 "));
  }
  CHECK(server->stats().bodies_bytes == 0);
  raw_client client{server->local_port()};
  REQUIRE(client.send(post("authorization: k\r\n", 1400) + std::string(700, 'x')));
  REQUIRE(eventually([&] { return server->stats().bodies_bytes == 700; }));
  REQUIRE(client.send(std::string(700, 'x')));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("http server keeps a connection turned away without a body", "[net][http]") {
  http_server_config config;
  config.check_head = ask_for_key;
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/a") + "HEAD /b HTTP/1.1\r\nhost: t\r\n\r\n" + get("/c")));
  CHECK_THAT(client.read_response(), EndsWith("no key for GET /a"));
  CHECK_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(client.read_response(), EndsWith("no key for GET /c"));
  REQUIRE(client.send("GET /d HTTP/1.1\r\nhost: t\r\nauthorization: k\r\n\r\n"));
  CHECK_THAT(client.read_response(), EndsWith("GET /d? "));
  CHECK(server->stats().heads_refused == 3);
}

TEST_CASE("http server bounds each body as its owner says", "[net][http]") {
  http_server_config config;
  config.body_max_bytes = 10;
  config.body_max_of = [](const http_request& head) -> std::size_t {
    return head.header("x-big").empty() || head.peer.empty() ? 10 : 20;
  };
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(post("x-big: 1\r\n", 20) + std::string(20, 'x')));
  CHECK_THAT(client.read_response(), EndsWith(std::string(20, 'x')));
  REQUIRE(client.send(post({}, 11) + std::string(11, 'x')));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 413 "));
}
