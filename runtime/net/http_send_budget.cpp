#include "runtime/net/http_send_budget.hpp"

namespace skep::net {

bool http_send_budget::reserve(std::size_t bytes, std::size_t owed) noexcept {
  const auto limit = shared_.config.send_buffer_max_bytes + owed;
  auto unsent = unsent_.load(std::memory_order_relaxed);
  do {
    if (gone())
      return false;
    if (unsent != 0 && unsent + bytes > limit) {
      count(shared_.counters.frames_refused);
      return false;
    }
  } while (!unsent_.compare_exchange_weak(unsent, unsent + bytes, std::memory_order_relaxed));
  return true;
}

std::optional<byte_lease> http_send_budget::book(std::size_t bytes) noexcept {
  auto& all = shared_.counters.answers_bytes;
  byte_lease lease{booked_, all, bytes};
  const auto mine = booked_.load(std::memory_order_relaxed);
  if (mine <= http_server_config::answer_always_bytes
      || all.load(std::memory_order_relaxed) <= shared_.config.answers_max_bytes)
    return lease;
  count(shared_.counters.answers_refused);
  return std::nullopt;
}

bool http_send_budget::share_tail(http_response& response, http_tail_ptr& tail) {
  const auto begin = response.shared_from;
  if (begin == 0 || response.body.size() < begin + http_body_store::shared_min_bytes)
    return true;
  tail = shared_.bodies.share(response.body, begin, shared_.counters.answers_bytes,
                              shared_.config.answers_max_bytes);
  if (tail)
    return true;
  count(shared_.counters.answers_refused);
  return false;
}

} // namespace skep::net
