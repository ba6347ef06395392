// What happens when connections or memory for answers run out.
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

/// Answers with as many bytes as the path says.
void sized(http_request&& request, std::shared_ptr<http_exchange> exchange) {
  exchange->respond({200, {}, std::string(std::stoul(request.path.substr(1)), 'x')});
}

constexpr std::string_view busy = "HTTP/1.1 503 ";

} // namespace

TEST_CASE("http server closes the longest idle connection for a new one", "[net][http]") {
  http_server_config config;
  config.connections_max = 3;
  const auto server = serve(echo, config);
  raw_client silent{server->local_port()};
  REQUIRE(eventually([&] { return server->stats().connections == 1; }));
  std::vector<std::unique_ptr<raw_client>> idle;
  for (int i = 0; i < 2; ++i) {
    idle.push_back(std::make_unique<raw_client>(server->local_port()));
    REQUIRE(idle.back()->send(get("/")));
    CHECK_THAT(idle.back()->read_response(), StartsWith("HTTP/1.1 200"));
  }
  // The first of them asks again: now the other one has been idle longer.
  REQUIRE(idle[0]->send(get("/again")));
  CHECK_THAT(idle[0]->read_response(), StartsWith("HTTP/1.1 200"));
  for (int i = 0; i < 2; ++i) {
    idle.push_back(std::make_unique<raw_client>(server->local_port()));
    REQUIRE(idle.back()->send(get("/new")));
    CHECK_THAT(idle.back()->read_response(), StartsWith("HTTP/1.1 200"));
  }
  CHECK(silent.read_to_end().empty());
  CHECK(silent.ended());
  CHECK(idle[1]->read_to_end().empty());
  CHECK(idle[1]->ended());
  REQUIRE(idle[0]->send(get("/still")));
  CHECK_THAT(idle[0]->read_response(), StartsWith("HTTP/1.1 200"));
  CHECK(server->stats().idle_closed == 2);
  CHECK(server->stats().refused == 0);
  CHECK(server->stats().connections == 3);
}

TEST_CASE("http server never closes a connection at work for a new one", "[net][http]") {
  request_box box;
  http_server_config config;
  config.connections_max = 2;
  const auto server = serve(box.handler(), config);
  raw_client working{server->local_port()};
  REQUIRE(working.send(get("/")));
  const auto asked = box.next();
  raw_client sending{server->local_port()};
  REQUIRE(sending.send("GET /half"));
  REQUIRE(eventually([&] { return server->stats().bytes_in > get("/").size(); }));
  raw_client late{server->local_port()};
  CHECK_THAT(late.read_to_end(), StartsWith(std::string{busy}));
  CHECK(server->stats().refused == 1);
  CHECK(server->stats().idle_closed == 0);
  asked.second->respond({200, {}, "done"});
  CHECK_THAT(working.read_response(), EndsWith("done"));
}

TEST_CASE("http server bounds the connections of one address", "[net][http]") {
  http_server_config config;
  config.connections_per_address_max = 2;
  const auto server = serve(echo, config);
  raw_client first{server->local_port()};
  REQUIRE(first.send("GET / HT"));
  raw_client second{server->local_port()};
  REQUIRE(second.send("GET / HT"));
  REQUIRE(eventually([&] { return server->stats().bytes_in == 16; }));
  CHECK(server->stats().address_connections == 2);
  {
    raw_client third{server->local_port()};
    CHECK_THAT(third.read_to_end(), StartsWith(std::string{busy}));
    CHECK(server->stats().address_refused == 1);
  }
  REQUIRE(eventually([&] { return server->stats().address_connections == 2; }));
  // One of its own that is idle makes room.
  REQUIRE(first.send("TP/1.1\r\nhost: t\r\n\r\n"));
  CHECK_THAT(first.read_response(), StartsWith("HTTP/1.1 200"));
  raw_client fourth{server->local_port()};
  REQUIRE(fourth.send(get("/")));
  CHECK_THAT(fourth.read_response(), StartsWith("HTTP/1.1 200"));
  CHECK(first.read_to_end().empty());
  CHECK(first.ended());
  CHECK(server->stats().idle_closed == 1);
  CHECK(server->stats().address_refused == 1);
}

