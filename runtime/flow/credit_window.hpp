#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>

namespace skep::flow {

/// The producer's side of a byte stream: it sends only what the consumer has room for. At all times
/// credits + in flight = window. At zero credits the producer stops reading its source. Not
/// thread-safe.
class credit_window {
public:
  /// `window_max` is the room the consumer reserved for this stream, in bytes, above zero. All of
  /// it is credit at first.
  explicit credit_window(std::uint64_t window_max);

  /// Takes all of `bytes` or nothing. A piece above half the window may wait for ever, because the
  /// consumer holds small grants back: split it, or use take_up_to.
  [[nodiscard]] bool try_take(std::uint64_t bytes);

  /// Takes as much as there is, at most `bytes`; returns how much. Zero means: wait for a grant.
  [[nodiscard]] std::uint64_t take_up_to(std::uint64_t bytes);

  /// The consumer has room for `bytes` more. errc::malformed if it grants more than is in flight;
  /// nothing changes then, and the stream should be failed.
  expected<void> grant(std::uint64_t bytes);

  /// What may be sent now, in bytes.
  [[nodiscard]] std::uint64_t credits() const {
    return credits_;
  }
  /// What was sent and not granted again, in bytes.
  [[nodiscard]] std::uint64_t inflight() const {
    return window_max_ - credits_;
  }
  [[nodiscard]] std::uint64_t window() const {
    return window_max_;
  }

private:
  std::uint64_t window_max_;
  std::uint64_t credits_;
};

/// The consumer's side: checks that the producer keeps to its credit, and turns consumed bytes into
/// grants. Grants are held back until they add up to half a window, so that a stream of short
/// chunks does not send one for each; once all is consumed the producer can always send half a
/// window. Not thread-safe.
class credit_return {
public:
  /// The same `window_max` as the producer's.
  explicit credit_return(std::uint64_t window_max);

  /// Bytes arrived. errc::too_large if the producer had no credit for them; nothing changes then.
  expected<void> received(std::uint64_t bytes);

  /// Bytes that had arrived were handed on; never more than `buffered()`. Returns the grant to send
  /// now, 0 for none yet.
  [[nodiscard]] std::uint64_t consumed(std::uint64_t bytes);

  /// Bytes that arrived and were not consumed.
  [[nodiscard]] std::uint64_t buffered() const {
    return buffered_;
  }
  /// Bytes consumed whose grant is held back.
  [[nodiscard]] std::uint64_t held_back() const {
    return held_back_;
  }
  /// What the producer may still send, as far as this side knows: grants under way included.
  [[nodiscard]] std::uint64_t outstanding() const {
    return window_max_ - buffered_ - held_back_;
  }

private:
  std::uint64_t window_max_;
  std::uint64_t buffered_ = 0;
  std::uint64_t held_back_ = 0;
};

} // namespace skep::flow
