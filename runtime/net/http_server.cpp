#include "runtime/net/http_server.hpp"

#include "runtime/net/http_session_worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace skep::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

/// The kernel caps it at net.core.somaxconn.
constexpr int backlog = 4096;
/// Out of file descriptors: some will be free again shortly.
constexpr auto accept_pause = 50ms;

bool comes_from_the_client(const error_code& ec) noexcept {
  return ec == asio::error::connection_aborted || ec == asio::error::connection_reset
         || ec == asio::error::interrupted || ec == asio::error::would_block;
}

std::string printed(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address().to_string();
  const auto port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

} // namespace

/// The listening socket lives on worker 0, which hands connections to all workers in turn. Several
/// sockets with SO_REUSEPORT would let a second server steal half of the port unnoticed.
struct http_server::impl {
  explicit impl(std::shared_ptr<http_shared> state) : shared(std::move(state)) {
    for (int i = 0; i < std::max(1, shared->config.threads); ++i)
      workers.push_back(std::make_shared<http_worker>(shared, i));
    acceptor.emplace(workers.front()->context());
    pause.emplace(workers.front()->context());
  }

  expected<void> listen();
  expected<void> run();
  asio::awaitable<void> accept_loop();
  void admit(tcp::socket socket);
  void admit_or_close(tcp::socket socket) noexcept;
  void close_acceptor();
  void stop();

  std::shared_ptr<http_shared> shared;
  std::vector<std::shared_ptr<http_worker>> workers;
  std::vector<std::thread> threads;
  // Worker 0's thread only, once it runs.
  std::optional<tcp::acceptor> acceptor;
  std::optional<asio::steady_timer> pause;
  std::size_t next_worker = 0;
  tcp::endpoint local;
  std::atomic<bool> draining{false};
  std::atomic<bool> stopped{false};
};

