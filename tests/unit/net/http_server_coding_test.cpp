// Requests whose bodies come packed (content-encoding).
#include "runtime/net/compression.hpp"
#include "runtime/net/decompression.hpp"
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <string>
#include <string_view>

using namespace skep;
using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

std::string packed(std::string_view body, content_coding coding) {
  return compress(body, coding, 3).value();
}

std::string post(std::string_view coding, std::string_view body) {
  return std::string{"POST /p HTTP/1.1\r\nhost: t\r\ncontent-encoding: "}
    .append(coding)
    .append("\r\ncontent-length: ")
    .append(std::to_string(body.size()))
    .append("\r\n\r\n")
    .append(body);
}

std::string ask(const http_server& server, std::string_view request) {
  raw_client client{server.local_port()};
  REQUIRE(client.send(request));
  return client.read_response();
}

} // namespace

TEST_CASE("http server unpacks request bodies", "[net][http][coding]") {
  const auto server = serve(echo);
  const std::string text = "the same words, " + std::string(100'000, 'y');
  for (const auto coding : {content_coding::gzip, content_coding::zstd}) {
    const auto body = packed(text, coding);
    CHECK_THAT(ask(*server, post(word_of(coding), body)), EndsWith("POST /p? " + text));
    // Two members or frames in a row are one body, as the formats say.
    CHECK_THAT(ask(*server, post(word_of(coding), body + packed("!", coding))),
               EndsWith("POST /p? " + text + "!"));
    CHECK_THAT(ask(*server, post(word_of(coding), packed({}, coding))), EndsWith("POST /p? "));
  }
  CHECK_THAT(ask(*server, post("X-GZIP", packed("old", content_coding::gzip))),
             EndsWith("POST /p? old"));
  CHECK_THAT(ask(*server, post("identity", "plain")), EndsWith("POST /p? plain"));
}

TEST_CASE("http server unpacks a chunked body and goes on", "[net][http][coding]") {
  const auto server = serve(echo);
  const auto body = packed("hello", content_coding::gzip);
  std::string request
    = "POST /c HTTP/1.1\r\nhost: t\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const char c : body)
    request.append("1\r\n").append(1, c).append("\r\n");
  raw_client client{server->local_port()};
  REQUIRE(client.send(request + "0\r\n\r\n" + get("/next")));
  CHECK_THAT(client.read_response(), EndsWith("POST /c? hello"));
  CHECK_THAT(client.read_response(), EndsWith("GET /next? "));
}

TEST_CASE("http server names the codings it understands", "[net][http][coding]") {
  const auto server = serve(echo);
  for (const std::string_view coding : {"br", "deflate", "gzip, gzip", "gzip,zstd", "*"}) {
    INFO(coding);
    CHECK_THAT(ask(*server, post(coding, "x")),
               StartsWith("HTTP/1.1 415 ") && Contains("accept-encoding: gzip, zstd\r\n"));
  }
  CHECK_THAT(ask(*server, "POST / HTTP/1.1\r\nhost: t\r\ncontent-encoding: gzip\r\n"
                          "content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx"),
             StartsWith("HTTP/1.1 415 "));
  // Without a body there is nothing to understand.
  CHECK_THAT(ask(*server, "GET / HTTP/1.1\r\nhost: t\r\ncontent-encoding: br\r\n\r\n"),
             StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("http server refuses damaged packed bodies", "[net][http][coding]") {
  const auto server = serve(echo);
  for (const auto coding : {content_coding::gzip, content_coding::zstd}) {
    auto text = std::string(1000, 'x');
    text += "end";
    const auto body = packed(text, coding);
    const auto word = word_of(coding);
    CHECK_THAT(ask(*server, post(word, body.substr(0, body.size() - 1))),
               StartsWith("HTTP/1.1 400 ") && Contains("in the middle"));
    CHECK_THAT(ask(*server, post(word, body + "garbage")), StartsWith("HTTP/1.1 400 "));
    CHECK_THAT(ask(*server, post(word, "plain text")), StartsWith("HTTP/1.1 400 "));
  }
}

TEST_CASE("http server stops a bomb at the bound of the body", "[net][http][coding]") {
  http_server_config config;
  config.body_max_bytes = 1'000'000;
  const auto server = serve(echo, config);
  for (const auto coding : {content_coding::gzip, content_coding::zstd}) {
    const auto bomb = packed(std::string(100'000'000, '\0'), coding);
    REQUIRE(bomb.size() < config.body_max_bytes);
    CHECK_THAT(ask(*server, post(word_of(coding), bomb)), StartsWith("HTTP/1.1 413 "));
    CHECK_THAT(ask(*server, post(word_of(coding), packed(std::string(1'000'000, 'x'), coding))),
               StartsWith("HTTP/1.1 200 "));
    CHECK_THAT(ask(*server, post(word_of(coding), packed(std::string(1'000'001, 'x'), coding))),
               StartsWith("HTTP/1.1 413 "));
  }
  CHECK(server->stats().bodies_bytes == 0);
}

TEST_CASE("an unpacker appends no more than its bound however the bytes come", "[net][coding]") {
  for (const auto coding : {content_coding::gzip, content_coding::zstd}) {
    const auto body = packed(std::string(300'000, 'x'), coding);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, body.size()}) {
      std::string some;
      const auto cut = make_unpacker(coding);
      auto done = unpacker::outcome::taken;
      for (std::size_t at = 0; at < body.size() && done == unpacker::outcome::taken; at += step)
        done = cut->feed(std::string_view{body}.substr(at, step), some, 250'000);
      CHECK(done == unpacker::outcome::too_large);
      CHECK(some.size() <= 250'000);
      std::string all;
      const auto whole = make_unpacker(coding);
      for (std::size_t at = 0; at < body.size(); at += step)
        REQUIRE(whole->feed(std::string_view{body}.substr(at, step), all, 300'000)
                == unpacker::outcome::taken);
      CHECK(whole->is_whole());
      CHECK(all.size() == 300'000);
    }
  }
}

TEST_CASE("an unpacker refuses a window larger than a content coding may have", "[net][coding]") {
  // A zstd frame's head that asks for 128 MiB: magic number, descriptor, window exponent 17.
  const std::string head{"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00", 9};
  std::string into;
  CHECK(make_unpacker(content_coding::zstd)->feed(head, into, 1000)
        == unpacker::outcome::malformed);
}