TEST_CASE("http server bounds the answers waiting for clients together", "[net][http]") {
  constexpr std::size_t answer = 8'000'000;
  http_server_config config;
  config.answers_max_bytes = 3 * answer;
  const auto server = serve(sized, config);
  const auto ask = get("/" + std::to_string(answer));
  std::vector<std::unique_ptr<raw_client>> readers;
  for (int i = 0; i < 20; ++i) {
    readers.push_back(std::make_unique<raw_client>(server->local_port(), 4096));
    REQUIRE(readers.back()->send(ask));
  }
  REQUIRE(eventually([&] { return server->stats().requests == 20; }));
  // Of an answer in flight the kernel may hold up to 4 MiB, which is half of it.
  CHECK(server->stats().answers_refused >= 20 - 2 * 3);
  CHECK(server->stats().answers_bytes <= config.answers_max_bytes + 20 * 1024);
  // Whoever asks for little is served all the same.
  raw_client modest{server->local_port()};
  REQUIRE(modest.send(get("/1000")));
  CHECK_THAT(modest.read_response(), StartsWith("HTTP/1.1 200"));
  // Nobody is left without an answer: it is whole, or says to come again.
  std::size_t whole = 0;
  for (auto& reader : readers) {
    const auto response = reader->read_response();
    whole += response.size() > answer ? 1u : 0u;
    if (response.size() <= answer)
      CHECK_THAT(response, StartsWith(std::string{busy}) && Contains("retry-after: 1\r\n"));
  }
  CHECK(whole + server->stats().answers_refused == 20);
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server forgets the answers of clients that left", "[net][http]") {
  request_box box;
  const auto server = serve(box.handler());
  std::vector<request_box::item> asked;
  {
    raw_client client{server->local_port(), 4096};
    REQUIRE(client.send(get("/")));
    asked.push_back(box.next());
    asked[0].second->begin_stream(200, {});
    REQUIRE(asked[0].second->write(std::string(8'000'000, 'x')));
    REQUIRE(eventually([&] { return server->stats().bytes_out > 1000; }));
    CHECK(server->stats().answers_bytes == 8'000'000);
  }
  // Although the exchange is still held.
  CHECK(eventually([&] { return server->stats().answers_bytes == 0; }));
}

TEST_CASE("http server cuts streams rather than to exceed its bound", "[net][http]") {
  request_box box;
  http_server_config config;
  config.answers_max_bytes = 4'000'000;
  config.send_buffer_max_bytes = 100'000'000;
  const auto server = serve(box.handler(), config);
  raw_client slow{server->local_port(), 4096};
  REQUIRE(slow.send(get("/slow")));
  const auto first = box.next();
  first.second->begin_stream(200, {});
  // What belongs to the answer in any case is no way around the bound.
  std::size_t taken = 0;
  while (taken < 100 && first.second->write_owed(std::string(1'000'000, 'x')))
    ++taken;
  CHECK(taken < 20);
  CHECK(server->stats().answers_refused == 1);
  // A stream that is read goes on.
  raw_client quick{server->local_port()};
  REQUIRE(quick.send(get("/quick")));
  const auto second = box.next();
  second.second->begin_stream(200, {});
  for (int i = 0; i < 50; ++i) {
    REQUIRE(second.second->write("event " + std::to_string(i)));
    CHECK_THAT(quick.read_until("event " + std::to_string(i) + "\r\n"), Contains("event"));
  }
  second.second->end();
}

TEST_CASE("http server cuts a client that takes its answer too slowly", "[net][http]") {
  http_server_config config;
  config.write_timeout = 80ms;
  config.write_rate_min_bytes = std::size_t{1} << 40;
  const auto server = serve(sized, config);
  raw_client client{server->local_port(), 4096};
  REQUIRE(client.send(get("/64000000")));
  // Each read is progress, and not enough.
  CHECK(eventually([&] { return client.read_some(100).empty() || server->stats().timeouts == 1; }));
  CHECK(eventually([&] { return server->stats().timeouts == 1; }));
}

TEST_CASE("http server cuts a body that comes too slowly", "[net][http]") {
  http_server_config config;
  config.body_timeout = 80ms;
  config.body_rate_min_bytes = std::size_t{1} << 40;
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8000000\r\n\r\n"));
  std::size_t sent = 0;
  CHECK(eventually([&] {
    // Less than the whole, so that only the clock ends it.
    if (sent < 7'000'000 && client.send("x"))
      ++sent;
    return server->stats().timeouts == 1;
  }));
  CHECK_THAT(client.read_some(), StartsWith("HTTP/1.1 408 "));
}

TEST_CASE("http server closes a connection whose request it has no memory for", "[net][http]") {
  http_server_config config;
  config.check_head = [](const http_request& head) -> std::optional<http_response> {
    if (head.path == "/large")
      throw std::bad_alloc{};
    return std::nullopt;
  };
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(get("/large")));
  CHECK(client.read_to_end().empty());
  CHECK(client.ended());
  raw_client next{server->local_port()};
  REQUIRE(next.send(get("/small")));
  CHECK_THAT(next.read_response(), EndsWith("GET /small? "));
}

TEST_CASE("http server lets a refused upload come to its end", "[net][http]") {
  http_server_config config;
  config.body_max_bytes = 1000;
  const auto server = serve(echo, config);
  raw_client client{server->local_port()};
  // Sends all of it before it looks at the answer, as most clients do.
  constexpr std::size_t length = 20'000'000;
  REQUIRE(client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: " + std::to_string(length)
                      + "\r\n\r\n"));
  for (std::size_t sent = 0; sent < length; sent += 100'000)
    REQUIRE(client.send(std::string(100'000, 'x')));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 413 "));
  CHECK(client.read_to_end().empty());
  CHECK_FALSE(client.was_reset());
}