expected<void> http_server::impl::listen() {
  const auto& config = shared->config;
  const auto where = config.address + ":" + std::to_string(config.port);
  const auto failed = [&](const char* what, const error_code& ec) {
    return fail(errc::transport_failed, std::string{"HTTP server: cannot "} + what + " " + where
                                          + ": " + ec.message()
                                          + "; choose another address or port");
  };
  error_code ec;
  tcp::resolver resolver{workers.front()->context()};
  const auto found = resolver.resolve(config.address, std::to_string(config.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty())
    return failed("resolve", ec);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor->open(endpoint.protocol(), ec);
  if (!ec)
    acceptor->set_option(tcp::acceptor::reuse_address{true}, ec);
  if (!ec)
    acceptor->bind(endpoint, ec);
  if (!ec)
    acceptor->listen(backlog, ec);
  if (!ec)
    acceptor->non_blocking(true, ec);
  if (ec)
    return failed("listen on", ec);
  local = acceptor->local_endpoint(ec);
  return {};
}

expected<void> http_server::impl::run() {
  asio::co_spawn(
    workers.front()->context(), [this] { return accept_loop(); }, asio::detached);
  try {
    for (auto& worker : workers)
      threads.emplace_back([worker] { worker->run(); });
  } catch (const std::system_error& e) {
    stop();
    return fail(errc::transport_failed,
                std::string{"HTTP server: cannot start a thread: "} + e.what());
  }
  return {};
}

asio::awaitable<void> http_server::impl::accept_loop() {
  while (acceptor->is_open()) {
    tcp::socket socket{workers[next_worker]->context()};
    error_code ec;
    co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
    if (!ec) {
      admit_or_close(std::move(socket));
    } else if (acceptor->is_open() && !comes_from_the_client(ec)) {
      count(shared->counters.accept_failures);
      pause->expires_after(accept_pause);
      co_await pause->async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
  }
}

/// Hands the connection to the worker whose io_context it was accepted into.
void http_server::impl::admit(tcp::socket socket) {
  auto* const worker = workers[next_worker].get();
  next_worker = (next_worker + 1) % workers.size();
  count(shared->counters.accepted);
  error_code ec;
  socket.set_option(tcp::no_delay{true}, ec);
  socket.non_blocking(true, ec);
  const auto from = socket.remote_endpoint(ec);
  if (ec)
    return;
  http_place place{shared, from};
  if (place.in_flood()) {
    count(place.over() == crowding::address ? shared->counters.address_refused
                                            : shared->counters.refused);
    return;
  }
  if (worker->on_thread())
    return worker->adopt(std::move(socket), std::move(place));
  asio::post(worker->context(), [worker, p = std::move(place), s = std::move(socket)]() mutable {
    worker->adopt(std::move(s), std::move(p));
  });
}

/// A connection there is no memory for is closed; the next one may find some.
void http_server::impl::admit_or_close(tcp::socket socket) noexcept {
  try {
    admit(std::move(socket));
  } catch (...) {
    count(shared->counters.accept_failures);
  }
}

/// Takes what the kernel has already accepted: closing the socket would reset those clients.
void http_server::impl::close_acceptor() {
  while (acceptor->is_open()) {
    tcp::socket socket{workers[next_worker]->context()};
    error_code ec;
    acceptor->accept(socket, ec);
    if (!ec)
      admit_or_close(std::move(socket));
    else if (!comes_from_the_client(ec) || ec == asio::error::would_block)
      break;
  }
  error_code ignored;
  acceptor->close(ignored);
  pause->cancel();
}

void http_server::impl::stop() {
  if (stopped.exchange(true))
    return;
  // Worker 0 first: once it is gone, nobody hands connections to the others.
  for (std::size_t i = 0; i < threads.size(); ++i) {
    asio::post(workers[i]->context(), [this, i] {
      if (i == 0) {
        error_code ignored;
        acceptor->close(ignored);
        pause->cancel();
      }
      workers[i]->shut_down();
    });
    threads[i].join();
  }
}

expected<std::unique_ptr<http_server>> http_server::start(http_server_config config,
                                                          http_handler handler) {
  try {
    auto shared = std::make_shared<http_shared>();
    shared->config = std::move(config);
    shared->handler = std::move(handler);
    auto state = std::make_unique<impl>(std::move(shared));
    if (auto listening = state->listen(); !listening)
      return fail(listening.error());
    if (auto running = state->run(); !running)
      return fail(running.error());
    return std::unique_ptr<http_server>{new http_server{std::move(state)}};
  } catch (const std::exception& e) {
    return fail(errc::transport_failed, std::string{"HTTP server: cannot start: "} + e.what());
  }
}

http_server::http_server(std::unique_ptr<impl> state) : impl_(std::move(state)) {}

http_server::~http_server() {
  stop();
}

std::uint16_t http_server::local_port() const noexcept {
  return impl_->local.port();
}

std::string http_server::local_endpoint() const {
  return printed(impl_->local);
}

void http_server::stop_accepting() {
  if (impl_->draining.exchange(true))
    return;
  auto* const state = impl_.get();
  asio::post(state->workers.front()->context(), [state] {
    state->close_acceptor();
    for (auto& worker : state->workers)
      asio::post(worker->context(), [w = worker.get()] { w->drain(); });
  });
}

std::size_t http_server::active() const noexcept {
  return impl_->shared->counters.active.load(std::memory_order_acquire);
}

bool http_server::drained() const noexcept {
  return stats().connections == 0 && impl_->draining.load(std::memory_order_acquire);
}

void http_server::stop() {
  impl_->stop();
}

http_server_stats http_server::stats() const noexcept {
  const auto& c = impl_->shared->counters;
  const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  http_server_stats s;
  s.accepted = read(c.accepted);
  s.refused = read(c.refused);
  s.address_refused = read(c.address_refused);
  s.idle_closed = read(c.idle_closed);
  s.accept_failures = read(c.accept_failures);
  s.requests = read(c.requests);
  s.malformed = read(c.malformed);
  s.heads_refused = read(c.heads_refused);
  s.timeouts = read(c.timeouts);
  s.lost = read(c.lost);
  s.frames_refused = read(c.frames_refused);
  s.bodies_refused = read(c.bodies_refused);
  s.answers_refused = read(c.answers_refused);
  s.bytes_in = read(c.bytes_in);
  s.bytes_out = read(c.bytes_out);
  const auto& packed = impl_->shared->compressed;
  s.compressed = read(packed.answers);
  s.compressed_bytes_before = read(packed.plain_bytes);
  s.compressed_bytes_after = read(packed.packed_bytes);
  s.connections = read(c.connections);
  s.active = read(c.active);
  s.bodies_bytes = read(c.bodies_bytes);
  s.answers_bytes = read(c.answers_bytes);
  s.address_connections = impl_->shared->addresses.largest();
  return s;
}

} // namespace skep::net
