#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/net/http_exchange.hpp"
#include "runtime/net/http_message.hpp"
#include "runtime/net/http_server_config.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace skep::net {

/// Takes one request, on thread request.thread_index; must not block. It may answer at once or keep
/// the exchange and answer later from any thread.
using http_handler = std::function<void(http_request&&, std::shared_ptr<http_exchange>)>;

/// Counters since start() and gauges of now. Read without a lock: each is exact, together they are
/// a moment apart.
struct http_server_stats {
  std::uint64_t accepted = 0;
  /// Connections over connections_max with none idle, each answered 503 or, in a flood, just
  /// closed.
  std::uint64_t refused = 0;
  /// The same for connections_per_address_max.
  std::uint64_t address_refused = 0;
  /// Idle connections closed to make room for a new one.
  std::uint64_t idle_closed = 0;
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
  /// Whole answers and frames refused by answers_max_bytes.
  std::uint64_t answers_refused = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  /// Answers that were compressed, and their bodies' bytes before and after.
  std::uint64_t compressed = 0;
  std::uint64_t compressed_bytes_before = 0;
  std::uint64_t compressed_bytes_after = 0;
  /// Gauges: open connections, those of the address with the most, requests at the handler, bytes
  /// of bodies being received and of answers waiting for clients.
  std::size_t connections = 0;
  std::size_t address_connections = 0;
  std::size_t active = 0;
  std::size_t bodies_bytes = 0;
  std::size_t answers_bytes = 0;
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
