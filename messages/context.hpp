#pragma once

#include "messages/ids.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace skep {

/// The tenant of a request that names none.
inline constexpr const char* default_tenant = "default";
/// Tenant names are at most this long.
inline constexpr std::size_t tenant_bytes_max = 64;

/// What decides who is shed first: background work before interactive requests.
enum class priority : std::uint8_t { background = 0, normal = 1, interactive = 2 };

/// Set while nothing has happened that must not happen twice: the call may be run again elsewhere.
inline constexpr std::uint32_t flag_replayable = 1u << 0;

/// Travels with every call, unchanged from the client's request to the last hop.
struct context {
  request_id id;
  /// When the caller stops waiting (monotonic clock). On the wire it is the time that remains.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  skep::priority priority = priority::normal;
  std::uint32_t flags = flag_replayable;
  std::string tenant = default_tenant;
  /// The conversation the call belongs to; empty when it stands alone.
  std::string session;
  trace_context trace;

  bool replayable() const {
    return (flags & flag_replayable) != 0;
  }
  bool expired(std::chrono::steady_clock::time_point now) const {
    return deadline <= now;
  }
  friend bool operator==(const context&, const context&) = default;
};

} // namespace skep
