#pragma once

#include "cli/bench/workload.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/flow/rng.hpp"

#include <optional>
#include <string>
#include <vector>

// When requests start and what they ask; pure.
namespace skep::cli::bench {

/// The intended starts of an open loop: evenly spaced, whatever happens to the requests.
class arrival_schedule {
public:
  arrival_schedule(time_point start, double rate_per_s, duration length);

  /// When the next request is meant to start; nothing when the phase is over.
  std::optional<time_point> next() const;
  void taken() {
    ++number_;
  }

private:
  time_point start_;
  double seconds_between_;
  duration length_;
  std::uint64_t number_ = 0;
};

/// Chooses prompts as a phase asks for.
class prompt_source {
public:
  prompt_source(const phase_config& phase, std::uint64_t seed);
  std::string next();
  /// Whether the next request streams.
  bool stream();

private:
  const phase_config& phase_;
  flow::rng random_;
  std::uint64_t number_ = 0;
  std::uint64_t seed_;
  std::vector<double> popularity_; // Cumulative, for zipf.
};

} // namespace skep::cli::bench
