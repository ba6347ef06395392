#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/net/compression.hpp"
#include "runtime/net/http_exchange.hpp"
#include "runtime/net/http_message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace skep::net {

/// Makes the answer to a request the server itself refuses (400, 408, 413, 417, 431, 500, 501, 503,
/// 505), so that the owner decides on its envelope and headers. The status is set by the server.
/// `path` is the request's as far as it was read, else empty. Runs on any of the server's threads;
/// must not block.
using http_error_reply
  = std::function<http_response(int status, std::string_view message, std::string_view path)>;

/// Looks at a request's head before its body is read, on the connection's thread; must not block.
/// `head.body` is empty, `head.peer` set. A response refuses the request: it is written, and unless
/// the request has no body, what comes of it is read away within the linger bounds and the
/// connection closes.
using http_head_check = std::function<std::optional<http_response>(const http_request& head)>;

/// Takes one request, on thread request.thread_index; must not block. It may answer at once or keep
/// the exchange and answer later from any thread.
using http_handler = std::function<void(http_request&&, std::shared_ptr<http_exchange>)>;

/// Everything with a bound. TCP_NODELAY is always on.
struct http_server_config {
  /// An address or a host name that resolves to a local one.
  std::string address = "127.0.0.1";
  /// 0 lets the system choose; see http_server::local_port().
  std::uint16_t port = 0;
  /// Threads, each with its own share of the connections.
  int threads = 1;
  /// Open connections; one more gets 503 with retry-after and is closed.
  std::size_t connections_max = 10'000;
  /// Empty: every head passes.
  http_head_check check_head;
  /// One request body, decoded (413).
  std::size_t body_max_bytes = 8 * 1024 * 1024;
  /// The bound of this request's body instead; empty: body_max_bytes. Asked after check_head, on
  /// the connection's thread; must not block.
  std::function<std::size_t(const http_request& head)> body_max_of;
  /// All bodies being received at a time (503): what slow uploads can hold of our memory.
  std::size_t bodies_max_bytes = 512 * 1024 * 1024;
  /// Request line and header fields (431).
  std::size_t header_max_bytes = 64 * 1024;
  /// From the first byte of a request to the end of its head (408), and from the connection to the
  /// first byte (closed in silence).
  std::chrono::milliseconds header_timeout{10'000};
  /// From the end of the head to the end of the body (408).
  std::chrono::milliseconds body_timeout{30'000};
  /// Between two requests.
  std::chrono::milliseconds keepalive_timeout{75'000};
  /// For a client that takes none of the bytes waiting for it.
  std::chrono::milliseconds write_timeout{30'000};
  /// Stream frames accepted by write() that the kernel has not taken yet, per connection.
  std::size_t send_buffer_max_bytes = 256 * 1024;
  /// Of whole answers; streams are never compressed.
  compression_config compression;
  /// Empty: a plain {"error":{"message":...}}.
  http_error_reply error_reply;
};

/// Counters since start() and gauges of now. Read without a lock: each is exact, together they are
/// a moment apart.
struct http_server_stats {
  std::uint64_t accepted = 0;
  /// Connections over connections_max, each answered 503 or, in a flood, just closed.
  std::uint64_t refused = 0;
  /// accept() failures such as EMFILE; the server pauses shortly and goes on.
  std::uint64_t accept_failures = 0;
  std::uint64_t requests = 0;
  /// Requests refused as malformed or over a limit, before the handler saw them.
  std::uint64_t malformed = 0;
  /// Requests check_head refused.
  std::uint64_t heads_refused = 0;
  /// Connections cut for one of the time-outs, idle keep-alive ones not counted.
  std::uint64_t timeouts = 0;
  /// Requests whose client went away before the answer was complete.
  std::uint64_t lost = 0;
  /// Frames write() did not take because the client reads too slowly.
  std::uint64_t frames_refused = 0;
  /// Request bodies refused by bodies_max_bytes.
  std::uint64_t bodies_refused = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  /// Answers that were compressed, and their bodies' bytes before and after.
  std::uint64_t compressed = 0;
  std::uint64_t compressed_bytes_before = 0;
  std::uint64_t compressed_bytes_after = 0;
  /// Gauges: open connections, requests at the handler, bytes of bodies being received.
  std::size_t connections = 0;
  std::size_t active = 0;
  std::size_t bodies_bytes = 0;
};

/// An HTTP/1.1 server: keep-alive, pipelining (one request at a time per connection), chunked
/// bodies, streams with back-pressure. It knows nothing of what it serves. All methods are
/// thread-safe, except that stop() must not be called from a handler or callback.
class http_server {
public:
  /// Binds, listens and starts the threads. Fails with errc::transport_failed naming the address.
  static expected<std::unique_ptr<http_server>> start(http_server_config config,
                                                      http_handler handler);
  /// Calls stop().
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  [[nodiscard]] std::uint16_t local_port() const noexcept;
  /// "127.0.0.1:8080", "[::1]:8080".
  [[nodiscard]] std::string local_endpoint() const;
  /// Begins the drain: what waits in the backlog is still accepted, then the listening socket and
  /// every idle connection close; running requests finish with `connection: close`.
  void stop_accepting();
  /// Requests at the handler, not yet answered to the end.
  [[nodiscard]] std::size_t active() const noexcept;
  /// True once a drain has nothing left to wait for: no connection is open.
  [[nodiscard]] bool drained() const noexcept;
  /// Closes every connection (on_closed runs for open requests) and joins the threads.
  void stop();
  [[nodiscard]] http_server_stats stats() const noexcept;

private:
  struct impl;
  explicit http_server(std::unique_ptr<impl> state);

  std::unique_ptr<impl> impl_;
};

} // namespace skep::net
