#include "runtime/net/http_session_worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <poll.h>

#include <algorithm>

namespace skep::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t input_body_bytes = 64 * 1024;
/// Read ahead of the running request: enough to notice a close, too little to hoard.
constexpr std::size_t pipelined_max_bytes = 16 * 1024;
/// A connection accepted just before a drain may still send its first request.
constexpr auto drain_grace = 1s;

std::string describe(const tcp::socket& socket) {
  error_code ec;
  const auto remote = socket.remote_endpoint(ec);
  if (ec)
    return "unknown";
  const auto address = remote.address().to_string();
  const auto port = std::to_string(remote.port());
  return remote.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

} // namespace

http_session::http_session(std::shared_ptr<http_worker> worker, tcp::socket socket,
                           http_place place)
  : worker_(std::move(worker)), socket_(std::move(socket)), place_(std::move(place)),
    budget_(worker_->shared()), peer_(describe(socket_)),
    parser_(worker_->config().header_max_bytes), deadlines_(worker_->config()) {}

void http_session::start(bool refused) {
  guarded(*this, [&] {
    wait_for(waiting::first_byte);
    if (refused) {
      keep_alive_ = false;
      queue_response(
        busy_response(worker_->config(),
                      "all connections are in use, or all that one address may have; try again "
                      "shortly",
                      {}));
      start_closing();
      flush();
    }
    pump();
  });
}

// ---- reading ----

/// Starts the read loop when it may read and is not running.
void http_session::pump() {
  if (reading_ || !wants_read())
    return;
  reading_ = true;
  asio::co_spawn(
    socket_.get_executor(), [self = shared_from_this()] { return self->read_loop(); },
    asio::detached);
}

asio::awaitable<void> http_session::read_loop() {
  const auto self = shared_from_this();
  const auto capacity_max = std::max(input_body_bytes, worker_->config().header_max_bytes + 4096);
  try {
    while (wants_read()) {
      error_code ec;
      const auto received = co_await socket_.async_read_some(
        input_.prepare(capacity_max), asio::redirect_error(asio::use_awaitable, ec));
      on_read(ec, received);
    }
  } catch (...) {
    close(); // No memory: without a reader the client would wait for ever.
  }
  reading_ = false;
}

/// A read stays pending while the handler works: that is how a client that went away is noticed.
bool http_session::wants_read() const noexcept {
  if (end_of_input_)
    return false;
  switch (phase_) {
    case phase::reading: return output_.bytes() <= worker_->config().send_buffer_max_bytes;
    case phase::serving: return input_.size() < pipelined_max_bytes;
    case phase::lingering: return true;
    case phase::closing:
    case phase::closed: return false;
  }
  return false;
}

void http_session::on_read(const error_code& ec, std::size_t count_read) {
  if (phase_ == phase::closed)
    return;
  count(worker_->shared().counters.bytes_in, count_read);
  received_ += count_read;
  input_.commit(count_read);
  if (ec == asio::error::eof)
    return on_end_of_input();
  if (ec)
    return close();
  if (phase_ != phase::lingering)
    return advance();
  input_.consume(input_.size());
  wait_for(waiting::linger);
}

void http_session::on_end_of_input() {
  end_of_input_ = true;
  // What was complete has been answered; a partial request has lost its sender.
  if (phase_ == phase::reading)
    start_closing();
  else if (phase_ != phase::closing)
    return close();
  flush();
}

// ---- requests ----

/// Parses and dispatches what has arrived, until bytes are missing, the handler keeps a request, or
/// the client leaves its responses unread.
void http_session::advance() {
  if (advancing_)
    return;
  advancing_ = true;
  for (bool more = true; more;) {
    while (may_parse() && (more = parse_some())) {
    }
    // Answers given inside the handler leave in one write here, pipelined ones together.
    flush();
    more = more && may_parse();
  }
  advancing_ = false;
  if (phase_ == phase::reading && worker_->draining() && input_.size() == 0 && number_ > 0
      && !parser_.in_body()) {
    start_closing();
    flush();
  }
  pump();
}

