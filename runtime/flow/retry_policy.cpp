#include "runtime/flow/retry_policy.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

retry_policy::retry_policy(retry_policy_config config)
  : config_(config), budget_(config.budget), invited_(config.invited) {
  SKEP_ASSERT(config.attempts_max > 0 && config.paced_attempts_max > 0);
  SKEP_ASSERT(config.wait_max >= duration::zero() && config.retry_after_spread >= 0.0);
}

retry_state retry_policy::begin(time_point now) {
  budget_.on_request(now);
  invited_.on_request(now);
  return {1, 1, duration::zero(), backoff{config_.backoff}};
}

std::optional<duration> retry_policy::next(retry_state& call, retry_class why, duration retry_after,
                                           time_point deadline, time_point now, rng& random) {
  if (why == retry_class::never)
    return std::nullopt;
  const auto pause = wait(call, why, retry_after, random);
  const bool invited = why == retry_class::paced && retry_after > duration::zero();
  auto& budget = invited ? invited_ : budget_;
  // The budget comes last: a call that stops for a reason of its own must not spend others' share.
  if (exhausted(call, why, pause, deadline, now) || !budget.try_retry(now))
    return std::nullopt;
  call.waited += pause;
  ++(why == retry_class::counted ? call.attempts : call.paced_attempts);
  return pause;
}

duration retry_policy::wait(retry_state& call, retry_class why, duration retry_after,
                            rng& random) const {
  const auto pause = call.backoff.next(random);
  if (retry_after > duration::zero()) {
    const auto share = static_cast<double>(retry_after.count()) * config_.retry_after_spread;
    const auto reach
      = std::max(static_cast<double>(config_.backoff.initial.count()), share) * random.uniform();
    return retry_after + duration{static_cast<duration::rep>(reach)};
  }
  return why == retry_class::paced ? std::max(pause, config_.backoff.initial) : pause;
}

bool retry_policy::exhausted(const retry_state& call, retry_class why, duration wait,
                             time_point deadline, time_point now) const {
  const auto too_often = why == retry_class::counted
                           ? call.attempts >= config_.attempts_max
                           : call.paced_attempts >= config_.paced_attempts_max;
  return too_often || call.waited + wait > config_.wait_max || deadline - now <= 2 * wait;
}

} // namespace skep::flow
