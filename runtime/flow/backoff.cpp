#include "runtime/flow/backoff.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

namespace {

/// `d * factor`, at most `limit`; no overflow on the way.
duration grow(duration d, double factor, duration limit) {
  auto grown = static_cast<double>(d.count()) * factor;
  return grown >= static_cast<double>(limit.count()) ? limit
                                                     : duration{static_cast<duration::rep>(grown)};
}

/// Uniform in [low, high).
duration between(duration low, duration high, rng& random) {
  auto span = static_cast<double>((high - low).count());
  return low + duration{static_cast<duration::rep>(span * random.uniform())};
}

} // namespace

backoff::backoff(backoff_config config)
  : config_(config), reach_(std::min(config.initial, config.wait_max)) {
  SKEP_ASSERT(config.initial > duration::zero() && config.wait_max > duration::zero());
  SKEP_ASSERT(config.factor >= 1.0);
}

duration backoff::next(rng& random) {
  auto first = attempts_++ == 0;
  if (config_.jitter == backoff_jitter::full) {
    if (!first)
      reach_ = grow(reach_, config_.factor, config_.wait_max);
    return between(duration::zero(), reach_, random);
  }
  auto low = std::min(config_.initial, config_.wait_max);
  reach_ = between(low, std::max(low, grow(reach_, 3.0, config_.wait_max)), random);
  return reach_;
}

void backoff::reset() {
  attempts_ = 0;
  reach_ = std::min(config_.initial, config_.wait_max);
}

} // namespace skep::flow
