#pragma once

#include "runtime/base/clock.hpp"

namespace skep::flow {

/// A rate limit. Tokens are requests, or the model's tokens, as the owner likes.
struct token_bucket_config {
  double rate_per_second = 100.0; ///< Refill, above zero.
  double burst_max = 100.0;       ///< Capacity, above zero; the bucket starts full.
};

/// Admits at most `burst_max + rate * t` tokens in any time t. Not thread-safe.
class token_bucket {
public:
  token_bucket(token_bucket_config config, time_point now);

  /// Takes `n` tokens if they are there. An `n` above `burst_max` never succeeds.
  [[nodiscard]] bool try_take(double n, time_point now);

  /// Takes `n` tokens that are already spent, whether they are there or not: what a call cost
  /// beyond its estimate. The debt is paid by the refill.
  void charge(double n, time_point now);

  /// Gives back what a call did not use; the bucket never holds more than `burst_max`.
  void give_back(double n, time_point now);

  /// The tokens there at `now`; below zero while in debt.
  [[nodiscard]] double available(time_point now) const;

  /// How long until `n` tokens are there; zero if they are. `n` above `burst_max` counts as
  /// `burst_max`.
  [[nodiscard]] duration wait_for(double n, time_point now) const;

private:
  void refill(time_point now);

  token_bucket_config config_;
  double tokens_;
  time_point refilled_;
};

} // namespace skep::flow
