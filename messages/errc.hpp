#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace skep {

/// Every way a call can end other than well. The values are wire format: append only, never
/// renumber.
enum class errc : std::uint8_t {
  none = 0,
  /// A mailbox, pool, link or limiter is full; the failure carries a retry-after.
  overloaded = 1,
  /// The circuit to the callee is open; the failure carries a retry-after.
  circuit_open = 2,
  /// The callee is absent for the moment (restarting, draining); try again.
  unavailable = 3,
  /// The call's deadline passed, queued or at work.
  deadline_exceeded = 4,
  /// The caller went away or gave up.
  cancelled = 5,
  /// The actor crashed, or dropped the call without an answer.
  actor_failed = 6,
  /// The node that held the call is lost.
  node_down = 7,
  /// No actor, agent, model or name like this.
  not_found = 8,
  /// The cache holds no answer; not a fault.
  cache_miss = 9,
  /// The request is wrong and would be wrong again.
  bad_request = 10,
  /// The caller's credentials are missing or wrong.
  unauthenticated = 11,
  /// The caller may not do this.
  forbidden = 12,
  /// Bytes that are not a message of ours.
  malformed = 13,
  /// A message or body over a named limit.
  too_large = 14,
  /// The callee does not understand this message.
  unexpected_message = 15,
  /// A socket or a file broke, was refused or could not be opened.
  transport_failed = 16,
  /// The provider answered 5xx or something that is no answer.
  provider_failed = 17,
  /// The provider asks us to slow down (429 with or without Retry-After).
  rate_limited = 18,
  /// The provider account's quota or budget is spent; retrying is useless.
  quota_exhausted = 19,
  /// The provider refused our credentials; never the client's fault.
  provider_auth_failed = 20,
  /// The prompt is longer than the model's context.
  context_overflow = 21,
  /// The answer broke off after its first part.
  stream_cut = 22,
  /// The provider's filter refused the content.
  content_filtered = 23,
  /// The configuration is wrong.
  bad_config = 24,
  /// The node is shutting down.
  shutting_down = 25,
  /// The provider itself is overloaded (503, 529): its load, not our rate. Trying again later, or
  /// elsewhere, helps.
  provider_overloaded = 26,
};

/// The number of values in errc; codes at or above it came from a newer peer.
inline constexpr std::uint8_t errc_count = 27;

/// The code's name as it stands in logs and metrics; "unknown" for a newer peer's code.
std::string_view to_string(errc code) noexcept;

/// The code a number stands for, or nothing when it is a newer peer's.
std::optional<errc> errc_from(std::uint8_t value) noexcept;

} // namespace skep