bool http_session::may_parse() const noexcept {
  return phase_ == phase::reading && input_.size() > 0
         && output_.bytes() <= worker_->config().send_buffer_max_bytes;
}

bool http_session::parse_some() {
  const auto [what, consumed] = parser_.feed(input_.view());
  input_.consume(consumed);
  return proceed(what);
}

bool http_session::proceed(http_request_parser::outcome what) {
  switch (what) {
    case http_request_parser::outcome::head: return take_head();
    case http_request_parser::outcome::complete: dispatch(); return true;
    case http_request_parser::outcome::refused:
      count(worker_->shared().counters.malformed);
      refuse(parser_.why().status, parser_.why().message);
      return false;
    case http_request_parser::outcome::need_more: after_partial(); return false;
  }
  return false;
}

/// Whom the owner turns away must not make us hold his body.
bool http_session::take_head() {
  const auto& config = worker_->config();
  auto& head = parser_.request();
  head.peer = peer_;
  head.thread_index = worker_->index();
  if (config.check_head) {
    if (auto refusal = config.check_head(head)) {
      turn_away(std::move(*refusal));
      return true;
    }
  }
  const auto what
    = parser_.begin_body(config.body_max_of ? config.body_max_of(head) : config.body_max_bytes);
  // The body's first bytes came with the head.
  if (what == http_request_parser::outcome::need_more && input_.size() > 0)
    return true;
  return proceed(what);
}

void http_session::turn_away(http_response response) {
  count(worker_->shared().counters.heads_refused);
  keep_alive_ = parser_.keep_alive() && !parser_.has_body();
  http_1_0_ = parser_.is_http_1_0();
  head_request_ = parser_.is_head();
  parser_.reset();
  queue_response(std::move(response));
  ++number_;
  if (keep_alive_)
    wait_for(waiting::next_request);
  else
    start_closing();
}

