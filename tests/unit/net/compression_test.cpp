#include "runtime/net/answer_shape.hpp"
#include "runtime/net/compression.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <zlib.h>
#include <zstd.h>

#include <string>
#include <vector>

using namespace skep::net;
using namespace skep::net::testing;
using Catch::Matchers::Contains;

namespace {

/// Reads gzip back; empty when it is none.
std::string gunzip(const std::string& packed) {
  z_stream state{};
  REQUIRE(inflateInit2(&state, 15 + 16) == Z_OK);
  std::string plain(1 << 20, '\0');
  std::string input = packed;
  state.next_in = reinterpret_cast<Bytef*>(input.data());
  state.avail_in = static_cast<uInt>(input.size());
  state.next_out = reinterpret_cast<Bytef*>(plain.data());
  state.avail_out = static_cast<uInt>(plain.size());
  const auto end = inflate(&state, Z_FINISH);
  plain.resize(end == Z_STREAM_END ? state.total_out : 0);
  inflateEnd(&state);
  return plain;
}

std::string unzstd(const std::string& packed) {
  std::string plain(1 << 20, '\0');
  const auto size = ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
  plain.resize(ZSTD_isError(size) != 0 ? 0 : size);
  return plain;
}

/// Text that shrinks, of about this size.
std::string text_of(std::size_t size) {
  std::string text;
  while (text.size() < size)
    text += "line " + std::to_string(text.size()) + " of some text\n";
  text.resize(size);
  return text;
}

http_response answer_of(std::string body, std::string_view type = "application/json") {
  http_response response{200, {{"content-type", type}}, std::move(body)};
  return response;
}

compression_config rules() {
  compression_config config;
  config.enabled = true;
  return config;
}

answer_wishes wishes_of(http_headers headers, const char* method = "GET") {
  http_request request;
  request.method = method;
  request.headers = std::move(headers);
  return read_wishes(request, true);
}

http_response shaped(http_response response, const answer_wishes& wishes,
                     const compression_config& config = rules()) {
  compression_counters counters;
  shape_answer(response, wishes, config, counters);
  return response;
}

std::string with_encoding(std::string_view path, std::string_view encodings,
                          std::string_view method = "GET") {
  return std::string{method} + " " + std::string{path}
         + " HTTP/1.1\r\nhost: t\r\naccept-encoding: " + std::string{encodings} + "\r\n\r\n";
}

std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

} // namespace

TEST_CASE("the coding is chosen by weight, as RFC 9110 has it", "[net][compression]") {
  using coding = content_coding;
  struct row {
    const char* field;
    coding chosen;
    bool identity_refused;
  };
  const std::vector<row> rows{
    {"", coding::identity, false},
    {"gzip", coding::gzip, false},
    {"GZip", coding::gzip, false},
    {"x-gzip", coding::gzip, false},
    {"gzip, deflate, br", coding::gzip, false},
    {"deflate, br", coding::identity, false},
    {"zstd", coding::zstd, false},
    {"gzip, deflate, br, zstd", coding::gzip, false},
    {"gzip;q=0.5, zstd;q=0.8", coding::zstd, false},
    {"gzip;q=0.8, zstd;q=0.5", coding::gzip, false},
    {"gzip;q=0", coding::identity, false},
    {"gzip;q=0, zstd", coding::zstd, false},
    {"gzip ; q=0.001", coding::gzip, false},
    {"gzip;Q=0.5", coding::gzip, false},
    {"*", coding::gzip, false},
    {"*;q=0", coding::identity, true},
    {"gzip;q=0, *", coding::zstd, false},
    {"gzip, *;q=0", coding::gzip, true},
    {"identity", coding::identity, false},
    {"identity;q=0", coding::identity, true},
    {"identity;q=0, gzip", coding::gzip, true},
    {"identity;q=1, gzip;q=0.5", coding::identity, false},
    {"identity;q=0.5, gzip;q=0.5", coding::gzip, false},
    {"identity;q=0.5, *;q=0", coding::identity, false},
    {"gzip;q=1.0001", coding::identity, false},
    {"gzip;q=2", coding::identity, false},
    {"gzip;q=high, zstd;q=0.1", coding::zstd, false},
    {"gzip;q=", coding::identity, false},
    {",, ,gzip,,", coding::gzip, false},
    {";q=1, gzip;level=9;q=0.3", coding::gzip, false},
    {"gzippy", coding::identity, false},
  };
  for (const auto& each : rows) {
    INFO("accept-encoding: " << each.field);
    const auto chosen = negotiate_coding(each.field);
    CHECK(chosen.coding == each.chosen);
    CHECK(chosen.identity_refused == each.identity_refused);
  }
}

