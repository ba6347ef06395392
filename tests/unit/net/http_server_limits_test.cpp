#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <random>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

/// Sends the bytes on a fresh connection and returns all that comes until the server closes.
std::string refused(const http_server& server, std::string_view bytes) {
  raw_client client{server.local_port()};
  client.send(bytes);
  auto answer = client.read_to_end();
  CHECK(client.ended());
  CHECK_FALSE(client.was_reset());
  return answer;
}

} // namespace

TEST_CASE("http server refuses malformed requests and goes on", "[net][http]") {
  const auto server = serve(echo);
  const std::vector<std::pair<std::string, std::string>> corpus{
    {"\x16\x03\x01\x02", "400"},
    {"GET / HTTP/1.1\nhost: t\n\n", "400"},
    {"GET /\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nhost : t\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nhost: t\r\nx: a\r\n b\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length:\r\n\t5\r\n\r\nhello", "400"},
    {"GET / HTTP/1.1\r\n host: t\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
     "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\t;x\r\nhello\r\n0\r\n\r\n",
     "400"},
    {"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"},
    {"GET /\x01 HTTP/1.1\r\nhost: t\r\n\r\n", "400"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"GET / HTTP/1.2\r\nhost: t\r\n\r\n", "505"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: -1\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: +1\r\n\r\na", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 99999999999999999999\r\n\r\n", "4"},
    {"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\ntransfer-encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\ncontent-length: "
     "3\r\n\r\n0\r\n\r\n",
     "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
    {"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n1\nabc\r\n", "400"},
    {"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
     "413"},
  };
  for (const auto& [bytes, status] : corpus) {
    INFO(bytes);
    const auto answer = refused(*server, bytes);
    CHECK_THAT(answer, StartsWith("HTTP/1.1 " + status) && Contains("connection: close\r\n")
                         && Contains(R"({"error":{"message":")"));
    CHECK(answer.find("}HTTP/1.1") == std::string::npos);
  }
  CHECK(server->stats().malformed == corpus.size());
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/alive")));
  CHECK_THAT(client.read_response(), EndsWith("GET /alive? "));
}

TEST_CASE("http server survives random damage to valid requests", "[net][http]") {
  const auto server = serve(echo);
  const std::string good = "POST /a?b HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
                           "5\r\nhello\r\n0\r\n\r\n"
                           "POST /b HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc";
  const auto seed = std::random_device{}();
  INFO("seed=" << seed);
  std::mt19937 random{seed};
  for (int i = 0; i < 300; ++i) {
    auto bytes = good;
    for (auto edits = random() % 4 + 1; edits > 0; --edits)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    raw_client client{server->local_port()};
    client.send(std::string_view{bytes}.substr(0, random() % bytes.size()));
    client.close_sending();
    client.read_to_end();
    REQUIRE(client.ended());
  }
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/alive")));
  CHECK_THAT(client.read_response(), EndsWith("GET /alive? "));
}

TEST_CASE("http server refuses a body over the limit, announced or chunked", "[net][http]") {
  http_server_config config;
  config.body_max_bytes = 1000;
  const auto server = serve(echo, config);
  CHECK_THAT(refused(*server, "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1001\r\n\r\n"
                                + std::string(1001, 'x')),
             StartsWith("HTTP/1.1 413 "));
  // Told before the body is sent: no "100 Continue" comes.
  CHECK_THAT(refused(*server, "POST / HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\n"
                              "content-length: 1001\r\n\r\n"),
             StartsWith("HTTP/1.1 413 "));
  CHECK_THAT(refused(*server, "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
                              "3e8\r\n"
                                + std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"),
             StartsWith("HTTP/1.1 413 "));
  raw_client client{server->local_port()};
  REQUIRE(client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n"
                      + std::string(1000, 'x')));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("http server refuses a head over the limit", "[net][http]") {
  http_server_config config;
  config.header_max_bytes = 2000;
  const auto server = serve(echo, config);
  const auto one = get("/").substr(0, get("/").size() - 2) + "x-big: " + std::string(3000, 'x');
  CHECK_THAT(refused(*server, one), StartsWith("HTTP/1.1 431 "));
  std::string many = get("/").substr(0, get("/").size() - 2);
  for (int i = 0; i < 300; ++i)
    many += "x-small: 1\r\n";
  CHECK_THAT(refused(*server, many + "\r\n"), StartsWith("HTTP/1.1 431 "));
  CHECK_THAT(refused(*server, "GET /" + std::string(3000, 'u')), StartsWith("HTTP/1.1 431 "));
}

TEST_CASE("http server bounds the bodies being received together", "[net][http]") {
  http_server_config config;
  config.bodies_max_bytes = 1500;
  const auto server = serve(echo, config);
  const auto part
    = "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2000\r\n\r\n" + std::string(1000, 'x');
  raw_client first{server->local_port()};
  REQUIRE(first.send(part));
  REQUIRE(eventually([&] { return server->stats().bodies_bytes == 1000; }));
  CHECK_THAT(refused(*server, part), StartsWith("HTTP/1.1 503 ") && Contains("retry-after: 1\r\n"));
  CHECK(server->stats().bodies_bytes == 1000);
  CHECK(server->stats().bodies_refused == 1);
  REQUIRE(first.send(std::string(1000, 'x')));
  CHECK_THAT(first.read_response(), StartsWith("HTTP/1.1 200"));
  CHECK(server->stats().bodies_bytes == 0);
}

TEST_CASE("http server ends what comes too slowly", "[net][http]") {
  http_server_config config;
  config.header_timeout = config.body_timeout = config.keepalive_timeout = 60ms;
  const auto server = serve(echo, config);
  CHECK_THAT(refused(*server, "GET / HTTP/1.1\r\nhost:"), StartsWith("HTTP/1.1 408 "));
  CHECK_THAT(refused(*server, "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nab"),
             StartsWith("HTTP/1.1 408 "));
  CHECK(server->stats().timeouts == 2);
  CHECK(refused(*server, "").empty());
  CHECK(server->stats().timeouts == 3);
  const auto idle = refused(*server, get("/"));
  CHECK_THAT(idle, StartsWith("HTTP/1.1 200"));
  CHECK(server->stats().timeouts == 3);
}

TEST_CASE("http server is not held up by a head sent byte by byte", "[net][http]") {
  http_server_config config;
  config.header_timeout = 100ms;
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  const auto started = std::chrono::steady_clock::now();
  REQUIRE(client.send("GET / HTTP/1.1\r\nhost: t\r\nx: "));
  // Each byte is progress, and still the whole head has one deadline.
  std::size_t sent = 0;
  CHECK(eventually([&] {
    if (sent < 60'000 && client.send("x"))
      ++sent;
    return server->stats().timeouts == 1;
  }));
  CHECK(std::chrono::steady_clock::now() - started >= 100ms);
  CHECK_THAT(client.read_some(), StartsWith("HTTP/1.1 408 "));
}

TEST_CASE("http server cuts a client that does not read its response", "[net][http]") {
  http_server_config config;
  config.write_timeout = 80ms;
  const auto server = serve(
    [](http_request&&, std::shared_ptr<http_exchange> exchange) {
      exchange->respond({200, {}, std::string(32'000'000, 'x')});
    },
    config);
  raw_client client{server->local_port(), 4096};
  REQUIRE(client.send(get("/")));
  CHECK(
    eventually([&] { return server->stats().connections == 0 && server->stats().timeouts == 1; }));
}

TEST_CASE("http server reads no further requests while responses lie unread", "[net][http]") {
  http_server_config config;
  config.send_buffer_max_bytes = 100'000;
  const auto server = serve(
    [](http_request&&, std::shared_ptr<http_exchange> exchange) {
      exchange->respond({200, {}, std::string(1'000'000, 'x')});
    },
    config);
  raw_client client{server->local_port(), 4096};
  std::string all;
  for (int i = 0; i < 100; ++i)
    all += get("/");
  REQUIRE(client.send(all));
  REQUIRE(eventually([&] { return server->stats().requests > 0; }));
  for (int i = 0; i < 100; ++i) {
    // One megabyte in user memory and what the kernel holds, never a hundred.
    REQUIRE(server->stats().requests <= static_cast<std::uint64_t>(i) + 12);
    REQUIRE(client.read_response().size() > 1'000'000);
  }
}

TEST_CASE("http server refuses connections over the limit with 503", "[net][http]") {
  http_server_config config;
  config.connections_max = 2;
  const auto server = serve(echo, config);
  raw_client first{server->local_port()};
  REQUIRE(first.send("GET / HT"));
  {
    raw_client second{server->local_port()};
    REQUIRE(second.send("GET / HT"));
    REQUIRE(eventually([&] { return server->stats().bytes_in == 16; }));
    CHECK_THAT(refused(*server, ""), StartsWith("HTTP/1.1 503 ") && Contains("retry-after: 1\r\n")
                                       && Contains("connection: close\r\n"));
    CHECK(server->stats().refused == 1);
    REQUIRE(second.send("TP/1.1\r\nhost: t\r\n\r\n"));
    CHECK_THAT(second.read_response(), StartsWith("HTTP/1.1 200"));
  }
  REQUIRE(eventually([&] { return server->stats().connections == 1; }));
  raw_client third{server->local_port()};
  REQUIRE(third.send(get("/")));
  CHECK_THAT(third.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("http server lets its owner word the errors", "[net][http]") {
  http_server_config config;
  config.error_reply = [](int status, std::string_view message, const refused_request& asked) {
    return http_response{0,
                         {{"x-request-id", "r1"}},
                         "own " + std::to_string(status) + (message.empty() ? "" : " said ")
                           + std::string{asked.path} + std::string{asked.origin}};
  };
  const auto server = serve([](http_request&&, std::shared_ptr<http_exchange>) {}, config);
  CHECK_THAT(refused(*server, "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 ")
                                                     && Contains("x-request-id: r1\r\n")
                                                     && EndsWith("own 400 said "));
  CHECK_THAT(refused(*server, "POST /big HTTP/1.1\r\nhost: t\r\ncontent-length: 99999999\r\n\r\n"),
             EndsWith("own 413 said /big"));
  raw_client client{server->local_port()};
  REQUIRE(client.send("GET /lost HTTP/1.1\r\nhost: t\r\norigin: http://page\r\n\r\n"));
  CHECK_THAT(client.read_response(), EndsWith("own 500 said /losthttp://page"));
}

TEST_CASE("http server goes on accepting after it ran out of descriptors", "[net][http]") {
  const auto server = serve(echo);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  raw_client waiting{server->local_port()};
  REQUIRE(eventually([&] { return server->stats().accepted == 1; }));
  const int next = ::open("/dev/null", O_RDONLY);
  REQUIRE(next >= 0);
  ::close(next);
  // One descriptor is left: the client takes it, the server's accept() finds none.
  const rlimit tight{static_cast<rlim_t>(next) + 1, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  raw_client client{server->local_port()};
  const bool failed = eventually([&] { return server->stats().accept_failures > 0; });
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(failed);
  REQUIRE(client.send(get("/late")));
  CHECK_THAT(client.read_response(), EndsWith("GET /late? "));
}
