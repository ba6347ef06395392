#pragma once

#include <cstdint>

namespace skep::actors {

/// Which requests may be answered by an answer that was not made for them: from the response cache,
/// the semantic cache, or a call for the same that is in flight.
enum class cache_scope : std::uint8_t {
  /// Those that say temperature 0: whoever asks for chance asks for an answer of their own.
  deterministic,
  all,
  off,
};

} // namespace skep::actors
