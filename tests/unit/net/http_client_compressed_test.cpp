#include "runtime/net/compression.hpp"
#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fetch_recorder.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <zlib.h>

#include <algorithm>
#include <string>
#include <string_view>

using namespace skep;
using namespace skep::net;
using namespace skep::testing;

namespace {

/// Packs a stream piece by piece, each so that it can be read when it has come.
class gzip_stream {
public:
  gzip_stream() {
    REQUIRE(deflateInit2(&z_, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~gzip_stream() {
    deflateEnd(&z_);
  }
  std::string pack(std::string_view text, int flush = Z_SYNC_FLUSH) {
    std::string out(deflateBound(&z_, text.size()) + 64, '\0');
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z_.avail_in = static_cast<uInt>(text.size());
    z_.next_out = reinterpret_cast<Bytef*>(out.data());
    z_.avail_out = static_cast<uInt>(out.size());
    deflate(&z_, flush);
    return out.substr(0, out.size() - z_.avail_out);
  }

private:
  z_stream z_{};
};

fetch_request compressed(fetch_request request) {
  request.compressed = true;
  return request;
}

std::string packed(std::string_view text, content_coding how) {
  return compress(text, how, 3).value();
}

std::string head_of(content_coding how) {
  return "Content-Encoding: " + std::string{word_of(how)} + "\r\n";
}

} // namespace

TEST_CASE("a compressed answer is asked for and decoded", "[net][http_client][compressed]") {
  const auto how = GENERATE(content_coding::gzip, content_coding::zstd);
  box<std::string> asked;
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto& request) {
    asked.put(request.header("accept-encoding"));
    peer.reply(200, packed("{\"answer\":42}", how), head_of(how));
  })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, compressed(get(upstream.url())));
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK(result.body == "{\"answer\":42}");
  CHECK(result.body_bytes == 13);
  CHECK(asked.take() == "gzip, zstd");
}

TEST_CASE("the bound of a body counts decoded bytes: a bomb is an error",
          "[net][http_client][compressed]") {
  const auto how = GENERATE(content_coding::gzip, content_coding::zstd);
  const auto bomb = packed(std::string(std::size_t{64} << 20, '\0'), how);
  tiny_upstream upstream{
    tiny_upstream::each_request([&](auto& peer, auto&) { peer.reply(200, bomb, head_of(how)); })};
  http_client client{{}};
  auto request = compressed(get(upstream.url()));
  request.body_max = 100'000;
  const auto [id, events] = begin_fetch(client, std::move(request));
  const auto result = events->wait_done();
  CHECK(result.error == fetch_error::too_large);
  CHECK(result.body.size() == 100'000);
}

TEST_CASE("a coding nobody reads, or a damaged body, is an error that says so",
          "[net][http_client][compressed]") {
  const bool damaged = GENERATE(false, true);
  const bool streamed = GENERATE(false, true);
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto&) {
    auto body = packed(std::string(5'001, 'x'), content_coding::gzip);
    body[damaged ? 0 : 1] = '\x7f';
    peer.reply(200, body,
               damaged ? "Content-Encoding: gzip\r\n" : "Content-Encoding: compress\r\n");
  })};
  http_client client{{}};
  const auto [id, events]
    = begin_fetch(client, compressed(streamed ? stream(upstream.url()) : get(upstream.url())));
  const auto result = events->wait_done();
  CHECK(result.error == fetch_error::encoding);
  CHECK(result.why.code == errc::malformed);
  CHECK(result.why.detail == "the answer is compressed in a way that cannot be read");
}

TEST_CASE("pieces of a compressed stream arrive as they are sent",
          "[net][http_client][compressed]") {
  // The upstream sends each piece only once the one before has been seen by the client.
  box<bool> seen[2];
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto&) {
    gzip_stream zip;
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    peer.send_chunk(zip.pack("data: 1\n\n"));
    seen[0].take();
    peer.send_chunk(zip.pack("data: 2\n\n"));
    seen[1].take();
    peer.send_chunk(zip.pack("data: 3\n\n", Z_FINISH));
    peer.end_chunks();
  })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, compressed(stream(upstream.url())));
  CHECK(events->wait_data("data: 1\n\n"));
  seen[0].put(true);
  CHECK(events->wait_data("data: 1\n\ndata: 2\n\n"));
  seen[1].put(true);
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK(events->data() == "data: 1\n\ndata: 2\n\ndata: 3\n\n");
}

TEST_CASE("a compressed stream without credit stops, and loses nothing",
          "[net][http_client][compressed]") {
  const auto how = GENERATE(content_coding::gzip, content_coding::zstd);
  // It shrinks to a hundredth: one read of the socket is far more than the credit.
  std::string body;
  for (int n = 0; body.size() < (std::size_t{4} << 20); ++n)
    body += "data: " + std::to_string(n % 1'000) + std::string(400, 'x') + "\n\n";
  const auto bytes = packed(body, how);
  tiny_upstream upstream{
    tiny_upstream::each_request([&](auto& peer, auto&) { peer.reply(200, bytes, head_of(how)); })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, compressed(stream(upstream.url(), 10'000)));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  CHECK(events->data().size() >= 10'000);
  CHECK(events->data().size() < 10'000 + 16'384);
  for (std::size_t granted = 0; granted < body.size(); granted += 256 << 10) {
    client.grant(id, 256 << 10);
    REQUIRE(events->wait_data_size(std::min(body.size(), granted)));
  }
  const auto result = events->wait_done();
  CHECK(result.ok());
  CHECK((events->data() == body));
}

TEST_CASE("a stream that is a bomb ends with an error", "[net][http_client][compressed]") {
  // Half a hundred megabytes of one byte in as many kilobytes: what libcurl keeps for a paused
  // stream is bounded.
  std::string bomb;
  {
    gzip_stream zip;
    const std::string part(std::size_t{1} << 20, 'x');
    for (int n = 0; n < 32; ++n)
      bomb += zip.pack(part, n == 31 ? Z_FINISH : Z_NO_FLUSH);
  }
  tiny_upstream upstream{tiny_upstream::each_request(
    [&](auto& peer, auto&) { peer.reply(200, bomb, "Content-Encoding: gzip\r\n"); })};
  http_client client{{}};
  const auto [id, events] = begin_fetch(client, compressed(stream(upstream.url(), 1)));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  // Not read on while it is paused, whatever it would unpack to.
  CHECK(events->data().size() < 16'385);
  client.cancel(id);
  CHECK(events->wait_done().error == fetch_error::cancelled);
}
