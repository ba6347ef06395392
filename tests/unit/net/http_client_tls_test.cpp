#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fetch_recorder.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

using namespace skep;
using namespace skep::net;
using namespace skep::testing;
using namespace std::chrono_literals;

namespace {

/// Enough of HTTP/2 (RFC 9113) to answer GETs with a body of fixed length under the client's flow
/// control. Answers need no header compression: byte 0x88 is ":status: 200".
class http2_peer {
public:
  http2_peer(upstream_connection& peer, std::size_t body_bytes)
    : peer_(peer), body_bytes_(body_bytes) {}

  /// Serves until the client goes away.
  void run() {
    if (!peer_.read_exactly(24)) // The client's preface.
      return;
    send_frame(settings, 0, 0, {});
    while (read_frame() && pump()) {
    }
  }

private:
  enum frame_type : unsigned {
    data = 0,
    headers = 1,
    reset = 3,
    settings = 4,
    ping = 6,
    window = 8
  };
  static constexpr unsigned ack = 1;
  static constexpr unsigned end_stream = 1;
  static constexpr unsigned end_headers = 4;

  struct pending_body {
    std::int64_t window;
    std::size_t left;
  };

  static std::uint32_t number(std::string_view bytes) {
    std::uint32_t out = 0;
    for (const char c : bytes)
      out = (out << 8) | static_cast<unsigned char>(c);
    return out;
  }

  bool send_frame(unsigned type, unsigned flags, std::uint32_t stream, std::string_view payload) {
    std::string out;
    for (const auto part :
         {payload.size() >> 16, payload.size() >> 8, payload.size(), std::size_t{type},
          std::size_t{flags}, std::size_t{stream >> 24}, std::size_t{stream >> 16},
          std::size_t{stream >> 8}, std::size_t{stream}})
      out += static_cast<char>(part & 0xff);
    return peer_.send(out.append(payload));
  }

  bool read_frame() {
    const auto head = peer_.read_exactly(9);
    if (!head)
      return false;
    const auto payload = peer_.read_exactly(number(std::string_view{*head}.substr(0, 3)));
    if (!payload)
      return false;
    const auto type = static_cast<unsigned char>((*head)[3]);
    const bool acknowledged = ((*head)[4] & ack) != 0;
    const std::uint32_t stream = number(std::string_view{*head}.substr(5));
    if (type == settings && !acknowledged)
      return take_settings(*payload);
    if (type == ping && !acknowledged)
      return send_frame(ping, ack, 0, *payload);
    if (type == window)
      return add_window(stream, number(*payload));
    if (type == reset)
      answers_.erase(stream);
    if (type == headers) {
      answers_[stream] = {stream_window_, body_bytes_};
      return send_frame(headers, end_headers, stream, "\x88");
    }
    return true;
  }

  bool take_settings(std::string_view entries) {
    for (; entries.size() >= 6; entries.remove_prefix(6))
      if (number(entries.substr(0, 2)) == 4) // SETTINGS_INITIAL_WINDOW_SIZE
        stream_window_ = number(entries.substr(2, 4));
    return send_frame(settings, ack, 0, {});
  }

  bool add_window(std::uint32_t stream, std::uint32_t bytes) {
    if (stream == 0)
      window_ += bytes;
    else if (const auto it = answers_.find(stream); it != answers_.end())
      it->second.window += bytes;
    return true;
  }

