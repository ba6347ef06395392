#pragma once

#include "runtime/base/clock.hpp"

#include <cstdint>

namespace skep::flow {

/// Parameters of the gradient; the defaults are those of Netflix's concurrency-limits.
struct adaptive_limit_config {
  std::uint32_t limit_initial = 20;
  std::uint32_t limit_min = 20;
  std::uint32_t limit_max = 200;
  double smoothing = 0.2;          ///< Weight of a new limit against the old one, in (0, 1].
  std::uint32_t long_window = 600; ///< Samples the long-term latency looks back on.
  double tolerance = 1.5;          ///< Latency may exceed the long-term one by this factor.
  std::uint32_t headroom = 4;      ///< Calls added per update: what lets the limit grow.
  duration sample_window = 1s;     ///< Latencies are averaged this long before each update.
  std::uint32_t samples_min = 10;  ///< An average over fewer says nothing; the window goes on.
};

/// Finds how many calls an upstream serves at once without queueing them, from latency alone
/// (Gradient2 of Netflix's concurrency-limits): the limit shrinks when recent latency exceeds the
/// long-term one. Known flaw: under mild, lasting overload the long-term latency follows and the
/// limit creeps up, so limit_max must be one the upstream survives. Not thread-safe.
class adaptive_limit {
public:
  explicit adaptive_limit(adaptive_limit_config config = {});

  /// May one more call go out? Counts it if so; the caller ends it with one of the two below.
  [[nodiscard]] bool try_acquire();

  /// A call ended with a latency that tells of the upstream's load.
  void on_success(duration latency, time_point now);

  /// A call ended otherwise (a cancel, a bad request): gives its place back, teaches nothing.
  void on_ignored();

  /// The present limit, in [limit_min, limit_max].
  [[nodiscard]] std::uint32_t limit() const;
  [[nodiscard]] std::uint32_t inflight() const {
    return inflight_;
  }
  [[nodiscard]] std::uint64_t refusals() const {
    return refusals_;
  }

private:
  void update(double latency);
  void learn_long_term(double latency);

  adaptive_limit_config config_;
  double limit_;
  double long_term_ = 0.0; // Nanoseconds.
  std::uint32_t warmed_ = 0;
  std::uint32_t inflight_ = 0;
  std::uint32_t inflight_peak_ = 0; // Of the present sample window.
  std::uint64_t refusals_ = 0;
  time_point window_ends_{};
  double latency_sum_ = 0.0;
  std::uint32_t samples_ = 0;
};

} // namespace skep::flow
