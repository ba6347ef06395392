#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace skep::net {

/// Bounds and names of one node's link.
struct link_config {
  std::string node_name = "skep";
  /// Where the ROUTER listens; port * lets the system choose.
  std::string bind = "tcp://127.0.0.1:*";
  /// This life of the node: frames of another one are dropped.
  std::uint64_t incarnation = 1;
  /// Bytes and messages waiting for one peer; what does not fit is refused to its sender.
  std::size_t queue_bytes_max = std::size_t{64} << 20;
  std::size_t queue_messages_max = 1u << 20;
  /// Messages are put together in frames of about this size.
  std::size_t frame_bytes = std::size_t{64} << 10;
  /// One message.
  std::size_t message_bytes_max = std::size_t{64} << 20;
  /// How long the end waits for what is queued.
  std::chrono::milliseconds linger{1'000};
};

/// What a link did and holds. Each number is exact, together they are a moment apart.
struct link_stats {
  std::uint64_t messages_out = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t frames_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t refused = 0;
  /// Frames dropped because they were none of ours: bad head, other life, gap.
  std::uint64_t malformed = 0;
  std::uint64_t queued_messages = 0;
  std::uint64_t queued_bytes = 0;
};

/// A node's messages to its peers over ZeroMQ: a ROUTER for what comes, a DEALER per peer for what
/// goes (the Harmony pattern of the ZeroMQ guide, chapter 8), all owned by one thread, which is
/// woken by an eventfd only when its queue was empty. Many messages travel in one frame; a frame
/// leaves when the queue is drained or the frame is full, never by a timer. Thread-safe.
///
/// Frame: "sk" 1 | incarnation u64 | sequence u64 | then per message length u32 and bytes; numbers
/// are little endian.
class zmq_link {
public:
  /// Called on the link's thread for each message; must be short. The bytes are valid during the
  /// call only.
  using message_handler = std::function<void(std::string_view peer, std::string_view bytes)>;

  static expected<std::unique_ptr<zmq_link>> start(link_config config, message_handler on_message);
  zmq_link(const zmq_link&) = delete;
  zmq_link& operator=(const zmq_link&) = delete;
  /// Sends what is queued, for as long as `linger`, then ends the thread.
  ~zmq_link();

  /// The bound address, with its port.
  const std::string& endpoint() const;
  /// Makes a peer known and connects to it.
  expected<void> connect(const std::string& peer, const std::string& address);
  /// Queues one message. At once: errc::overloaded with a retry-after when the peer's queue is
  /// full, errc::not_found when the peer is unknown, errc::too_large. Messages of one thread to one
  /// peer keep their order.
  expected<void> send(std::string_view peer, std::string bytes);

  link_stats stats() const;

private:
  struct impl;
  explicit zmq_link(std::unique_ptr<impl> state);

  std::unique_ptr<impl> impl_;
};

} // namespace skep::net
