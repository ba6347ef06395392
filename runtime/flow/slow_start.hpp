#pragma once

#include "runtime/base/clock.hpp"

#include <algorithm>
#include <cmath>

namespace skep::flow {

/// How a member that came back gets its share again.
struct slow_start_config {
  /// From its return to its full weight; zero: it gets it at once.
  duration window = 10s;
  /// 1: the weight grows evenly. Above 1 it grows faster at first, below 1 slower.
  double aggression = 1.0;
  /// The share of its weight it begins with.
  double weight_min = 0.1;
  /// While more than this share of the members are newcomers they get their full weight: only the
  /// proportions count, and so many cannot be spared.
  double newcomers_max = 0.5;
};

/// The share of its weight that a member gets `since` its return, as Envoy's slow start has it:
/// max(weight_min, (since / window) ^ (1 / aggression)), at most 1.
inline double slow_start_share(const slow_start_config& config, duration since) {
  if (since >= config.window)
    return 1;
  const auto part = static_cast<double>(since.count()) / static_cast<double>(config.window.count());
  return std::clamp(std::pow(std::max(0.0, part), 1 / config.aggression), config.weight_min, 1.0);
}

} // namespace skep::flow
