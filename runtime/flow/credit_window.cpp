#include "runtime/flow/credit_window.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace skep::flow {

credit_window::credit_window(std::uint64_t window_max)
  : window_max_(window_max), credits_(window_max) {
  SKEP_ASSERT(window_max > 0);
}

bool credit_window::try_take(std::uint64_t bytes) {
  if (bytes > credits_)
    return false;
  credits_ -= bytes;
  return true;
}

std::uint64_t credit_window::take_up_to(std::uint64_t bytes) {
  auto taken = std::min(bytes, credits_);
  credits_ -= taken;
  return taken;
}

expected<void> credit_window::grant(std::uint64_t bytes) {
  if (bytes > inflight())
    return fail(errc::malformed, "the consumer granted " + std::to_string(bytes)
                                   + " bytes of credit while " + std::to_string(inflight())
                                   + " were in flight; close the stream");
  credits_ += bytes;
  return {};
}

credit_return::credit_return(std::uint64_t window_max) : window_max_(window_max) {
  SKEP_ASSERT(window_max > 0);
}

expected<void> credit_return::received(std::uint64_t bytes) {
  if (bytes > outstanding())
    return fail(errc::too_large, "the producer sent " + std::to_string(bytes)
                                   + " bytes with credit for " + std::to_string(outstanding())
                                   + "; close the stream");
  buffered_ += bytes;
  return {};
}

std::uint64_t credit_return::consumed(std::uint64_t bytes) {
  SKEP_ASSERT(bytes <= buffered_);
  buffered_ -= bytes;
  held_back_ += bytes;
  if (held_back_ < window_max_ - window_max_ / 2)
    return 0;
  return std::exchange(held_back_, 0);
}

} // namespace skep::flow
