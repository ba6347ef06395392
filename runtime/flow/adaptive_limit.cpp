#include "runtime/flow/adaptive_limit.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

namespace {
constexpr std::uint32_t warm_up = 10; // Updates whose plain mean starts the long-term latency.
}

adaptive_limit::adaptive_limit(adaptive_limit_config config)
  : config_(config), limit_(config.limit_initial) {
  SKEP_ASSERT(config.limit_min > 0 && config.limit_min <= config.limit_max);
  SKEP_ASSERT(config.limit_initial >= config.limit_min && config.limit_initial <= config.limit_max);
  SKEP_ASSERT(config.smoothing > 0.0 && config.smoothing <= 1.0 && config.long_window > 0);
}

bool adaptive_limit::try_acquire() {
  if (inflight_ >= limit()) {
    ++refusals_;
    return false;
  }
  inflight_peak_ = std::max(inflight_peak_, ++inflight_);
  return true;
}

void adaptive_limit::on_ignored() {
  SKEP_ASSERT(inflight_ > 0);
  --inflight_;
}

void adaptive_limit::on_success(duration latency, time_point now) {
  on_ignored();
  if (samples_++ == 0)
    window_ends_ = now + config_.sample_window;
  latency_sum_ += static_cast<double>(latency.count());
  if (now < window_ends_ || samples_ < config_.samples_min)
    return;
  update(latency_sum_ / samples_);
  latency_sum_ = 0.0;
  samples_ = 0;
  inflight_peak_ = inflight_;
}

void adaptive_limit::update(double latency) {
  latency = std::max(latency, 1.0);
  learn_long_term(latency);
  // After an overload the long-term latency is far too long; it must not take 600 updates to heal.
  if (long_term_ > 2.0 * latency)
    long_term_ *= 0.95;
  // A limit that was not nearly used was not tested: no reason to move it.
  if (inflight_peak_ < limit_ / 2)
    return;
  auto gradient = std::clamp(config_.tolerance * long_term_ / latency, 0.5, 1.0);
  auto wanted = limit_ * gradient + config_.headroom;
  limit_
    = std::clamp(limit_ * (1.0 - config_.smoothing) + wanted * config_.smoothing,
                 static_cast<double>(config_.limit_min), static_cast<double>(config_.limit_max));
}

/// An exponential average of about long_window samples, begun with a plain mean.
void adaptive_limit::learn_long_term(double latency) {
  if (warmed_ < warm_up) {
    ++warmed_;
    long_term_ += (latency - long_term_) / warmed_;
    return;
  }
  long_term_ += (latency - long_term_) * 2.0 / (config_.long_window + 1.0);
}

std::uint32_t adaptive_limit::limit() const {
  return static_cast<std::uint32_t>(limit_);
}

} // namespace skep::flow
