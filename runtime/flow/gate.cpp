#include "runtime/flow/gate.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <limits>

namespace skep::flow {

namespace {

breaker_config quota_rules(const gate_config& from) {
  breaker_config rules;
  rules.failures_max = 1;
  rules.rate_buckets = 1;
  rules.rate_samples_min = std::numeric_limits<std::uint32_t>::max();
  rules.open_min = from.quota_hold;
  rules.open_max = std::max(from.quota_hold, from.quota_hold_max);
  rules.retry_after_max = rules.open_max;
  rules.permits_max = 1;
  rules.permit_ttl = from.breaker.permit_ttl;
  rules.successes_min = 1;
  return rules;
}

/// Only an answer proves that there is quota again: a bad request may be refused before it is
/// asked.
breaker_outcome quota_outcome_of(errc code) {
  if (code == errc::quota_exhausted)
    return breaker_outcome::failure;
  return code == errc::none ? breaker_outcome::success : breaker_outcome::ignored;
}

bool tells_of_overload(errc code) {
  return code == errc::provider_overloaded || code == errc::rate_limited
         || code == errc::deadline_exceeded;
}

admission admission_of(std::uint32_t ticket) {
  admission call;
  call.granted = true;
  call.ticket = ticket;
  return call;
}

gate_standing standing_of(const circuit_breaker& breaker, time_point now) {
  return {breaker.state(now), breaker.counts().trips, breaker.retry_after(now)};
}

} // namespace

breaker_outcome breaker_outcome_of(errc code) {
  switch (code) {
    case errc::none:
    case errc::not_found:
    case errc::cache_miss:
    case errc::bad_request:
    case errc::unauthenticated:
    case errc::forbidden:
    case errc::too_large:
    case errc::unexpected_message:
    case errc::context_overflow:
    case errc::content_filtered:
      return breaker_outcome::success; // It works; the call was at fault.
    case errc::deadline_exceeded:
    case errc::actor_failed:
    case errc::node_down:
    case errc::malformed:
    case errc::transport_failed:
    case errc::provider_failed:
    case errc::provider_auth_failed:
    case errc::stream_cut: return breaker_outcome::failure;
    case errc::provider_overloaded:
    case errc::rate_limited: return breaker_outcome::overloaded;
    case errc::quota_exhausted: // It has a hold of its own.
    case errc::overloaded:
    case errc::circuit_open:
    case errc::unavailable:
    case errc::cancelled:
    case errc::bad_config:
    case errc::shutting_down:
      return breaker_outcome::ignored; // Nothing was asked of it, or nothing was heard.
  }
  return breaker_outcome::ignored;
}

gate::gate(const gate_config& config)
  : config_(config), breaker_(config.breaker), quota_(quota_rules(config)), limit_(config.limit),
    floor_(config.floor_window, config.floor_samples_min) {}

gate_answer gate::acquire(time_point deadline, time_point now) {
  if (auto refused = refuse_early(deadline, now))
    return *refused;
  admission circuit;
  if (config_.use_breaker) {
    circuit = breaker_.acquire(now);
    if (!circuit.granted)
      return {gate_step::circuit, errc::circuit_open, circuit.retry_after, 0};
  }
  // Neither can refuse any more: refuse_early asked them, and nothing happened since.
  admission quota;
  if (config_.use_quota_hold)
    quota = quota_.acquire(now);
  const auto placed = !config_.use_limit || limit_.try_acquire();
  SKEP_ASSERT(quota.granted == config_.use_quota_hold && placed);
  ++in_flight_;
  gate_answer answer;
  answer.ticket = std::uint64_t{quota.ticket} << 32 | circuit.ticket;
  return answer;
}

/// Every step that takes nothing from anybody, in order.
std::optional<gate_answer> gate::refuse_early(time_point deadline, time_point now) {
  if (hopeless(deadline, now))
    return gate_answer{gate_step::deadline, errc::deadline_exceeded, {}, 0};
  if (in_flight_ >= config_.in_flight_max)
    return gate_answer{gate_step::in_flight, errc::overloaded, config_.full_retry_after, 0};
  if (config_.use_limit && !limit_.has_room())
    return gate_answer{gate_step::limit, errc::overloaded, config_.full_retry_after, 0};
  if (const auto hold = quota_hold(now); hold > duration::zero())
    return gate_answer{gate_step::quota, errc::quota_exhausted, hold, 0};
  return std::nullopt;
}

bool gate::hopeless(time_point deadline, time_point now) const {
  if (deadline == time_point::max())
    return false;
  // Neither side is subtracted before it is known to be positive: a deadline may be anything.
  return deadline <= now || deadline - now < std::max(config_.remaining_min, floor_.value(now));
}

void gate::settle(std::uint64_t ticket, const gate_result& result, time_point now) {
  const auto how = result.asked ? result : gate_result{errc::cancelled, {}, {}};
  SKEP_ASSERT(in_flight_ > 0);
  --in_flight_;
  if (config_.use_limit)
    teach_limit(how, now);
  if (how.code == errc::none && how.latency > duration::zero())
    floor_.add(how.latency, now);
  const auto verdict = quota_outcome_of(how.code);
  // What is not in doubt needs no confirmation.
  const auto in_doubt = quota_.state(now) != breaker_state::closed;
  if (config_.use_quota_hold && (in_doubt || verdict == breaker_outcome::failure))
    quota_.settle(admission_of(static_cast<std::uint32_t>(ticket >> 32)), verdict, now,
                  how.retry_after);
  if (config_.use_breaker)
    breaker_.settle(admission_of(static_cast<std::uint32_t>(ticket)), breaker_outcome_of(how.code),
                    now, how.retry_after);
}

void gate::teach_limit(const gate_result& how, time_point now) {
  if (how.code == errc::none && how.latency > duration::zero())
    limit_.on_success(how.latency, now);
  else if (tells_of_overload(how.code))
    limit_.on_overload(now);
  else
    limit_.on_ignored();
}

bool gate::would_admit(time_point now) const {
  return in_flight_ < config_.in_flight_max && (!config_.use_limit || limit_.has_room())
         && quota_hold(now) == duration::zero()
         && (!config_.use_breaker || breaker_.retry_after(now) == duration::zero());
}

std::uint32_t gate::limit() const {
  return config_.use_limit ? std::min(limit_.limit(), config_.in_flight_max)
                           : config_.in_flight_max;
}

duration gate::quota_hold(time_point now) const {
  return config_.use_quota_hold ? quota_.retry_after(now) : duration::zero();
}

gate_standing gate::circuit_standing(time_point now) const {
  return standing_of(breaker_, now);
}

gate_standing gate::quota_standing(time_point now) const {
  return standing_of(quota_, now);
}

std::vector<std::int64_t> gate::fingerprint(time_point now) const {
  auto out = breaker_.fingerprint(now);
  const auto quota = quota_.fingerprint(now);
  out.insert(out.end(), quota.begin(), quota.end());
  out.push_back(in_flight_);
  out.push_back(limit_.inflight());
  return out;
}

} // namespace skep::flow
