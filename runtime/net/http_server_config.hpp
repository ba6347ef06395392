#pragma once

#include "runtime/net/compression.hpp"
#include "runtime/net/http_message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace skep::net {

/// What is known of a request the server itself refuses: empty where it was not read that far.
struct refused_request {
  std::string_view path;
  /// The field `origin`: the web page that asked.
  std::string_view origin;
};

/// Makes the answer to a request the server itself refuses (400, 408, 413, 417, 431, 500, 501, 503,
/// 505), so that the owner decides on its envelope and headers. The status is set by the server.
/// Runs on any of the server's threads; must not block.
using http_error_reply = std::function<http_response(int status, std::string_view message,
                                                     const refused_request& asked)>;

/// Looks at a request's head before its body is read, on the connection's thread; must not block.
/// `head.body` is empty, `head.peer` set. A response refuses the request: it is written, and unless
/// the request has no body, what comes of it is read away within the linger bounds and the
/// connection closes.
using http_head_check = std::function<std::optional<http_response>(const http_request& head)>;

/// Everything with a bound. TCP_NODELAY is always on.
struct http_server_config {
  /// An address or a host name that resolves to a local one.
  std::string address = "127.0.0.1";
  /// 0 lets the system choose; see http_server::local_port().
  std::uint16_t port = 0;
  /// Threads, each with its own share of the connections.
  int threads = 1;
  /// Open connections. One more takes the place of the one that has been idle longest; when none is
  /// idle, it gets 503 with retry-after and is closed.
  std::size_t connections_max = 10'000;
  /// The same for the connections of one address (IPv6: of one /64 network); 0: no bound.
  std::size_t connections_per_address_max = 0;
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
  /// In every such time a body must come to its end or by body_rate_min_bytes a second (408).
  std::chrono::milliseconds body_timeout{30'000};
  std::size_t body_rate_min_bytes = 1024;
  /// Between two requests.
  std::chrono::milliseconds keepalive_timeout{75'000};
  /// In every such time a client must take all that waits for it, or write_rate_min_bytes a second.
  std::chrono::milliseconds write_timeout{30'000};
  std::size_t write_rate_min_bytes = 1024;
  /// How long the rest of a refused request is read away, so that the client sees the answer.
  std::chrono::milliseconds linger_timeout{30'000};
  /// Stream frames accepted by write() that the kernel has not taken yet, per connection.
  std::size_t send_buffer_max_bytes = 256 * 1024;
  /// Answers and stream frames of all connections that the kernel has not taken yet. Over it a
  /// whole answer is refused (503) and a stream is cut, except that a connection with less than
  /// `answer_always_bytes` waiting may always have that much: a refusal is not smaller.
  std::size_t answers_max_bytes = 512 * 1024 * 1024;
  static constexpr std::size_t answer_always_bytes = 16 * 1024;
  /// Of whole answers; streams are never compressed.
  compression_config compression;
  /// Empty: a plain {"error":{"message":...}}.
  http_error_reply error_reply;
};

} // namespace skep::net
