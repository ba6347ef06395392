#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/base/spinlock.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace skep::net {

/// Messages of all threads to one peer, already in the form of frame bodies: records are appended
/// to the newest block, a full block is closed. Bounded in bytes and messages. push is for any
/// thread and costs one copy of the bytes under a spinlock; take is for the link's thread.
class link_outbox {
public:
  struct bounds {
    std::size_t bytes_max = std::size_t{64} << 20;
    std::size_t messages_max = 1u << 20;
    std::size_t block_bytes = std::size_t{64} << 10;
    std::size_t message_bytes_max = std::size_t{64} << 20;
  };

  /// `wake` is called by push, on the pusher's thread, when nothing waited before.
  link_outbox(std::string peer, bounds limits, std::function<void()> wake);

  /// Who may use the reserve: answers, credits and cancels belong to calls that were admitted, so
  /// they are taken up to twice the bounds.
  enum class lane : std::uint8_t { normal, reserve };

  /// Queues one message. At once: errc::overloaded with a retry-after when the queue is full,
  /// errc::node_down when the session has ended, errc::too_large. Messages of one thread keep their
  /// order.
  expected<void> push(std::string_view bytes);
  /// The same for a message in two pieces (envelope and payload), without joining them first.
  expected<void> push(std::string_view front, std::string_view back, lane which = lane::normal);

  /// Takes the oldest block; empty when none waits or the oldest is larger than `bytes_max`.
  /// `messages` is how many messages end in it. No block is larger than block_bytes, except when a
  /// single record needs more (at most fragment_bytes and its head).
  std::string take(std::size_t bytes_max, std::uint64_t& messages);
  /// Refuses everything from now on and drops what waits; says how many messages that were.
  std::uint64_t close();

  const std::string& peer() const {
    return peer_;
  }
  std::uint64_t queued_bytes() const {
    return bytes_.load(std::memory_order_relaxed);
  }
  std::uint64_t queued_messages() const {
    return messages_.load(std::memory_order_relaxed);
  }
  std::uint64_t refused() const {
    return refused_.load(std::memory_order_relaxed);
  }

private:
  struct block {
    std::string bytes;
    std::uint64_t messages = 0;
  };
  expected<void> push_small(std::string_view front, std::string_view back, lane which);
  expected<void> push_large(std::string_view front, std::string_view back, lane which);
  /// What forbids this many more bytes, under the lock; errc::none: nothing.
  errc obstacle(std::size_t bytes, lane which) const;
  bool over_bounds(std::size_t bytes, lane which) const;
  expected<void> refuse(errc why);
  void count(std::size_t bytes);

  const std::string peer_;
  const bounds limits_;
  const std::function<void()> wake_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::uint64_t> refused_{0};
  spinlock lock_; // Guards what follows.
  std::deque<block> blocks_;
  std::size_t expected_bytes_ = 0; // Of the next block, as the last one was.
  bool closed_ = false;
};

} // namespace skep::net
