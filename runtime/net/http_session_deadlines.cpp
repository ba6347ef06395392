#include "runtime/net/http_session_deadlines.hpp"

#include <algorithm>

namespace skep::net {

namespace {

/// After the last response the client may still be sending. It is read and dropped, so that the
/// kernel does not reset the connection under the response (RFC 9112 section 9.6): while something
/// comes, but linger_timeout in all; a drain does not wait so long.
constexpr duration linger_idle = 5s;
constexpr duration linger_draining = 2s;

} // namespace

bool http_session_deadlines::wait_for(waiting what, time_point now, std::uint64_t received,
                                      bool draining) {
  const bool begins = waiting_ != what;
  if (!begins && what != waiting::next_request && what != waiting::linger)
    return false;
  waiting_ = what;
  deadline_ = time_point::max();
  switch (what) {
    case waiting::nothing: break;
    case waiting::first_byte:
    case waiting::head: deadline_ = now + config_.header_timeout; break;
    case waiting::next_request: deadline_ = now + config_.keepalive_timeout; break;
    case waiting::body: body_.begin(now, received); break;
    case waiting::linger:
      if (begins)
        linger_ends_ = now + config_.linger_timeout;
      if (draining)
        linger_ends_ = std::min(linger_ends_, now + linger_draining);
      deadline_ = std::min(linger_ends_, now + linger_idle);
      break;
  }
  return true;
}

void http_session_deadlines::at_most(time_point when) noexcept {
  deadline_ = std::min(deadline_, when);
}

bool http_session_deadlines::late(time_point now, std::uint64_t received) noexcept {
  if (waiting_ == waiting::body)
    return body_.window_over(now) && !body_.next_window(now, received);
  return now >= deadline_;
}

} // namespace skep::net
