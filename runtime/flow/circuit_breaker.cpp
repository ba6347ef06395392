#include "runtime/flow/circuit_breaker.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

circuit_breaker::circuit_breaker(breaker_config config)
  : config_(config), window_successes_(config.rate_window, config.rate_buckets),
    window_failures_(config.rate_window, config.rate_buckets) {
  SKEP_ASSERT(config.failures_max > 0 && config.permits_max > 0 && config.successes_min > 0);
  SKEP_ASSERT(config.open_min > duration::zero() && config.open_max >= config.open_min);
  SKEP_ASSERT(config.permit_ttl > duration::zero());
  leases_.reserve(config.permits_max); // So that admission never allocates.
}

admission circuit_breaker::acquire(time_point now) {
  advance(now);
  auto wait = retry_after(now);
  if (wait > duration::zero()) {
    ++counts_.refusals;
    return {false, false, era_, wait};
  }
  if (state_ == breaker_state::closed)
    return {true, false, era_, {}};
  leases_.push_back({++last_ticket_, now + config_.permit_ttl});
  return {true, true, last_ticket_, {}};
}

/// True for calls admitted since the last change of state. The difference survives the wrap of the
/// sequence, as long as a call does not outlive four thousand million others.
bool circuit_breaker::of_this_state(std::uint32_t ticket) const {
  return ticket - era_ <= last_ticket_ - era_;
}

void circuit_breaker::settle(const admission& call, breaker_outcome outcome, time_point now,
                             duration retry_after_hint) {
  if (!call.granted || !of_this_state(call.ticket))
    return;
  advance(now);
  if (state_ == breaker_state::closed) {
    settle_closed(outcome, now, retry_after_hint);
    return;
  }
  drop_lease(call.ticket);
  settle_probe(outcome, now, retry_after_hint);
}

void circuit_breaker::settle_closed(breaker_outcome outcome, time_point now, duration hint) {
  switch (outcome) {
    case breaker_outcome::ignored: return;
    case breaker_outcome::success:
      failures_ = 0;
      hint_until_ = {};
      window_successes_.add(now);
      return;
    case breaker_outcome::failure:
    case breaker_outcome::overloaded:
      failures_ += outcome == breaker_outcome::failure;
      note_hint(now, hint);
      window_failures_.add(now);
      // Only a failure trips, so the rate is summed up on failures only.
      if (failures_ >= config_.failures_max || rate_tripped(now))
        trip(now);
      return;
  }
}

void circuit_breaker::settle_probe(breaker_outcome outcome, time_point now, duration hint) {
  switch (outcome) {
    case breaker_outcome::ignored: return;
    case breaker_outcome::success:
      if (++probed_ >= config_.successes_min) {
        enter(breaker_state::closed);
        reopened_ = 0;
      }
      return;
    case breaker_outcome::failure:
    case breaker_outcome::overloaded:
      note_hint(now, hint);
      trip(now);
      return;
  }
}

void circuit_breaker::note_hint(time_point now, duration hint) {
  if (hint > duration::zero())
    hint_until_ = std::max(hint_until_, now + std::min(hint, config_.retry_after_max));
}

bool circuit_breaker::rate_tripped(time_point now) const {
  auto bad = window_failures_.total(now);
  auto all = bad + window_successes_.total(now);
  return all >= config_.rate_samples_min
         && static_cast<double>(bad) >= config_.failure_rate_max * static_cast<double>(all);
}

duration circuit_breaker::open_time() const {
  auto time = config_.open_min;
  for (auto n = reopened_; n > 0 && time < config_.open_max; --n)
    time *= 2;
  return std::min(time, config_.open_max);
}

void circuit_breaker::trip(time_point now) {
  ++counts_.trips;
  open_until_ = std::max(now + open_time(), hint_until_);
  ++reopened_;
  enter(breaker_state::open);
}

/// Every state begins with nothing left over from the one before.
void circuit_breaker::enter(breaker_state next) {
  state_ = next;
  era_ = ++last_ticket_;
  failures_ = 0;
  probed_ = 0;
  hint_until_ = {};
  leases_.clear();
  window_successes_.clear();
  window_failures_.clear();
}

/// Does what the passing of time alone does: ends the open time, frees expired permits.
void circuit_breaker::advance(time_point now) {
  if (state_ == breaker_state::open && now >= open_until_)
    enter(breaker_state::half_open);
  counts_.permits_expired
    += std::erase_if(leases_, [now](const lease& l) { return l.expires <= now; });
}

void circuit_breaker::drop_lease(std::uint32_t ticket) {
  std::erase_if(leases_, [ticket](const lease& l) { return l.ticket == ticket; });
}

breaker_state circuit_breaker::state(time_point now) const {
  if (state_ == breaker_state::open && now >= open_until_)
    return breaker_state::half_open;
  return state_;
}

std::uint32_t circuit_breaker::permits_inflight(time_point now) const {
  auto live = std::count_if(leases_.begin(), leases_.end(),
                            [now](const lease& l) { return l.expires > now; });
  return static_cast<std::uint32_t>(live);
}

duration circuit_breaker::retry_after(time_point now) const {
  if (state_ == breaker_state::closed)
    return {};
  if (state_ == breaker_state::open)
    return std::max(open_until_ - now, duration::zero());
  if (permits_inflight(now) < config_.permits_max)
    return {};
  // A probe usually reports long before its lease ends, so nobody is sent away for longer than the
  // shortest open time.
  auto wait = config_.open_min;
  for (const auto& l : leases_)
    if (l.expires > now)
      wait = std::min(wait, l.expires - now);
  return wait;
}

std::vector<std::int64_t> circuit_breaker::fingerprint(time_point now) const {
  auto left = [now](time_point until) { return std::max<std::int64_t>(0, (until - now).count()); };
  std::vector<std::int64_t> out{static_cast<std::int64_t>(state(now)),
                                failures_,
                                probed_,
                                open_time().count(), // Tells exponents apart as far as they matter.
                                state_ == breaker_state::open ? left(open_until_) : 0,
                                left(hint_until_)};
  for (const auto& l : leases_)
    if (l.expires > now)
      out.push_back(left(l.expires));
  out.push_back(-1); // Ends the list of leases.
  window_successes_.append_fingerprint(out, now);
  window_failures_.append_fingerprint(out, now);
  return out;
}

} // namespace skep::flow
