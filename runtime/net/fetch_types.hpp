#pragma once

#include "messages/failure.hpp"
#include "runtime/net/fetch_config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::net {

/// Names one transfer of one http_client; never reused, never zero.
using fetch_id = std::uint64_t;

/// Header lines in their order; names keep the spelling they came with.
using fetch_headers = std::vector<std::pair<std::string, std::string>>;

/// The value of the first header of this name (compared without case), or nothing.
std::optional<std::string_view> find_header(const fetch_headers& headers, std::string_view name);

/// One HTTP exchange. All four time-outs must lie above 0 and within 24 h: every wait has a
/// deadline.
struct fetch_request {
  std::string method = "GET";
  /// http:// or https:// only. Redirects are not followed; a 3xx is an answer like any other.
  std::string url;
  /// Sent as given. Content-Length and Transfer-Encoding are the client's business and refused.
  fetch_headers headers;
  std::string body;
  /// Name lookup, TCP and TLS together.
  std::chrono::milliseconds connect_timeout{5'000};
  /// From the moment the request goes out to the first byte of the answer's body, so that early
  /// headers do not hide a stalled model.
  std::chrono::milliseconds first_byte_timeout{60'000};
  /// The longest silence between two pieces of the body. It stands still while the transfer is
  /// paused for want of credit, because then it is our consumer that is slow.
  std::chrono::milliseconds idle_timeout{30'000};
  /// Everything, from start() to the end; waiting and pauses count.
  std::chrono::milliseconds total_timeout{600'000};
  /// Asks for a compressed answer, and decodes any that comes (gzip, zstd and whatever else libcurl
  /// was built with). All sizes are then those of the decoded bytes.
  bool compressed = false;
  /// The longest body that is collected (fetch_result::body), error bodies of streams included.
  std::size_t body_max = std::size_t{8} << 20;
  /// The longest header block of the answer, in bytes.
  std::size_t header_max = std::size_t{64} << 10;
  /// A 2xx body goes to on_data piece by piece under credit, instead of being collected.
  bool streaming = false;
  /// Initial credit of a stream in bytes; grant() adds to it. One piece of at most 16 KiB may
  /// overshoot it, and libcurl holds at most another one while paused.
  std::int64_t window_bytes = std::int64_t{64} << 10;
};

/// How a transfer ended. Finer than errc, because breakers and retries ask where it broke.
enum class fetch_error : std::uint8_t {
  none,
  /// The URL, method or a header cannot be sent; nothing left this process.
  invalid_request,
  dns,
  /// Refused, unreachable, or otherwise not connected.
  connect_failed,
  connect_timeout,
  tls,
  /// The connection broke before any of the answer came.
  reset,
  first_byte_timeout,
  idle_timeout,
  total_timeout,
  /// The connection broke after the answer began.
  cut,
  too_large,
  /// The peer does not speak HTTP.
  protocol,
  /// The body is compressed in a way nobody here reads, or it is damaged.
  encoding,
  cancelled,
  /// The client was destroyed.
  shutdown,
};

/// The error's name as it stands in logs and metrics.
std::string_view to_string(fetch_error error) noexcept;

/// The code callers act on: deadline_exceeded, stream_cut (also for idle_timeout), too_large,
/// malformed, cancelled, shutting_down, bad_request, and transport_failed for all the rest.
errc to_errc(fetch_error error) noexcept;

/// The protocol an answer came by.
enum class http_version : std::uint8_t { unknown, http_1_0, http_1_1, http_2 };

/// When things happened, counted from start(); zero means they did not. dns, connect and tls stay
/// zero on a connection used again.
struct fetch_timings {
  std::chrono::microseconds queued{0};
  std::chrono::microseconds dns{0};
  std::chrono::microseconds connect{0};
  std::chrono::microseconds tls{0};
  std::chrono::microseconds headers{0};
  std::chrono::microseconds first_byte{0};
  std::chrono::microseconds total{0};
};

/// The end of a transfer. `status` and `body` are also set when it failed after they arrived.
struct fetch_result {
  fetch_error error = fetch_error::none;
  /// code none when the exchange completed, whatever its status.
  failure why;
  /// The HTTP status, or 0 when no headers came.
  int status = 0;
  /// The collected body; empty for what went to on_data. When too large, its first body_max bytes.
  std::string body;
  /// Body bytes received in all.
  std::uint64_t body_bytes = 0;
  bool reused_connection = false;
  http_version version = http_version::unknown;
  fetch_timings timings;

  /// The exchange completed; says nothing about the status.
  bool ok() const noexcept {
    return error == fetch_error::none;
  }
};

} // namespace skep::net
