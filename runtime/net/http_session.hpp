#pragma once

#include "runtime/net/http_session_input.hpp"
#include "runtime/net/http_session_output.hpp"
#include "runtime/net/http_session_parser.hpp"
#include "runtime/net/http_session_worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace skep::net {

/// One client connection: reads requests, hands them to the handler one at a time, writes what the
/// exchange says. Lives while its socket is open; bound to its worker's thread, except reserve()
/// and gone(), which any thread may call.
class http_session : public std::enable_shared_from_this<http_session> {
public:
  http_session(std::shared_ptr<http_worker> worker, boost::asio::ip::tcp::socket socket);

  /// Begins to read; a `refused` connection gets 503 instead.
  void start(bool refused);
  /// Takes an operation of exchange `number`; operations of an exchange that is over do nothing.
  void apply(std::uint64_t number, http_operation&& operation);
  /// After apply(): writes what can be written, goes on with the next request.
  void settle();
  /// Looks at the deadlines.
  void sweep(time_point now);
  /// Closes the connection when it is idle.
  void drain();
  void close();
  /// on_closed and on_drained, from the worker's loop.
  void run_callbacks();

  /// Books frame bytes against send_buffer_max_bytes and `owed` on top of it. False when they do
  /// not fit or nobody is there to read them. Any thread.
  [[nodiscard]] bool reserve(std::size_t bytes, std::size_t owed) noexcept;
  [[nodiscard]] bool gone() const noexcept {
    return gone_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] http_worker& worker() noexcept {
    return *worker_;
  }
  /// The session's place in its worker's list.
  [[nodiscard]] std::size_t slot() const noexcept {
    return slot_;
  }
  void set_slot(std::size_t slot) noexcept {
    slot_ = slot;
  }

private:
  /// reading: a request, or waiting for one; serving: the handler has one; closing: the output is
  /// flushed, then the socket shut down; lingering: waits for the client to have read it all.
  enum class phase { reading, serving, closing, lingering, closed };
  enum class waiting { nothing, first_byte, next_request, head, body, linger };

  boost::asio::awaitable<void> read_loop();
  void pump();
  [[nodiscard]] bool wants_read() const noexcept;
  void on_read(const boost::system::error_code& ec, std::size_t count);
  void on_end_of_input();
  void discard_input(std::size_t count);

  void advance();
  [[nodiscard]] bool may_parse() const noexcept;
  bool parse_some();
  bool proceed(http_request_parser::outcome what);
  bool take_head();
  void turn_away(http_response response);
  void after_partial();
  bool book_body();
  void release_body() noexcept;
  void dispatch();
  void refuse(int status, std::string_view message);
  void finish_exchange();

  void perform(http_op::respond& op);
  void perform(http_op::begin_stream& op);
  void perform(http_op::write& op);
  void perform(http_op::end& op);
  void perform(http_op::abort& op);
  void perform(http_op::drop& op);
  void perform(http_op::watch_closed& op);
  void perform(http_op::watch_drained& op);
  void apply_late(std::uint64_t number, http_operation& operation);
  void queue_response(http_response response);
  http_response error_response(int status, std::string_view message, std::string_view path) const;
  [[nodiscard]] http_head_options head_options(const http_headers& headers);

  void flush();
  void wait_writable();
  void grant(std::size_t bytes);
  void announce_drained();
  void start_closing();
  void begin_linger();
  void wait_for(waiting what);
  void on_deadline();
  void check_hidden_close();

  // Declared first: the socket must go before the io_context that the worker owns.
  std::shared_ptr<http_worker> worker_;
  boost::asio::ip::tcp::socket socket_;
  std::size_t slot_ = 0;
  std::string peer_;
  /// Of the request at the handler.
  std::string path_;
  http_input input_;
  http_output output_;
  http_request_parser parser_;

  phase phase_ = phase::reading;
  waiting waiting_ = waiting::nothing;
  time_point deadline_ = time_point::max();
  time_point write_deadline_ = time_point::max();
  std::uint64_t number_ = 0;
  bool advancing_ = false;
  bool reading_ = false;
  bool write_waiting_ = false;
  bool end_of_input_ = false;
  bool keep_alive_ = false;
  /// The request running: HEAD, HTTP/1.0, its stream's head was sent, it has no body to send.
  bool head_request_ = false;
  bool http_1_0_ = false;
  bool streaming_ = false;
  bool bodyless_ = false;
  /// A cut HTTP/1.0 stream looks whole unless the connection is reset.
  bool reset_ = false;
  bool notified_ = false;
  std::size_t body_booked_ = 0;
  std::size_t linger_left_ = 0;
  std::size_t drained_ = 0;
  std::function<void()> on_closed_;
  std::function<void(std::size_t)> on_drained_;
  /// Set when the connection was lost with a request open: its number, the callback still to run.
  std::uint64_t lost_number_ = 0;
  std::function<void()> lost_callback_;

  std::atomic<std::size_t> unsent_{0};
  std::atomic<bool> gone_{false};
};

} // namespace skep::net