  /// Sends what the client's windows allow.
  bool pump() {
    for (auto it = answers_.begin(); it != answers_.end();) {
      auto& [stream, body] = *it;
      while (body.left > 0 && body.window > 0 && window_ > 0) {
        const auto n
          = std::min({std::int64_t{16'384}, body.window, window_, std::int64_t(body.left)});
        body.window -= n;
        window_ -= n;
        body.left -= static_cast<std::size_t>(n);
        const unsigned flags = body.left == 0 ? end_stream : 0;
        if (!send_frame(data, flags, stream, std::string(static_cast<std::size_t>(n), 'x')))
          return false;
      }
      it = body.left == 0 ? answers_.erase(it) : std::next(it);
    }
    return true;
  }

  upstream_connection& peer_;
  const std::size_t body_bytes_;
  std::int64_t window_ = 65'535;
  std::int64_t stream_window_ = 65'535;
  std::map<std::uint32_t, pending_body> answers_;
};

} // namespace

TEST_CASE("HTTP/2 by ALPN: a paused stream holds up no other", "[net][http_client][tls]") {
  constexpr std::size_t body_bytes = 40 << 20;
  const std::size_t streams_max = GENERATE(as<std::size_t>{}, 1, 100);
  tiny_upstream upstream{[](upstream_connection& peer) {
                           http2_peer{peer, body_bytes}.run();
                         },
                         "h2"};
  fetch_config config;
  config.verify_tls = false;
  config.http2_streams_max = streams_max;
  http_client client{config};
  const auto [stopped_id, stopped] = begin_fetch(client, stream(upstream.url(), 1'000));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  const auto [live_id, live] = begin_fetch(client, stream(upstream.url(), std::int64_t{1} << 40));
  const auto result = live->wait_done();
  CHECK(result.ok());
  CHECK(result.version == http_version::http_2);
  CHECK(result.body_bytes == body_bytes);
  CHECK(stopped->done_count() == 0);
  CHECK(stopped->data().size() < 1'000 + 16'384);
  client.grant(stopped_id, std::int64_t{1} << 40);
  CHECK(stopped->wait_done().ok());
  CHECK(stopped->data().size() == body_bytes);
  // Sharing one connection is what http2_streams_max decides.
  CHECK(upstream.accepted() == (streams_max == 1 ? 2 : 1));
}

TEST_CASE("cancel of an HTTP/2 stream keeps its connection", "[net][http_client][tls]") {
  tiny_upstream upstream{[](upstream_connection& peer) { http2_peer{peer, 100'000}.run(); }, "h2"};
  fetch_config config;
  config.verify_tls = false;
  http_client client{config};
  const auto [id, events] = begin_fetch(client, stream(upstream.url(), 1));
  CHECK(eventually([&] { return client.stats().paused == 1; }));
  client.cancel(id);
  CHECK(events->wait_done().error == fetch_error::cancelled);
  const auto next = fetch(client, get(upstream.url()));
  CHECK(next.body_bytes == 100'000);
  CHECK(next.reused_connection);
  CHECK(upstream.accepted() == 1);
}

TEST_CASE("http2 can be switched off", "[net][http_client][tls]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "plain"); }), "h2"};
  fetch_config config;
  config.verify_tls = false;
  config.http2 = false;
  http_client client{config};
  CHECK(fetch(client, get(upstream.url())).version == http_version::http_1_1);
}

TEST_CASE("TLS is checked against the configured authorities", "[net][http_client][tls]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "secret"); }), "http/1.1"};
  fetch_config config;
  SECTION("an unknown certificate is refused") {
    http_client client{config};
    const auto result = fetch(client, get(upstream.url()));
    CHECK(result.error == fetch_error::tls);
    CHECK(result.why.code == errc::transport_failed);
  }
  SECTION("a known one is accepted") {
    char path[] = "/tmp/skep-ca-XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    const std::string& pem = upstream.certificate_pem();
    REQUIRE(::write(fd, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()));
    ::close(fd);
    config.ca_file = path;
    http_client client{config};
    const auto result = fetch(client, get(upstream.url()));
    CHECK(result.body == "secret");
    CHECK(result.timings.tls.count() > 0);
    CHECK(fetch(client, get(upstream.url())).reused_connection);
    std::remove(path);
  }
  SECTION("verification can be switched off") {
    config.verify_tls = false;
    http_client client{config};
    CHECK(fetch(client, get(upstream.url())).body == "secret");
  }
}
