#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/net/fetch_pool_meters.hpp"
#include "runtime/net/fetch_types.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace skep::net {

/// Receives what one transfer brings. All calls come from the fetch thread, in order, and must be
/// short: post to an actor and return. They may call start, cancel and grant; they must not destroy
/// the client.
class fetch_handler {
public:
  fetch_handler() = default;
  fetch_handler(const fetch_handler&) = delete;
  fetch_handler& operator=(const fetch_handler&) = delete;
  virtual ~fetch_handler() = default;

  /// The answer's status and headers; at most once, before any data. 1xx answers are skipped.
  virtual void on_headers(int status, const fetch_headers& headers) noexcept;
  /// The next piece of a streamed 2xx body, at most 16 KiB; valid during the call only.
  virtual void on_data(std::string_view bytes) noexcept;
  /// The end, exactly once for every accepted transfer, however it ends; nothing follows it.
  virtual void on_done(fetch_result result) noexcept = 0;
};

/// What a client did so far and holds now. Gauges and totals are read one by one, so they may be a
/// moment apart.
struct fetch_stats {
  /// Accepted and not ended (gauge), at most queue_max.
  std::uint64_t active = 0;
  /// Of those, the ones whose request has not gone out yet (gauge).
  std::uint64_t queued = 0;
  /// Of those, the ones stopped for want of credit (gauge).
  std::uint64_t paused = 0;
  std::uint64_t started = 0;
  std::uint64_t refused = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  /// Counted when the transfer that opened or reused the connection ends.
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_reused = 0;
  /// Of the queued ones, those that wait for a connection of their host's pool (gauge).
  std::uint64_t waiting = 0;
};

/// Fetches over HTTP: one thread ("skep-fetch") owns every connection to a provider, TLS and the
/// connection pools (libcurl's multi interface over epoll, a pool of moving size per host in front
/// of it: flow::pool_sizer). All members may be called from any thread and never block on the
/// network.
class http_client {
public:
  /// Keeps its metrics to itself.
  explicit http_client(fetch_config config);
  /// Exports its pools to `metrics`, which must outlive it.
  http_client(fetch_config config, telemetry::registry& metrics);
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;
  /// As stop().
  ~http_client();
  /// Ends every transfer with fetch_error::shutdown, then joins the thread; start() refuses from
  /// then on. Idempotent; not from a handler.
  void stop();

  /// Accepts a transfer; its handler then gets exactly one on_done. errc::overloaded with a
  /// retry-after at queue_max, bad_request for a time-out or header that cannot be: the handler is
  /// then never called. libcurl repeats a request by itself when a kept-alive connection turns out
  /// closed before a byte of the answer came.
  expected<fetch_id> start(fetch_request request, std::shared_ptr<fetch_handler> handler);

  /// Ends a transfer as cancelled. On HTTP/1.1 the connection is closed, on HTTP/2 the stream is
  /// reset. Idempotent; an ended or unknown id is ignored. Data may arrive until on_done.
  void cancel(fetch_id id);

  /// Adds `bytes` of credit to a stream and wakes it if it was paused. Ignored when not positive,
  /// and for an ended or unknown id.
  void grant(fetch_id id, std::int64_t bytes);

  fetch_stats stats() const;

  /// The pool of this URL's host and port gets metrics of its own, because the configuration names
  /// it; those of all others share the label host="other". Call it before the first transfer.
  void name_pool(std::string_view base_url);
  /// The pools in use: those named, and the others as one.
  std::vector<fetch_pool_state> pools() const;
  /// The last changes of the pools' sizes, oldest first; at most 200.
  std::vector<fetch_pool_resize> pool_resizes() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::net
