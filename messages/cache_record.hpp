#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>

namespace skep::msg {

/// A cached answer as it lies in a store outside of the cluster (Redis), where nodes of several
/// versions find it: evolves like a message, but never travels between nodes, so it is in no
/// family.
struct cache_record {
  /// As store::value_codec packs it: a byte that tells the form, then the value, maybe compressed.
  std::string value;
  /// When it was stored, by the wall clock of the node that did.
  std::int64_t stored_unix_ms = 0;
  std::uint64_t ttl_ms = 0;
  std::uint64_t group = 0;
  /// A cache_kind.
  std::uint8_t kind = 0;
  std::uint64_t cost = 0;
  SKEP_MESSAGE(0x02f0, 1, value, stored_unix_ms, ttl_ms, group, kind, cost)
};

} // namespace skep::msg
