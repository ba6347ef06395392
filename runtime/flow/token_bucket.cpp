#include "runtime/flow/token_bucket.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cmath>

namespace skep::flow {

token_bucket::token_bucket(token_bucket_config config, time_point now)
  : config_(config), tokens_(config.burst_max), refilled_(now) {
  SKEP_ASSERT(config.rate_per_second > 0.0 && config.burst_max > 0.0);
}

double token_bucket::available(time_point now) const {
  // Callers read the clock before they take a lock, so `now` may lie a little in the past.
  auto passed = std::max(now - refilled_, duration::zero());
  auto refill = std::chrono::duration<double>(passed).count() * config_.rate_per_second;
  return std::min(config_.burst_max, tokens_ + refill);
}

void token_bucket::refill(time_point now) {
  tokens_ = available(now);
  refilled_ = std::max(refilled_, now);
}

bool token_bucket::try_take(double n, time_point now) {
  refill(now);
  if (n > tokens_)
    return false;
  tokens_ -= n;
  return true;
}

void token_bucket::charge(double n, time_point now) {
  refill(now);
  tokens_ -= n;
}

void token_bucket::give_back(double n, time_point now) {
  refill(now);
  tokens_ = std::min(config_.burst_max, tokens_ + n);
}

duration token_bucket::wait_for(double n, time_point now) const {
  auto missing = std::min(n, config_.burst_max) - available(now);
  if (missing <= 0.0)
    return {};
  // Rounded up and one tick more, so that trying after the wait succeeds.
  std::chrono::duration<double, duration::period> ticks
    = std::chrono::duration<double>(missing / config_.rate_per_second);
  return duration{static_cast<duration::rep>(std::ceil(ticks.count())) + 1};
}

} // namespace skep::flow
