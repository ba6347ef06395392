#pragma once

#include "messages/context.hpp"
#include "messages/failure.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace skep {

/// What an envelope is for. Wire format: append only.
enum class envelope_kind : std::uint8_t {
  /// A message nobody answers.
  send = 0,
  /// Wants exactly one reply, stream or failure with the same correlation.
  request = 1,
  /// The one answer.
  reply = 2,
  /// A stream begins; chunks follow under the same correlation.
  open = 3,
  /// A part of a stream, paid for with credit.
  chunk = 4,
  /// The stream ended well; the payload may sum it up.
  end = 5,
  /// The request or stream ended in a failure; the payload is msg::failure_reply.
  failed = 6,
  /// The caller gave up; no payload.
  cancel = 7,
  /// The consumer grants `credit` more bytes; no payload.
  credit = 8,
  /// The source wants to hear when the target ends; no payload.
  watch = 9,
  /// The source, watched by the target, has ended; the payload is msg::failure_reply.
  down = 10,
  /// An actor linked to the target has ended (CAF's exit message); the payload is
  /// msg::failure_reply.
  exit = 11,
};

inline constexpr std::uint8_t envelope_kind_count = 12;

/// An actor of a certain life of a certain node.
struct address {
  skep::incarnation incarnation;
  actor_number actor;
  friend bool operator==(const address&, const address&) = default;
};

/// What stands before every payload on the wire; docs/wire-protocol.md is its page.
struct envelope {
  envelope_kind kind = envelope_kind::send;
  address source;
  /// Where to; actor 0 when `target_name` decides.
  address target;
  /// A name of the directory ("cache/0"); empty when `target` decides.
  std::string target_name;
  /// Pairs answers with their request, per sender incarnation.
  std::uint64_t correlation = 0;
  skep::context context;
  /// The payload's type; 0 when there is none.
  std::uint32_t tag = 0;
  /// request: the stream window in bytes the caller reserved; credit: bytes granted.
  std::uint64_t credit = 0;
};

/// Bounds of everything that decodes outside bytes.
struct decode_limits {
  /// Bytes of one message; larger is errc::too_large before anything is allocated.
  std::size_t bytes_max = 64u << 20;
  /// Elements of one array or map.
  std::size_t elements_max = 1u << 20;
  /// Nesting of arrays and maps.
  std::size_t depth_max = 32;
};

/// Appends envelope and payload (already encoded, may be empty) to `out`. The deadline goes out as
/// the microseconds that remain at `now`.
void encode_envelope(const envelope& head, std::string_view payload,
                     std::chrono::steady_clock::time_point now, std::string& out);

/// The same without the payload's bytes, which the caller writes behind it: `payload_size` of them.
void encode_envelope_front(const envelope& head, std::size_t payload_size,
                           std::chrono::steady_clock::time_point now, std::string& out);

/// An envelope and the payload's bytes inside the buffer that was decoded.
struct decoded_envelope {
  envelope head;
  std::string_view payload;
};

/// Reads what encode_envelope wrote, from any bytes whatever: errc::malformed or errc::too_large
/// say what is wrong; unknown trailing elements are skipped.
tl::expected<decoded_envelope, failure> decode_envelope(std::string_view bytes,
                                                        std::chrono::steady_clock::time_point now,
                                                        const decode_limits& limits = {});

} // namespace skep
