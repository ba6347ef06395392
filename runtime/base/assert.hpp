#pragma once

namespace skep {

/// Prints the broken condition with its place and aborts. Thread-safe.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

} // namespace skep

/// Stays on in release builds. For our own bugs only: whatever a peer, a provider or a config file
/// can cause is an errc.
#define SKEP_ASSERT(condition)                                                                     \
  (static_cast<bool>(condition) ? static_cast<void>(0)                                             \
                                : ::skep::assertion_failed(#condition, __FILE__, __LINE__))
