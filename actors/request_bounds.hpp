#pragma once

#include "runtime/actor/mailbox.hpp"

namespace skep::actors {

/// The bounds of an actor that requests pass through whole: room for several of the largest that
/// the gateway takes (32 MiB each, gateway.body_bytes).
inline rt::mailbox_bounds request_bounds() {
  rt::mailbox_bounds made;
  made.bytes_max = std::size_t{128} << 20;
  return made;
}

} // namespace skep::actors
