#pragma once

#include "runtime/base/clock.hpp"

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace skep::rt {

/// Bounds of a failure detector.
struct failure_detector_config {
  /// How often peers are heard at least.
  duration beat_interval = 250ms;
  /// Suspicion above which a peer counts as lost: 8 means one mistake in 10^8 beats.
  double phi_max = 8.0;
  /// Silence that is forgiven on top of what the history explains, by an observer in full health.
  duration pause_max = 1s;
  /// The deviation is never taken as smaller.
  duration deviation_min = 100ms;
  /// A longer silence is a loss whatever the history says, to an observer in full health. Never
  /// less than twice beat_interval and pause_max together.
  duration silence_max = 3s;
};

/// Says which peers are lost: phi accrual (Hayashibara et al., 2004) over the times between signs
/// of life. Local health is part of it (after Lifeguard, Dadgar et al., 2017): silence is measured
/// in time this node was awake itself, and an observer that was not running of late forgives more,
/// so that a starved or stopped one accuses nobody. With the defaults an observer that runs on time
/// declares a peer lost after 1.8 s of silence at the earliest and 3 s at the latest. Pure; one
/// thread.
class failure_detector {
public:
  explicit failure_detector(failure_detector_config config);

  /// The peer's session began, or ended.
  void watch(const std::string& peer, time_point now);
  void forget(const std::string& peer);
  /// When the peer was heard last, if that is news. Called with every tick, before or after it.
  void heard(const std::string& peer, time_point at);
  /// To be called at least about every beat interval; what was missed of that counts as our own
  /// sleep.
  void tick(time_point now);

  /// 0: heard just now; grows with the silence, up to 100. 0 for peers that are not watched.
  double phi(const std::string& peer, time_point now) const;
  /// Peers above phi_max, sorted by name.
  std::vector<std::string> lost(time_point now) const;
  /// 1.0: we run on time; 0.5: half of the last seconds we were not running.
  double health() const;

private:
  static constexpr std::size_t gaps_max = 100;

  struct history {
    time_point heard{}; ///< When, by the clock.
    time_point last{};  ///< The same moment in awake time.
    std::array<float, gaps_max> gaps_ms{};
    std::size_t count = 0; ///< Gaps seen in all; the array keeps the newest.
  };
  /// A tick on both time lines.
  struct moment {
    time_point real{};
    time_point awake{};
  };
  /// Our place on the time line on which our own pauses do not exist.
  time_point awake(time_point at) const;
  double phi_of(const history& h, time_point now) const;

  failure_detector_config config_;
  std::map<std::string, history> peers_;
  bool ticked_ = false;
  moment before_; ///< The tick before the last one.
  moment last_;
  double health_ = 1.0;
};

} // namespace skep::rt