TEST_CASE("what is compressed can be read back", "[net][compression]") {
  for (const std::size_t size : {0u, 1u, 1000u, 100'000u})
    for (const int level : {1, 3, 9}) {
      const auto text = text_of(size);
      CHECK(gunzip(compress(text, content_coding::gzip, level).value()) == text);
      CHECK(unzstd(compress(text, content_coding::zstd, level).value()) == text);
      CHECK(compress(text, content_coding::identity, level).value() == text);
    }
}

TEST_CASE("text and JSON are compressible, streams of events and images are not",
          "[net][compression]") {
  for (const auto* type : {"application/json", "Application/JSON; charset=utf-8", "text/plain",
                           "text/plain; version=0.0.4; charset=utf-8", "text/html"})
    CHECK(is_compressible(type));
  for (const auto* type : {"text/event-stream", "text/event-stream; charset=utf-8", "image/png",
                           "application/octet-stream", "", "texts"})
    CHECK_FALSE(is_compressible(type));
}

TEST_CASE("only whole answers that gain by it are compressed", "[net][compression]") {
  const auto gzip = wishes_of({{"accept-encoding", "gzip"}});
  const auto long_text = text_of(5000);
  const auto packed = shaped(answer_of(long_text), gzip);
  CHECK(packed.headers.get("content-encoding") == "gzip");
  CHECK(packed.headers.get("vary") == "accept-encoding");
  CHECK(gunzip(packed.body) == long_text);

  // At the bound as it is, above it packed; both say that another client may get it otherwise.
  const auto small = shaped(answer_of(text_of(1000)), gzip);
  CHECK(small.body == text_of(1000));
  CHECK_FALSE(small.headers.contains("content-encoding"));
  CHECK(small.headers.get("vary") == "accept-encoding");
  CHECK(shaped(answer_of(text_of(1001)), gzip).headers.get("content-encoding") == "gzip");

  auto encoded = answer_of(long_text);
  encoded.headers.add("content-encoding", "br");
  CHECK(shaped(encoded, gzip).body == long_text);
  auto guarded = answer_of(long_text);
  guarded.headers.add("cache-control", "private, no-transform");
  CHECK(shaped(guarded, gzip).body == long_text);
  CHECK(shaped(answer_of(long_text, "image/png"), gzip).body == long_text);
  CHECK(shaped(answer_of(long_text), wishes_of({})).body == long_text);

  auto limited = rules();
  limited.max_bytes = 4999;
  CHECK(shaped(answer_of(long_text), gzip, limited).body == long_text);
  auto off = rules();
  off.enabled = false;
  CHECK(shaped(answer_of(long_text), gzip, off).headers.contains("vary") == false);
}

TEST_CASE("an answer that would grow stays as it is, unless its plain form is refused",
          "[net][compression]") {
  std::string noise;
  std::uint64_t state = 1;
  while (noise.size() < 2000) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    noise += static_cast<char>(state >> 56);
  }
  CHECK(shaped(answer_of(noise), wishes_of({{"accept-encoding", "gzip"}})).body == noise);
  const auto forced
    = shaped(answer_of(noise), wishes_of({{"accept-encoding", "gzip, identity;q=0"}}));
  CHECK(gunzip(forced.body) == noise);
  CHECK(gunzip(shaped(answer_of("{}"), wishes_of({{"accept-encoding", "gzip, identity;q=0"}})).body)
        == "{}");
}

TEST_CASE("the weights of several Accept-Encoding fields count together", "[net][compression]") {
  const auto wishes
    = wishes_of({{"accept-encoding", "gzip;q=0.2"}, {"Accept-Encoding", "zstd;q=0.9"}});
  CHECK(wishes.coding.coding == content_coding::zstd);
}

TEST_CASE("entity tags are compared weakly and may hold commas", "[net][etag]") {
  CHECK(matches_etag(R"("a")", R"("a")"));
  CHECK(matches_etag(R"(W/"a")", R"("a")"));
  CHECK(matches_etag(R"("a")", R"(W/"a")"));
  CHECK(matches_etag(R"("x", W/"a,b" , "c")", R"(W/"a,b")"));
  CHECK(matches_etag(" * ", R"("a")"));
  CHECK_FALSE(matches_etag(R"("b")", R"("a")"));
  CHECK_FALSE(matches_etag(R"(a)", R"("a")"));
  CHECK_FALSE(matches_etag(R"("a)", R"("a")"));
  CHECK_FALSE(matches_etag("*", ""));
  CHECK_FALSE(matches_etag("", R"("a")"));
}

TEST_CASE("a client that has the body already gets 304 without one", "[net][etag]") {
  auto tagged = answer_of(text_of(5000));
  tagged.headers.add("etag", R"(W/"1")");
  tagged.headers.add("x-request-id", "7");
  const auto same = wishes_of({{"if-none-match", R"("0", W/"1")"}, {"accept-encoding", "gzip"}});
  const auto unchanged = shaped(tagged, same);
  CHECK(unchanged.status == 304);
  CHECK(unchanged.body.empty());
  CHECK(unchanged.headers.get("etag") == R"(W/"1")");
  CHECK(unchanged.headers.get("x-request-id") == "7");
  CHECK(unchanged.headers.get("vary") == "accept-encoding");
  CHECK_FALSE(unchanged.headers.contains("content-type"));
  CHECK_FALSE(unchanged.headers.contains("content-encoding"));

  CHECK(shaped(tagged, wishes_of({{"if-none-match", R"("2")"}})).status == 200);
  CHECK(shaped(tagged, wishes_of({{"if-none-match", R"(W/"1")"}}, "POST")).status == 200);
  CHECK(shaped(answer_of("{}"), wishes_of({{"if-none-match", "*"}})).status == 200);
  auto missing = tagged;
  missing.status = 404;
  CHECK(shaped(missing, same).status == 404);
}

TEST_CASE("http server compresses on the wire, HEAD as GET, and counts it", "[net][compression]") {
  const auto text = text_of(20'000);
  http_server_config config;
  config.compression = rules();
  const auto server
    = serve([&](http_request&&,
                std::shared_ptr<http_exchange> exchange) { exchange->respond(answer_of(text)); },
            config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(with_encoding("/", "gzip")));
  const auto packed = client.read_response();
  CHECK_THAT(packed, Contains("content-encoding: gzip\r\n"));
  CHECK(gunzip(body_of(packed)) == text);
  REQUIRE(client.send(with_encoding("/", "gzip;q=0.1, zstd")));
  CHECK(unzstd(body_of(client.read_response())) == text);
  REQUIRE(client.send(with_encoding("/", "identity")));
  CHECK(body_of(client.read_response()) == text);

  REQUIRE(client.send(with_encoding("/", "gzip", "HEAD")));
  const auto head = client.read_until("\r\n\r\n");
  CHECK_THAT(head, Contains("content-encoding: gzip\r\n"));
  CHECK_THAT(head, Contains("content-length: " + std::to_string(body_of(packed).size()) + "\r\n"));

  const auto stats = server->stats();
  CHECK(stats.compressed == 3);
  CHECK(stats.compressed_bytes_before == 3 * text.size());
  CHECK(stats.compressed_bytes_after < stats.compressed_bytes_before / 3);
}

TEST_CASE("http server answers 304 without length or body and keeps the connection",
          "[net][etag]") {
  const auto server = serve([](http_request&&, std::shared_ptr<http_exchange> exchange) {
    auto response = answer_of("{\"a\":1}");
    response.headers.add("etag", "W/\"x\"");
    exchange->respond(std::move(response));
  });
  raw_client client{server->local_port()};
  for (int n = 0; n < 2; ++n) {
    REQUIRE(client.send("GET / HTTP/1.1\r\nhost: t\r\nif-none-match: W/\"x\"\r\n\r\n"));
    const auto head = client.read_until("\r\n\r\n");
    CHECK_THAT(head, Catch::Matchers::StartsWith("HTTP/1.1 304 "));
    CHECK_THAT(head, !Contains("content-length"));
  }
  REQUIRE(client.send(get("/")));
  CHECK(body_of(client.read_response()) == "{\"a\":1}");
}

TEST_CASE("a stream is never compressed", "[net][compression]") {
  http_server_config config;
  config.compression = rules();
  const auto server = serve(
    [](http_request&&, std::shared_ptr<http_exchange> exchange) {
      exchange->begin_stream(200, {{"content-type", "text/event-stream"}});
      CHECK(exchange->write(text_of(5000)));
      exchange->end();
    },
    config);
  raw_client client{server->local_port()};
  REQUIRE(client.send(with_encoding("/", "gzip, identity;q=0")));
  const auto all = client.read_until("0\r\n\r\n");
  CHECK_THAT(all, !Contains("content-encoding"));
  CHECK_THAT(all, Contains("line 0 of some text"));
}
