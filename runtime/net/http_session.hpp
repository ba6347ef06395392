#pragma once

#include "runtime/net/http_operation.hpp"
#include "runtime/net/http_send_budget.hpp"
#include "runtime/net/http_session_deadlines.hpp"
#include "runtime/net/http_session_input.hpp"
#include "runtime/net/http_session_output.hpp"
#include "runtime/net/http_session_parser.hpp"
#include "runtime/net/http_shared.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace skep::net {

class http_worker;

/// One client connection: reads requests, hands them to the handler one at a time, writes what the
/// exchange says. Lives while its socket is open; bound to its worker's thread, except where any
/// thread is named.
class http_session : public std::enable_shared_from_this<http_session>, public http_worker_entry {
public:
  http_session(std::shared_ptr<http_worker> worker, boost::asio::ip::tcp::socket socket,
               http_place place);

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

  /// Its room for what is to be sent. Any thread.
  [[nodiscard]] http_send_budget& budget() noexcept {
    return budget_;
  }
  /// Of the request at the handler; any thread, until it is answered.
  [[nodiscard]] refused_request asked() const noexcept {
    return {path_, origin_};
  }
  [[nodiscard]] http_worker& worker() noexcept {
    return *worker_;
  }
  /// True when nothing of a request has come and nothing waits to be sent.
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] const boost::asio::ip::address& address() const noexcept {
    return place_.address();
  }

private:
  /// reading: a request, or waiting for one; serving: the handler has one; closing: the output is
  /// flushed, then the socket shut down; lingering: waits for the client to have read it all.
  enum class phase { reading, serving, closing, lingering, closed };
  using waiting = http_session_deadlines::waiting;

  boost::asio::awaitable<void> read_loop();
  void pump();
  [[nodiscard]] bool wants_read() const noexcept;
  void on_read(const boost::system::error_code& ec, std::size_t count);
  void on_end_of_input();

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
  void queue_response(http_response response, byte_lease lease = {}, http_tail_ptr tail = {});
  [[nodiscard]] http_head_options head_options(const http_headers& headers);

  void flush();
  void wait_writable();
  [[nodiscard]] std::uint64_t taken() const noexcept;
  void grant(std::size_t bytes);
  void announce_drained();
  void start_closing();
  void begin_linger();
  void wait_for(waiting what);
  void check_deadlines(time_point now);
  void on_deadline();
  void check_hidden_close();

  // Declared first: the socket must go before the io_context that the worker owns.
  std::shared_ptr<http_worker> worker_;
  boost::asio::ip::tcp::socket socket_;
  http_place place_;
  http_send_budget budget_;
  std::string peer_;
  std::string path_;
  std::string origin_;
  http_input input_;
  http_output output_;
  http_request_parser parser_;
  phase phase_ = phase::reading;
  http_session_deadlines deadlines_;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
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
  std::size_t drained_ = 0;
  std::function<void()> on_closed_;
  std::function<void(std::size_t)> on_drained_;
  /// Set when the connection was lost with a request open: its number, the callback still to run.
  std::uint64_t lost_number_ = 0;
  std::function<void()> lost_callback_;
};

} // namespace skep::net
