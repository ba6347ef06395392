#pragma once

#include "runtime/net/http_server_config.hpp"
#include "runtime/net/pace_watch.hpp"

namespace skep::net {

/// What a connection waits for, and until when. Pure: time is passed in. Not thread-safe.
class http_session_deadlines {
public:
  enum class waiting { nothing, first_byte, next_request, head, body, linger };

  explicit http_session_deadlines(const http_server_config& config) noexcept
    : config_(config), body_(config.body_timeout, config.body_rate_min_bytes),
      write_(config.write_timeout, config.write_rate_min_bytes) {}

  [[nodiscard]] waiting what() const noexcept {
    return waiting_;
  }
  /// Begins to wait, or begins again for the next request and while a refused one is read away.
  /// Bytes are those received ever. False when it waited for that already.
  bool wait_for(waiting what, time_point now, std::uint64_t received, bool draining);
  /// Brings the deadline forward.
  void at_most(time_point when) noexcept;
  /// True when what is waited for is late.
  bool late(time_point now, std::uint64_t received) noexcept;

  /// Over bytes waiting to be sent.
  [[nodiscard]] pace_watch& write() noexcept {
    return write_;
  }

private:
  const http_server_config& config_;
  pace_watch body_;
  pace_watch write_;
  waiting waiting_ = waiting::nothing;
  time_point deadline_ = time_point::max();
  time_point linger_ends_;
};

} // namespace skep::net
