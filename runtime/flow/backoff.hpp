#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/rng.hpp"

#include <cstdint>

namespace skep::flow {

/// How waits are spread so that callers that failed together do not come back together. Both are
/// from Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
enum class backoff_jitter : std::uint8_t {
  full,         ///< Uniform in [0, initial * factor^n]: the least total work.
  decorrelated, ///< Uniform in [initial, 3 * previous]: never below `initial`.
};

/// The waits between attempts.
struct backoff_config {
  duration initial = 100ms; ///< The bound of the first wait (full), or its least (decorrelated).
  duration wait_max = 10s;  ///< No wait is longer.
  double factor = 2.0;      ///< Growth per attempt, at least 1; decorrelated has its own.
  backoff_jitter jitter = backoff_jitter::full;
};

/// Exponential back-off with jitter. How often and until when to try is the caller's business. Not
/// thread-safe.
class backoff {
public:
  explicit backoff(backoff_config config = {});

  /// The wait before the next attempt, in [0, wait_max].
  [[nodiscard]] duration next(rng& random);

  /// After a success: the next wait is a first one again.
  void reset();

  /// Waits handed out since the last reset.
  [[nodiscard]] std::uint32_t attempts() const {
    return attempts_;
  }

private:
  backoff_config config_;
  std::uint32_t attempts_ = 0;
  duration reach_; // The bound of the last wait (full), or the last wait (decorrelated).
};

} // namespace skep::flow
