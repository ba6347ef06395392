#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/net/link_core.hpp"

#include <cstdint>
#include <deque>
#include <functional>

namespace skep::net {

/// The sending half of one session: frames not yet acknowledged, the window the peer grants,
/// resending. Go-back-N as the receiver keeps nothing that comes ahead of a gap. When the timer
/// fires only the first missing frame is sent again, and every acknowledgement of progress admits
/// one frame more than it covers (slow start, RFC 5681), so that a peer that was merely paused is
/// not buried in repetitions. Three equal acknowledgements say that there is a gap, and all is sent
/// again at once. Pure; one thread.
class link_sender {
public:
  /// The window is what the peer's hello granted.
  link_sender(const link_config& config, std::uint32_t window);

  /// Puts a frame into the socket; false when the pipe is full. `first`: not sent before.
  using send_fn = std::function<bool(std::uint64_t sequence, const frame_body& body, bool first)>;
  /// Sends what may be sent. False when the pipe was full.
  bool pump(link_outbox& from, time_point now, const send_fn& send);
  /// Reads acknowledgement and window of any frame of the session. False when it acknowledges what
  /// was never sent; such a frame is not the peer's.
  bool heard(const frame_head& head, time_point now, duration round_trip);
  /// Sends again if the timer says so; true when pump() has work then.
  bool check_timer(time_point now, duration round_trip);
  /// When check_timer() would act; time_point::max() while nothing waits for the peer.
  time_point due(duration round_trip) const;

  /// pump() would take something out of this outbox, if the pipe is free.
  bool could_send(const link_outbox& from) const;
  /// The number of the last frame sent.
  std::uint64_t last_sent() const {
    return sent_max_;
  }
  std::uint64_t in_flight_bytes() const {
    return in_flight_bytes_;
  }
  std::uint32_t window() const {
    return window_;
  }
  std::uint64_t messages_out() const {
    return messages_out_;
  }

private:
  struct frame {
    frame_body body;
    time_point sent{};
  };
  bool recovering() const {
    return acked_ < recover_to_;
  }
  /// Bytes the next body may have; 0: none may go.
  std::size_t room() const;
  bool fill(link_outbox& from);
  void progress(std::uint64_t frames, time_point now);
  void go_back(std::uint64_t allowance);
  duration timeout(duration round_trip) const;

  const link_config& config_;
  /// Frame number acked_ + 1 is the first.
  std::deque<frame> flying_;
  std::uint64_t acked_ = 0;
  std::uint64_t sent_max_ = 0;
  /// How many of flying_ need not be sent (again).
  std::size_t cursor_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint32_t window_ = 0;
  /// After a timer fired: up to here frames may only go as far as the allowance.
  std::uint64_t recover_to_ = 0;
  std::uint64_t allowance_ = 0;
  std::uint32_t equal_acks_ = 0;
  std::uint32_t doublings_ = 0;
  time_point progressed_{};
  time_point went_back_{};
  std::uint64_t messages_out_ = 0;
};

} // namespace skep::net
