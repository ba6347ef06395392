#pragma once

#include "runtime/net/decompression.hpp"
#include "runtime/net/http_message.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace skep::net {

/// Turns bytes into requests, one at a time. Beast parses the head, once it is complete; framing
/// is decided here, strictly: whatever two servers could read differently (RFC 9112 section 11.2,
/// request smuggling) is refused. Pure: no socket, no clock. Not thread-safe.
class http_request_parser {
public:
  /// head: the head is complete, begin_body() comes next.
  enum class outcome { need_more, head, complete, refused };
  struct step {
    outcome what;
    /// How many bytes of the input were used; the caller drops them.
    std::size_t consumed;
  };
  /// Why a request is refused: the status to answer with and a message for people.
  struct refusal {
    int status = 400;
    std::string_view message;
  };

  /// `header_max_bytes` bounds request line and fields together; over it the refusal is 431.
  explicit http_request_parser(std::size_t header_max_bytes) noexcept
    : header_max_bytes_(header_max_bytes) {}

  /// Takes what it can from the front of `data`. A head is consumed whole or not at all: call again
  /// with the same bytes and more behind them. After `complete` or `refused` call reset() first.
  step feed(std::string_view data);
  /// Goes on after `head`: need_more when a body follows, else complete. `body_max_bytes` bounds
  /// the body as it comes and unpacked; over it the refusal is 413.
  outcome begin_body(std::size_t body_max_bytes);
  /// The request as far as it was read: its head from `head` on.
  [[nodiscard]] http_request& request() noexcept {
    return request_;
  }
  /// The finished request, moved out.
  [[nodiscard]] http_request take() {
    return std::move(request_);
  }
  [[nodiscard]] const refusal& why() const noexcept {
    return refusal_;
  }
  /// Ready for the next request.
  void reset();

  /// From `head` on: true when a body follows.
  [[nodiscard]] bool has_body() const noexcept {
    return chunked_ || remaining_ > 0;
  }
  /// True between the end of the head and the end of the body.
  [[nodiscard]] bool in_body() const noexcept {
    return state_ != state::head && state_ != state::done;
  }
  /// True while the client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool wants_continue() const noexcept {
    return expects_continue_ && in_body() && body_received_ == 0;
  }
  /// Called once "100 Continue" was sent.
  void continue_sent() noexcept {
    expects_continue_ = false;
  }
  /// What the body holds of our memory.
  [[nodiscard]] std::size_t body_bytes() const noexcept {
    return request_.body.size() + (unpacker_ ? unpacker_->memory_bytes() : 0);
  }
  [[nodiscard]] bool keep_alive() const noexcept {
    return keep_alive_;
  }
  /// HTTP/1.0 knows no chunks: streams end with the connection.
  [[nodiscard]] bool is_http_1_0() const noexcept {
    return http_1_0_;
  }
  [[nodiscard]] bool is_head() const noexcept {
    return request_.method == "HEAD";
  }

private:
  enum class state {
    head,
    before_body,
    fixed_body,
    chunk_size_first,
    chunk_size,
    chunk_extension,
    chunk_size_lf,
    chunk_data,
    chunk_data_cr,
    chunk_data_lf,
    trailer_start,
    trailer,
    trailer_lf,
    last_lf,
    done,
  };

  step refuse(int status, std::string_view message, std::size_t consumed = 0) noexcept;
  step feed_head(std::string_view data);
  outcome parse_head(std::string_view head);
  bool choose_framing();
  bool choose_coding();
  bool accept_expectation();
  void split_target(std::string_view target);
  step feed_body(std::string_view data, std::size_t consumed);
  step feed_fixed(std::string_view data, std::size_t consumed);
  step feed_chunked(std::string_view data, std::size_t consumed);
  bool take_body(std::string_view part);
  outcome end_body();
  bool take_chunk_control(char c);
  bool take_size_digit(char c);
  bool end_size_line();
  bool count_overhead();

  std::size_t header_max_bytes_;
  std::size_t body_max_bytes_ = 0;
  state state_ = state::head;
  http_request request_;
  refusal refusal_;
  std::size_t scanned_ = 0;
  std::size_t line_start_ = 0;
  std::uint64_t remaining_ = 0;
  std::size_t body_received_ = 0;
  std::size_t overhead_bytes_ = 0;
  /// Of a body that comes packed.
  std::unique_ptr<unpacker> unpacker_;
  bool chunked_ = false;
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool expects_continue_ = false;
};

} // namespace skep::net
