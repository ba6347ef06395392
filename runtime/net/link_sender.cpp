#include "runtime/net/link_sender.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace skep::net {

namespace {

// So many small frames may be under way; beyond that messages gather in the outbox and travel
// together. Far more than 64, the number a receiver acknowledges at the latest.
constexpr std::size_t frames_max = 512;
constexpr std::uint32_t equal_acks_max = 3;
// A healthy receiver acknowledges at the latest this long after a beat interval.
constexpr duration patience = 50ms;

} // namespace

link_sender::link_sender(const link_config& config, std::uint32_t window)
  : config_(config), window_(window) {}

std::size_t link_sender::room() const {
  if (window_ == 0 || flying_.size() >= frames_max || recovering())
    return 0;
  // With nothing under way any one body may go, or a window below its size would stop all.
  if (flying_.empty())
    return std::numeric_limits<std::size_t>::max();
  return window_ > in_flight_bytes_ ? window_ - in_flight_bytes_ : 0;
}

bool link_sender::could_send(const link_outbox& from) const {
  return cursor_ == flying_.size() && from.queued_bytes() != 0
         && room() >= std::min<std::uint64_t>(from.queued_bytes(), fragment_bytes * 2);
}

bool link_sender::fill(link_outbox& from) {
  const auto bytes = room();
  if (bytes == 0 || from.queued_bytes() == 0)
    return false;
  std::uint64_t messages = 0;
  auto body = from.take(bytes, messages);
  if (body.empty())
    return false;
  messages_out_ += messages;
  in_flight_bytes_ += body.size();
  flying_.push_back({std::make_shared<const std::string>(std::move(body)), {}});
  return true;
}

bool link_sender::pump(link_outbox& from, time_point now, const send_fn& send) {
  for (;;) {
    if (cursor_ == flying_.size() && !fill(from))
      return true;
    const auto sequence = acked_ + 1 + cursor_;
    const bool first = sequence > sent_max_;
    if (!first && recovering() && allowance_ == 0)
      return true; // The next acknowledgement goes on.
    if (!send(sequence, flying_[cursor_].body, first))
      return false;
    flying_[cursor_].sent = now;
    ++cursor_;
    sent_max_ = std::max(sent_max_, sequence);
    if (!first && allowance_ > 0)
      --allowance_;
  }
}

bool link_sender::heard(const frame_head& head, time_point now, duration round_trip) {
  if (head.ack > sent_max_)
    return false;
  if (head.ack < acked_)
    return true; // Overtaken by a newer one; its window is old as well.
  window_ = head.window;
  if (head.ack > acked_) {
    progress(head.ack - acked_, now);
  } else if (head.kind == frame_kind::ack && cursor_ > 0 && ++equal_acks_ >= equal_acks_max
             && now - went_back_ > std::max<duration>(round_trip, 1ms)) {
    went_back_ = now;
    go_back(std::numeric_limits<std::uint64_t>::max());
  }
  return true;
}

void link_sender::progress(std::uint64_t frames, time_point now) {
  for (std::uint64_t n = 0; n < frames; ++n) {
    in_flight_bytes_ -= flying_.front().body->size();
    flying_.pop_front();
  }
  acked_ += frames;
  if (frames > cursor_) {
    // More came than was sent again: nothing was lost, the peer was slow (F-RTO, RFC 5682).
    cursor_ = sent_max_ - acked_;
    recover_to_ = acked_;
  } else {
    cursor_ -= frames;
  }
  progressed_ = now;
  equal_acks_ = 0;
  doublings_ = 0;
  if (!recovering())
    allowance_ = 0;
  else if (allowance_ < std::numeric_limits<std::uint64_t>::max() - frames - 1)
    allowance_ += frames + 1;
}

void link_sender::go_back(std::uint64_t allowance) {
  cursor_ = 0;
  equal_acks_ = 0;
  recover_to_ = sent_max_;
  allowance_ = allowance;
}

duration link_sender::timeout(duration round_trip) const {
  const auto first
    = std::max({config_.resend_min, 4 * round_trip, config_.beat_interval + patience});
  return std::min(std::max(config_.resend_max, first), first * (1u << std::min(doublings_, 6u)));
}

time_point link_sender::due(duration round_trip) const {
  if (sent_max_ == acked_)
    return time_point::max();
  return std::max(flying_.front().sent, progressed_) + timeout(round_trip);
}

bool link_sender::check_timer(time_point now, duration round_trip) {
  if (now < due(round_trip))
    return false;
  ++doublings_;
  go_back(1);
  return true;
}

} // namespace skep::net
