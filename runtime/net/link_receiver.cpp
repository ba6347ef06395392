#include "runtime/net/link_receiver.hpp"

#include <algorithm>
#include <utility>

namespace skep::net {

namespace {

// How long an acknowledgement may wait for a frame that takes it along.
constexpr duration ack_delay = 20ms;
constexpr std::uint64_t frames_per_ack = 64;

} // namespace

link_receiver::link_receiver(const link_config& config) : config_(config) {}

link_receiver::verdict link_receiver::came(std::uint64_t sequence, std::size_t bytes,
                                           time_point now) {
  if (sequence <= received_) {
    ack_at_ = std::min(ack_at_, now + ack_delay);
    return verdict::duplicate;
  }
  if (sequence != received_ + 1) {
    ack_at_ = now;
    return verdict::gap;
  }
  ++received_;
  bytes_since_ack_ += bytes;
  ++frames_since_ack_;
  const bool much
    = bytes_since_ack_ >= config_.window_bytes / 4 || frames_since_ack_ >= frames_per_ack;
  ack_at_ = std::min(ack_at_, much ? now : now + ack_delay);
  return verdict::taken;
}

bool link_receiver::deliver(std::string_view body,
                            const std::function<bool(std::string_view)>& sink) {
  record_reader records{body};
  while (const auto next = records.next()) {
    if (next->more || in_partial_) {
      if (!keep(next->bytes))
        return false;
      in_partial_ = next->more;
      if (next->more)
        continue;
    } else if (next->bytes.size() > config_.message_bytes_max) {
      return false;
    }
    ++messages_in_;
    const bool whole = partial_.empty();
    const std::string joined = std::exchange(partial_, {});
    if (!sink(whole ? next->bytes : std::string_view{joined}))
      return true;
  }
  return !records.malformed();
}

bool link_receiver::keep(std::string_view bytes) {
  if (partial_.size() + bytes.size() > config_.message_bytes_max)
    return false;
  partial_.append(bytes);
  return true;
}

void link_receiver::peer_sent(std::uint64_t sequence, time_point now) {
  if (sequence > received_)
    ack_at_ = now;
}

void link_receiver::acked() {
  frames_since_ack_ = 0;
  bytes_since_ack_ = 0;
  ack_at_ = time_point::max();
}

void link_receiver::not_acked(time_point now) {
  ack_at_ = now + ack_delay;
}

} // namespace skep::net
