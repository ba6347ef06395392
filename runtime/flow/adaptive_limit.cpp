#include "runtime/flow/adaptive_limit.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

namespace {
constexpr std::uint32_t warm_up = 10; // Updates whose plain mean starts the long-term latency.
constexpr double gradient_min = 0.5;  // No update takes more than half, before smoothing.
} // namespace

adaptive_limit::adaptive_limit(adaptive_limit_config config)
  : config_(config), limit_(config.limit_initial) {
  SKEP_ASSERT(config.limit_min > 0 && config.limit_min <= config.limit_max);
  SKEP_ASSERT(config.limit_initial >= config.limit_min && config.limit_initial <= config.limit_max);
  SKEP_ASSERT(config.smoothing > 0.0 && config.smoothing <= 1.0 && config.long_window > 0);
  SKEP_ASSERT(config.samples_min > 0);
}

bool adaptive_limit::try_acquire() {
  if (!has_room()) {
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
  ++successes_;
  latency_sum_ += static_cast<double>(latency.count());
  gather(now);
}

void adaptive_limit::on_overload(time_point now) {
  on_ignored();
  ++overloads_;
  gather(now);
}

/// Ends the sample window once it is old and full enough; its first result began it.
void adaptive_limit::gather(time_point now) {
  const auto samples = successes_ + overloads_;
  if (samples == 1)
    window_ends_ = now + config_.sample_window;
  if (now < window_ends_ || samples < config_.samples_min)
    return;
  update();
  latency_sum_ = 0.0;
  successes_ = overloads_ = 0;
  inflight_peak_ = inflight_;
}

void adaptive_limit::update() {
  const auto share = static_cast<double>(overloads_) / (successes_ + overloads_);
  const auto by_latency = latency_gradient();
  // A limit that was not nearly used was not tested: no reason to raise it, or to trust latency.
  const auto tested = inflight_peak_ >= limit_ / 2;
  if (!tested && overloads_ == 0)
    return;
  const auto gradient = std::max(gradient_min, std::min(tested ? by_latency : 1.0, 1.0 - share));
  const auto headroom = tested && share < config_.overload_share_max ? config_.headroom : 0u;
  const auto wanted = limit_ * gradient + headroom;
  limit_
    = std::clamp(limit_ * (1.0 - config_.smoothing) + wanted * config_.smoothing,
                 static_cast<double>(config_.limit_min), static_cast<double>(config_.limit_max));
}

/// What the window's latency says, at most 1; 1 when no call of it succeeded.
double adaptive_limit::latency_gradient() {
  if (successes_ == 0)
    return 1.0;
  const auto latency = std::max(latency_sum_ / successes_, 1.0);
  learn_long_term(latency);
  // After an overload the long-term latency is far too long; it must not take 600 updates to heal.
  if (long_term_ > 2.0 * latency)
    long_term_ *= 0.95;
  return std::min(config_.tolerance * long_term_ / latency, 1.0);
}

/// An exponential average of about long_window updates, begun with a plain mean.
void adaptive_limit::learn_long_term(double latency) {
  if (warmed_ < warm_up) {
    ++warmed_;
    long_term_ += (latency - long_term_) / warmed_;
    return;
  }
  long_term_ += (latency - long_term_) * 2.0 / (config_.long_window + 1.0);
}

} // namespace skep::flow
