#include "runtime/net/http_exchange.hpp"

#include "runtime/net/http_session_worker.hpp"

namespace skep::net {

http_exchange::http_exchange(std::shared_ptr<http_session> session, std::uint64_t number,
                             answer_wishes wishes)
  : session_(std::move(session)), number_(number), wishes_(std::move(wishes)) {}

http_exchange::~http_exchange() {
  if (phase_.load(std::memory_order_acquire) == phase::done)
    return;
  try {
    session_->worker().submit(session_, number_, http_op::drop{});
  } catch (...) {
    session_->budget().abandon(); // No memory for the queue.
  }
}

bool http_exchange::advance(phase from, phase to) noexcept {
  return phase_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
}

void http_exchange::respond(http_response response) {
  if (try_respond(std::move(response)))
    return;
  // A small answer is always taken.
  [[maybe_unused]] const bool taken = try_respond(
    busy_response(session_->worker().config(),
                  "too many answers wait for their clients; try again shortly", session_->asked()));
}

bool http_exchange::try_respond(http_response response) {
  if (phase_.load(std::memory_order_acquire) != phase::waiting)
    return true;
  auto& server = session_->worker().shared();
  shape_answer(response, wishes_, server.config.compression, server.compressed);
  http_tail_ptr tail;
  if (!session_->budget().share_tail(response, tail))
    return false;
  auto lease = session_->budget().book(response.body.size());
  if (!lease)
    return false;
  if (advance(phase::waiting, phase::done))
    session_->worker().submit(
      session_, number_, http_op::respond{std::move(response), std::move(*lease), std::move(tail)});
  return true;
}

void http_exchange::begin_stream(int status, http_headers headers) {
  if (advance(phase::waiting, phase::streaming))
    session_->worker().submit(session_, number_, http_op::begin_stream{status, std::move(headers)});
}

bool http_exchange::write(std::string frame) {
  if (phase_.load(std::memory_order_acquire) != phase::streaming)
    return false;
  return submit_frame(std::move(frame));
}

bool http_exchange::write_owed(std::string frame) {
  if (phase_.load(std::memory_order_acquire) != phase::streaming)
    return false;
  owed_.fetch_add(frame.size(), std::memory_order_relaxed);
  return submit_frame(std::move(frame));
}

bool http_exchange::submit_frame(std::string frame) {
  if (frame.empty())
    return !session_->budget().gone();
  const auto size = frame.size();
  if (!session_->budget().reserve(size, owed_.load(std::memory_order_relaxed)))
    return false;
  auto lease = session_->budget().book(size);
  if (!lease) {
    session_->budget().unreserve(size);
    return false;
  }
  return session_->worker().submit(session_, number_,
                                   http_op::write{std::move(frame), std::move(*lease)});
}

void http_exchange::end() {
  if (advance(phase::streaming, phase::done))
    session_->worker().submit(session_, number_, http_op::end{});
}

void http_exchange::abort() {
  if (phase_.exchange(phase::done, std::memory_order_acq_rel) != phase::done)
    session_->worker().submit(session_, number_, http_op::abort{});
}

void http_exchange::on_closed(std::function<void()> fn) {
  if (!fn || phase_.load(std::memory_order_acquire) == phase::done)
    return;
  http_operation operation = http_op::watch_closed{std::move(fn)};
  // The server has stopped: no thread is left to run it, and the connection is gone.
  if (!session_->worker().submit(session_, number_, std::move(operation)))
    std::get<http_op::watch_closed>(operation).fn();
}

void http_exchange::on_drained(std::function<void(std::size_t bytes)> fn) {
  session_->worker().submit(session_, number_, http_op::watch_drained{std::move(fn)});
}

bool http_exchange::gone() const noexcept {
  return session_->budget().gone();
}

} // namespace skep::net
