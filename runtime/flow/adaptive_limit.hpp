#pragma once

#include "runtime/base/clock.hpp"

#include <cstdint>

namespace skep::flow {

/// Parameters of the gradient; where Netflix's concurrency-limits has the same one, its default.
struct adaptive_limit_config {
  std::uint32_t limit_initial = 20;
  std::uint32_t limit_min = 4;   ///< Never below: a limit of nothing would learn nothing any more.
  std::uint32_t limit_max = 200; ///< Never above, whatever latency says; see the known flaw.
  double smoothing = 0.2;        ///< Weight of a new limit against the old one, in (0, 1].
  std::uint32_t long_window = 600; ///< Updates the long-term latency looks back on.
  double tolerance = 1.5;          ///< Latency may exceed the long-term one by this factor.
  std::uint32_t headroom = 4;      ///< Calls added per update: what lets the limit grow.
  duration sample_window = 1s;     ///< Results are gathered this long before each update.
  std::uint32_t samples_min = 10;  ///< Fewer say nothing; the window goes on.
  /// A window in which at least this share of the calls met overload adds no headroom.
  double overload_share_max = 0.05;
};

/// Finds how many calls an upstream serves at once without queueing them. Two signals shrink it:
///
/// - Latency (Gradient2 of Netflix's concurrency-limits): recent latency exceeds the long-term one.
/// - Overload the upstream states itself (429, 503, 529, a deadline passed), which Gradient2
/// ignores.
///   A provider that sheds load answers quickly, so its latency looks fine, or better, the worse it
///   gets. The limit falls in proportion to the share of such results in a window, as DCTCP's
///   window does to that of marked packets (Alizadeh et al., SIGCOMM 2010): one 429 among a
///   thousand calls costs nothing, a window full of them a tenth (a half, smoothed). AIMD's factor
///   per signal would let a few stray ones pin the limit down, for it grows only by the headroom.
///
/// Known flaw: under mild, lasting overload the long-term latency follows and the limit creeps up
/// until deadlines pass or limit_max is reached, which must be one the upstream survives. Not
/// thread-safe.
class adaptive_limit {
public:
  explicit adaptive_limit(adaptive_limit_config config = {});

  /// May one more call go out? Counts it if so; the caller ends it with one of the three below.
  [[nodiscard]] bool try_acquire();

  /// A call ended with a latency that tells of the upstream's load.
  void on_success(duration latency, time_point now);

  /// A call ended because the upstream has too much to do. How long that took teaches nothing.
  void on_overload(time_point now);

  /// A call ended otherwise (a cancel, a bad request): gives its place back, teaches nothing.
  void on_ignored();

  /// There is a place for one more call.
  [[nodiscard]] bool has_room() const {
    return inflight_ < limit();
  }
  /// The present limit, in [limit_min, limit_max].
  [[nodiscard]] std::uint32_t limit() const {
    return static_cast<std::uint32_t>(limit_);
  }
  [[nodiscard]] std::uint32_t inflight() const {
    return inflight_;
  }
  [[nodiscard]] std::uint64_t refusals() const {
    return refusals_;
  }

private:
  void gather(time_point now);
  void update();
  double latency_gradient();
  void learn_long_term(double latency);

  adaptive_limit_config config_;
  double limit_;
  double long_term_ = 0.0; // Nanoseconds.
  std::uint32_t warmed_ = 0;
  std::uint32_t inflight_ = 0;
  std::uint64_t refusals_ = 0;
  // Of the present sample window.
  time_point window_ends_{};
  double latency_sum_ = 0.0;
  std::uint32_t successes_ = 0;
  std::uint32_t overloads_ = 0;
  std::uint32_t inflight_peak_ = 0;
};

} // namespace skep::flow
