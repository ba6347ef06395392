#pragma once

#include "runtime/net/http_operation.hpp"
#include "runtime/net/http_shared.hpp"

#include <atomic>
#include <cstddef>
#include <optional>

namespace skep::net {

/// One connection's room for what it is to send, and whether it is lost. Any thread.
class http_send_budget {
public:
  /// `shared` must outlive it.
  explicit http_send_budget(http_shared& shared) noexcept : shared_(shared) {}

  /// Books frame bytes against send_buffer_max_bytes and `owed` on top of it. False when they do
  /// not fit or nobody is there to read them.
  [[nodiscard]] bool reserve(std::size_t bytes, std::size_t owed) noexcept;
  /// Takes reserve() back.
  void unreserve(std::size_t bytes) noexcept {
    unsent_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  /// Books bytes against answers_max_bytes; nothing when they do not fit.
  [[nodiscard]] std::optional<byte_lease> book(std::size_t bytes) noexcept;
  /// Takes the end that others may share from the response, if it is large, and books it. False
  /// when answers_max_bytes has no room for it.
  [[nodiscard]] bool share_tail(http_response& response, http_tail_ptr& tail);

  [[nodiscard]] bool gone() const noexcept {
    return gone_.load(std::memory_order_relaxed);
  }
  void set_gone() noexcept {
    gone_.store(true, std::memory_order_relaxed);
  }
  /// An exchange went away and could not even say so.
  void abandon() noexcept {
    abandoned_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool abandoned() const noexcept {
    return abandoned_.load(std::memory_order_relaxed);
  }

private:
  http_shared& shared_;
  std::atomic<std::size_t> unsent_{0};
  std::atomic<std::size_t> booked_{0};
  std::atomic<bool> gone_{false};
  std::atomic<bool> abandoned_{false};
};

} // namespace skep::net
