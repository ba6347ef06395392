// Large answers of equal ends, which are kept and counted once.
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

constexpr std::size_t end_bytes = 8'000'000;

/// The path, then an end that all answers share.
void answer(http_request&& request, std::shared_ptr<http_exchange> exchange) {
  http_response response{200, {{"content-type", "application/json"}}, request.path};
  response.shared_from = response.body.size();
  response.body += std::string(end_bytes, 'x');
  exchange->respond(std::move(response));
}

/// So much is booked while any number of them wait.
bool is_about_one(std::size_t bytes) {
  return bytes >= end_bytes && bytes < end_bytes + 10'000;
}

} // namespace

TEST_CASE("http server keeps the equal ends of many answers once", "[net][http]") {
  http_server_config config;
  config.answers_max_bytes = end_bytes + 100'000;
  const auto server = serve(answer, config);
  std::vector<std::unique_ptr<raw_client>> readers;
  for (int i = 0; i < 20; ++i) {
    readers.push_back(std::make_unique<raw_client>(server->local_port(), 4096));
    REQUIRE(readers.back()->send(get("/" + std::to_string(i))));
  }
  REQUIRE(eventually([&] { return server->stats().requests == 20; }));
  CHECK(is_about_one(server->stats().answers_bytes));
  CHECK(server->stats().answers_refused == 0);
  for (std::size_t i = 0; i < readers.size(); ++i) {
    CHECK(is_about_one(server->stats().answers_bytes));
    const auto body = "/" + std::to_string(i) + std::string(end_bytes, 'x');
    const auto response = readers[i]->read_response();
    CHECK(response.starts_with("HTTP/1.1 200"));
    CHECK(response.ends_with("\r\n\r\n" + body));
    CHECK_THAT(response.substr(0, 1000),
               Contains("content-length: " + std::to_string(body.size()) + "\r\n"));
  }
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server gives a shared end up when its last reader leaves", "[net][http]") {
  const auto server = serve(answer);
  auto first = std::make_unique<raw_client>(server->local_port(), 4096);
  auto second = std::make_unique<raw_client>(server->local_port(), 4096);
  REQUIRE(first->send(get("/a")));
  REQUIRE(second->send(get("/b")));
  REQUIRE(eventually([&] { return server->stats().requests == 2; }));
  first.reset();
  REQUIRE(eventually([&] { return server->stats().connections == 1; }));
  CHECK(is_about_one(server->stats().answers_bytes));
  second.reset();
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server refuses a shared end that has no room", "[net][http]") {
  http_server_config config;
  config.answers_max_bytes = end_bytes - 1;
  const auto server = serve(answer, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/")));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 503 "));
  CHECK(server->stats().answers_refused == 1);
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server tells the length of a shared end to HEAD", "[net][http]") {
  const auto server = serve(answer);
  raw_client client{server->local_port()};
  REQUIRE(client.send("HEAD /four HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"));
  const auto head = client.read_to_end();
  CHECK_THAT(head, Contains("content-length: " + std::to_string(end_bytes + 5) + "\r\n"));
  CHECK_THAT(head, EndsWith("\r\n\r\n"));
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server packs an answer for its client instead of sharing it", "[net][http]") {
  http_server_config config;
  config.compression.enabled = true;
  config.compression.max_bytes = 2 * end_bytes;
  const auto server = serve(answer, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send("GET /a HTTP/1.1\r\nhost: t\r\naccept-encoding: gzip\r\n\r\n"));
  const auto response = client.read_response();
  CHECK(response.size() < end_bytes / 10);
  CHECK_THAT(response.substr(0, 1000), Contains("content-encoding: gzip\r\n"));
}