void http_session::after_partial() {
  if (!parser_.in_body()) {
    if (input_.size() > 0)
      wait_for(waiting::head);
    return;
  }
  wait_for(waiting::body);
  if (!book_body()) {
    count(worker_->shared().counters.bodies_refused);
    return refuse(503, "too many request bodies are being received; try again shortly");
  }
  if (parser_.wants_continue()) {
    parser_.continue_sent();
    output_.push("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

/// Books the growth of the body against the server's budget.
bool http_session::book_body() {
  const auto grown = parser_.body_bytes() - body_booked_;
  auto& booked = worker_->shared().counters.bodies_bytes;
  body_booked_ += grown;
  return booked.fetch_add(grown, std::memory_order_relaxed) + grown
         <= worker_->config().bodies_max_bytes;
}

void http_session::release_body() noexcept {
  worker_->shared().counters.bodies_bytes.fetch_sub(body_booked_, std::memory_order_relaxed);
  body_booked_ = 0;
}

void http_session::dispatch() {
  auto request = parser_.take();
  release_body();
  keep_alive_ = parser_.keep_alive();
  http_1_0_ = parser_.is_http_1_0();
  head_request_ = request.method == "HEAD";
  parser_.reset();
  path_ = request.path;
  origin_ = request.header("origin");
  streaming_ = false;
  bodyless_ = false;
  drained_ = 0;
  phase_ = phase::serving;
  wait_for(waiting::nothing);
  ++number_;
  count(worker_->shared().counters.requests);
  worker_->shared().counters.active.fetch_add(1, std::memory_order_relaxed);
  auto exchange = std::make_shared<http_exchange>(
    shared_from_this(), number_, read_wishes(request, worker_->config().compression.enabled));
  try {
    worker_->shared().handler(std::move(request), std::move(exchange));
  } catch (...) {
    // The exchange died with the stack: its destructor has answered 500.
  }
}

/// Answers in the handler's place and gives the connection up.
void http_session::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  http_1_0_ = false;
  head_request_ = false;
  release_body();
  const auto& head = parser_.request();
  const refused_request asked{head.path, head.header("origin")};
  auto response = status == 503 ? busy_response(worker_->config(), message, asked)
                                : error_response(worker_->config(), status, message, asked);
  if (status == 415)
    response.headers.add("accept-encoding", "gzip, zstd"); // RFC 9110 section 15.5.16.
  queue_response(std::move(response));
  start_closing();
}

void http_session::finish_exchange() {
  // Destroyed at the end, when the state is whole again: they may own the last exchange.
  const auto closed = std::exchange(on_closed_, nullptr);
  const auto drained = std::exchange(on_drained_, nullptr);
  worker_->shared().counters.active.fetch_sub(1, std::memory_order_relaxed);
  drained_ = 0;
  if (!keep_alive_)
    return start_closing();
  phase_ = phase::reading;
  wait_for(waiting::next_request);
}

// ---- closing ----

void http_session::start_closing() {
  phase_ = phase::closing;
  wait_for(waiting::nothing);
}

void http_session::begin_linger() {
  error_code ec;
  if (reset_)
    socket_.set_option(asio::socket_base::linger{true, 0}, ec);
  if (reset_ || end_of_input_)
    return close();
  socket_.shutdown(tcp::socket::shutdown_send, ec);
  if (ec)
    return close();
  phase_ = phase::lingering;
  input_.consume(input_.size());
  wait_for(waiting::linger);
  pump();
}

void http_session::close() {
  if (phase_ == phase::closed)
    return;
  auto& counters = worker_->shared().counters;
  if (phase_ == phase::serving) {
    lost_number_ = number_;
    lost_callback_ = std::exchange(on_closed_, nullptr);
    count(counters.lost);
    counters.active.fetch_sub(1, std::memory_order_relaxed);
    if (lost_callback_)
      worker_->notify(shared_from_this());
  }
  const auto drained = std::exchange(on_drained_, nullptr);
  phase_ = phase::closed;
  budget_.set_gone();
  drained_ = 0;
  release_body();
  error_code ec;
  socket_.close(ec);
  // An exchange may hold the session for long after.
  output_.clear();
  unlink();
  place_.give_up();
  worker_->remove(*this);
}

void http_session::drain() {
  error_code ec;
  if (deadlines_.what() == waiting::first_byte)
    deadlines_.at_most(clock::now() + drain_grace);
  else if (deadlines_.what() == waiting::linger)
    wait_for(waiting::linger);
  // A request that has just arrived is still served.
  else if (deadlines_.what() == waiting::next_request && output_.empty()
           && socket_.available(ec) == 0)
    close();
}

bool http_session::is_quiet() const {
  error_code ec;
  return phase_ == phase::lingering
         || (input_.size() == 0 && output_.empty() && socket_.available(ec) == 0);
}

void http_session::wait_for(waiting what) {
  if (!deadlines_.wait_for(what, clock::now(), received_, worker_->draining()))
    return;
  unlink();
  if (what == waiting::first_byte || what == waiting::linger)
    worker_->rest(*this);
}

void http_session::sweep(time_point now) {
  guarded(*this, [&] { check_deadlines(now); });
}

void http_session::check_deadlines(time_point now) {
  auto& write = deadlines_.write();
  if (write.window_over(now) && !write.next_window(now, taken())) {
    count(worker_->shared().counters.timeouts);
    close();
  } else if (budget_.abandoned()) {
    close();
  } else if (deadlines_.late(now, received_)) {
    // A long response still on its way is not idleness; write_timeout watches over it.
    if (deadlines_.what() == waiting::next_request && !output_.empty())
      wait_for(waiting::next_request);
    else
      on_deadline();
  } else if (phase_ == phase::serving && !reading_ && !end_of_input_) {
    check_hidden_close();
  }
}

void http_session::on_deadline() {
  switch (deadlines_.what()) {
    case waiting::head:
    case waiting::body:
      count(worker_->shared().counters.timeouts);
      refuse(408, "the request did not arrive in time");
      flush();
      pump();
      break;
    case waiting::first_byte: count(worker_->shared().counters.timeouts); [[fallthrough]];
    default: close();
  }
}

/// With the read-ahead full no read is pending, and only the kernel knows that the client left.
void http_session::check_hidden_close() {
  pollfd state{socket_.native_handle(), POLLRDHUP, 0};
  if (::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
    close();
}

} // namespace skep::net
