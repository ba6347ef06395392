#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/net/link_core.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace skep::net {

/// The receiving half of one session: takes data frames in order, puts cut messages together again
/// and decides when an acknowledgement is due. Pure; one thread.
class link_receiver {
public:
  explicit link_receiver(const link_config& config);

  /// What a data frame was.
  enum class verdict : std::uint8_t { taken, duplicate, gap };
  /// Judges the frame by its number; `taken` asks for deliver() next. After a gap ack_at() is now.
  verdict came(std::uint64_t sequence, std::size_t bytes, time_point now);
  /// Hands the messages that end in the body on, until `sink` returns false. False when the body is
  /// no records, or a message is over message_bytes_max: the session makes no sense any more.
  bool deliver(std::string_view body, const std::function<bool(std::string_view)>& sink);
  /// The peer says it has sent this many: when some are missing an acknowledgement is due at once.
  void peer_sent(std::uint64_t sequence, time_point now);

  /// When a frame of ours must go for the acknowledgement's sake; time_point::max(): need not.
  time_point ack_at() const {
    return ack_at_;
  }
  /// A frame with our acknowledgement went out.
  void acked();
  /// It did not, the pipe is full: it is due a little later.
  void not_acked(time_point now);
  /// All data frames up to this one have come.
  std::uint64_t received() const {
    return received_;
  }
  std::uint64_t messages_in() const {
    return messages_in_;
  }

private:
  bool keep(std::string_view bytes);

  const link_config& config_;
  std::uint64_t received_ = 0;
  std::uint64_t frames_since_ack_ = 0;
  std::uint64_t bytes_since_ack_ = 0;
  time_point ack_at_ = time_point::max();
  /// The beginning of a message that was cut.
  std::string partial_;
  bool in_partial_ = false;
  std::uint64_t messages_in_ = 0;
};

} // namespace skep::net
