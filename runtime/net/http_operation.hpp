#pragma once

#include "runtime/net/http_message.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace skep::net {

/// Outgoing bytes as booked against all connections, and their own one if it has them alone, until
/// it is destroyed. The counters must outlive it.
class byte_lease {
public:
  byte_lease() = default;
  byte_lease(std::atomic<std::size_t>& mine, std::atomic<std::size_t>& all,
             std::size_t bytes) noexcept
    : mine_(&mine), all_(&all), bytes_(bytes) {
    mine_->fetch_add(bytes_, std::memory_order_relaxed);
    all_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  /// Of bytes that several connections send.
  byte_lease(std::atomic<std::size_t>& all, std::size_t bytes) noexcept
    : all_(&all), bytes_(bytes) {
    all_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  byte_lease(byte_lease&& other) noexcept
    : mine_(other.mine_), all_(other.all_), bytes_(std::exchange(other.bytes_, 0)) {}
  byte_lease& operator=(byte_lease&& other) noexcept {
    std::swap(mine_, other.mine_);
    std::swap(all_, other.all_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~byte_lease() {
    if (bytes_ == 0)
      return;
    if (mine_ != nullptr)
      mine_->fetch_sub(bytes_, std::memory_order_relaxed);
    all_->fetch_sub(bytes_, std::memory_order_relaxed);
  }

private:
  std::atomic<std::size_t>* mine_ = nullptr;
  std::atomic<std::size_t>* all_ = nullptr;
  std::size_t bytes_ = 0;
};

/// The end of a body, immutable, which the answers that have it share with its one booking.
struct http_tail {
  std::string bytes;
  /// Where it begins in the bytes.
  std::size_t begin = 0;
  byte_lease lease;

  [[nodiscard]] std::string_view view() const noexcept {
    return std::string_view{bytes}.substr(begin);
  }
};
using http_tail_ptr = std::shared_ptr<const http_tail>;

/// The calls of http_exchange as values, so that they can cross threads.
namespace http_op {
struct respond {
  http_response response;
  byte_lease lease;
  /// Follows the response's body; or null.
  http_tail_ptr tail{};
};
struct begin_stream {
  int status;
  http_headers headers;
};
struct write {
  std::string frame;
  byte_lease lease;
};
struct end {};
struct abort {};
/// The exchange was dropped before it was answered to the end.
struct drop {};
struct watch_closed {
  std::function<void()> fn;
};
struct watch_drained {
  std::function<void(std::size_t)> fn;
};
} // namespace http_op

using http_operation
  = std::variant<http_op::respond, http_op::begin_stream, http_op::write, http_op::end,
                 http_op::abort, http_op::drop, http_op::watch_closed, http_op::watch_drained>;

} // namespace skep::net
