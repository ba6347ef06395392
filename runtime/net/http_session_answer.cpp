// The answering half of http_session: operations of the exchange, callbacks, output.
#include "runtime/net/http_session_worker.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

namespace skep::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

void http_session::apply(std::uint64_t number, http_operation&& operation) {
  guarded(*this, [&] {
    if (number != number_ || phase_ != phase::serving)
      return apply_late(number, operation);
    std::visit([this](auto& op) { perform(op); }, operation);
  });
}

void http_session::apply_late(std::uint64_t number, http_operation& operation) {
  if (const auto* late = std::get_if<http_op::write>(&operation)) {
    budget_.unreserve(late->frame.size());
  } else if (auto* watch = std::get_if<http_op::watch_closed>(&operation);
             watch && number == lost_number_) {
    lost_callback_ = std::move(watch->fn);
    worker_->notify(shared_from_this());
  }
}

void http_session::settle() {
  guarded(*this, [&] {
    if (!advancing_)
      return advance();
    if (streaming_ && phase_ == phase::serving)
      flush();
  });
}

http_head_options http_session::head_options(const http_headers& headers) {
  if (worker_->draining() || equal_ignoring_case(headers.get("connection"), "close"))
    keep_alive_ = false;
  return {worker_->date(), !keep_alive_, http_1_0_};
}

void http_session::queue_response(http_response response, byte_lease lease, http_tail_ptr tail) {
  const auto size = response.body.size() + (tail ? tail->view().size() : 0);
  auto bytes = format_head(response.status, response.headers, head_options(response.headers), size);
  const bool send_body = !head_request_ && status_has_body(response.status);
  // Copying a small body costs less than a second buffer in the write.
  constexpr std::size_t join_max_bytes = 16 * 1024;
  if (send_body && response.body.size() <= join_max_bytes)
    bytes.append(response.body);
  const bool separate = send_body && response.body.size() > join_max_bytes;
  output_.push(std::move(bytes), 0, separate ? byte_lease{} : std::move(lease));
  if (separate)
    output_.push(std::move(response.body), 0, std::move(lease));
  if (send_body && tail)
    output_.push(std::move(tail));
}

void http_session::perform(http_op::respond& op) {
  if (streaming_)
    return;
  queue_response(std::move(op.response), std::move(op.lease), std::move(op.tail));
  finish_exchange();
}

void http_session::perform(http_op::begin_stream& op) {
  if (std::exchange(streaming_, true))
    return;
  bodyless_ = head_request_ || !status_has_body(op.status);
  if (http_1_0_ && !bodyless_)
    keep_alive_ = false;
  output_.push(format_stream_head(op.status, op.headers, head_options(op.headers)));
}

void http_session::perform(http_op::write& op) {
  const auto size = op.frame.size();
  if (!streaming_ || bodyless_)
    return grant(size);
  output_.push(http_1_0_ ? std::move(op.frame) : format_chunk(op.frame), size, std::move(op.lease));
}

void http_session::perform(http_op::end&) {
  if (!streaming_)
    return;
  if (!bodyless_ && !http_1_0_)
    output_.push("0\r\n\r\n");
  finish_exchange();
}

void http_session::perform(http_op::abort&) {
  keep_alive_ = false;
  reset_ = http_1_0_;
  finish_exchange();
}

void http_session::perform(http_op::drop&) {
  if (streaming_) {
    http_op::abort cut;
    return perform(cut);
  }
  queue_response(
    error_response(worker_->config(), 500, "the request was dropped without an answer", asked()));
  finish_exchange();
}

void http_session::perform(http_op::watch_closed& op) {
  on_closed_ = std::move(op.fn);
}

void http_session::perform(http_op::watch_drained& op) {
  on_drained_ = std::move(op.fn);
  announce_drained();
}

void http_session::run_callbacks() {
  notified_ = false;
  const auto call = [](auto& fn, auto... arguments) {
    try {
      fn(arguments...);
    } catch (...) {
      // The owner's callback failed; the connection goes on.
    }
  };
  if (auto lost = std::exchange(lost_callback_, nullptr))
    call(lost);
  const auto bytes = std::exchange(drained_, 0);
  if (bytes == 0 || !on_drained_)
    return;
  // Moved out while it runs: it may end the exchange, which would destroy it.
  const auto number = number_;
  auto drained = std::exchange(on_drained_, nullptr);
  call(drained, bytes);
  if (number == number_ && phase_ == phase::serving && !on_drained_)
    on_drained_ = std::move(drained);
  // What it wrote may have left already.
  announce_drained();
}

/// Frame bytes that left, or never will: room for write() and credit for the producer.
void http_session::grant(std::size_t bytes) {
  budget_.unreserve(bytes);
  if (phase_ != phase::serving)
    return;
  drained_ += bytes;
  announce_drained();
}

void http_session::announce_drained() {
  if (drained_ > 0 && on_drained_ && !std::exchange(notified_, true))
    worker_->notify(shared_from_this());
}

void http_session::flush() {
  if (write_waiting_ || phase_ == phase::closed || phase_ == phase::lingering)
    return;
  std::array<asio::const_buffer, 64> buffers;
  while (!output_.empty()) {
    error_code ec;
    const auto written = socket_.write_some(output_.gather(buffers), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again)
      return wait_writable();
    if (ec)
      return close();
    count(worker_->shared().counters.bytes_out, written);
    sent_ += written;
    if (const auto credit = output_.consume(written); credit > 0)
      grant(credit);
  }
  deadlines_.write().stop();
  if (phase_ == phase::closing)
    begin_linger();
  else if (deadlines_.what() == waiting::next_request && !is_linked())
    worker_->rest(*this);
}

void http_session::wait_writable() {
  write_waiting_ = true;
  if (!deadlines_.write().watching())
    deadlines_.write().begin(clock::now(), taken());
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code&) {
    self->write_waiting_ = false;
    guarded(*self, [&] { self->advance(); });
  });
}

/// Bytes the client's side has acknowledged. What the kernel has taken says little: its buffer may
/// hold a minute of a slow line, and asks for more only when a third of it is free.
std::uint64_t http_session::taken() const noexcept {
  int queued = 0;
  // The socket's handle is not const, because it can be closed through it.
  auto& socket = const_cast<tcp::socket&>(socket_);
  if (::ioctl(socket.native_handle(), SIOCOUTQ, &queued) != 0 || queued < 0)
    queued = 0;
  return sent_ - std::min<std::uint64_t>(sent_, static_cast<std::uint64_t>(queued));
}

} // namespace skep::net
