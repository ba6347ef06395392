#pragma once

#include "messages/failure.hpp"
#include "messages/message.hpp"

#include <cstdint>
#include <string>

// Tags 0x00xx: what every actor understands.
namespace skep::msg {

/// A failure as it travels.
struct failure_reply {
  std::uint8_t code = 0;
  std::string detail;
  std::uint32_t retry_after_ms = 0;
  SKEP_MESSAGE(0x0001, 1, code, detail, retry_after_ms)
};

/// The answer when there is nothing to say but "done".
struct ack {
  SKEP_MESSAGE(0x0002, 1)
};

} // namespace skep::msg
