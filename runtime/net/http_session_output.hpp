#pragma once

#include "runtime/net/http_message.hpp"
#include "runtime/net/http_operation.hpp"

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skep::net {

/// What a response head needs besides its fields.
struct http_head_options {
  /// The `date` line's value, cached by the worker.
  std::string_view date;
  /// Ends the connection after this response.
  bool close = false;
  /// HTTP/1.0 clients must be told that the connection stays.
  bool http_1_0 = false;
};

/// Status line and fields, with content-length for the body given. Ends with the empty line.
std::string format_head(int status, const http_headers& headers, const http_head_options& options,
                        std::size_t content_length);
/// The same for a stream: chunked, or unframed for HTTP/1.0.
std::string format_stream_head(int status, const http_headers& headers,
                               const http_head_options& options);
/// 1xx, 204 and 304 never have a body.
constexpr bool status_has_body(int status) noexcept {
  return status >= 200 && status != 204 && status != 304;
}
/// One HTTP chunk. `frame` must not be empty: that would be the last chunk.
std::string format_chunk(std::string_view frame);

/// The bytes waiting for one socket, in order. Not thread-safe.
class http_output {
public:
  /// `credit` is reported by consume() once the last of these bytes is gone; `lease` ends then.
  void push(std::string bytes, std::size_t credit = 0, byte_lease lease = {});
  void clear() noexcept {
    *this = {};
  }
  /// Bytes that others may send, too; gives them up once they are gone.
  void push(http_tail_ptr tail);
  [[nodiscard]] bool empty() const noexcept {
    return first_ == segments_.size();
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bytes_;
  }
  /// Fills `into` from the front of the queue, for one gathering write; returns what was filled,
  /// valid until the next push() or consume().
  std::span<const boost::asio::const_buffer>
  gather(std::span<boost::asio::const_buffer> into) const noexcept;
  /// Drops `count` written bytes; returns the credit of the segments completed by them.
  std::size_t consume(std::size_t count);

private:
  struct segment {
    std::string bytes;
    std::size_t credit;
    byte_lease lease;
    http_tail_ptr tail{}; // In the place of the bytes.

    [[nodiscard]] std::string_view view() const noexcept {
      return tail ? tail->view() : std::string_view{bytes};
    }
  };

  void push(segment next);

  std::vector<segment> segments_;
  std::size_t first_ = 0;
  std::size_t offset_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace skep::net
