#include "tests/sim/overload_sim.hpp"

#include <algorithm>
#include <cmath>

namespace skep::test {

namespace {

constexpr duration quick_answer = 5ms; // What a refusal or an error takes.

duration seconds_of(double s) {
  return duration{static_cast<duration::rep>(s * 1e9)};
}

/// As the connector judges them.
flow::retry_class class_of(errc why) {
  if (why == errc::rate_limited)
    return flow::retry_class::paced;
  return why == errc::quota_exhausted ? flow::retry_class::never : flow::retry_class::counted;
}

} // namespace

overload_sim::overload_sim(const overload_rules& rules)
  : rules_(rules), random_(rules.seed), gate_(rules.gate), retry_(rules.retry) {
  result_.limit_least = result_.limit_most = gate_.limit();
  result_.good_by_second.resize(
    static_cast<std::size_t>(std::chrono::ceil<std::chrono::seconds>(rules.length).count()) + 1);
}

void overload_sim::after(duration wait, std::function<void()> what) {
  events_.push({now_ + wait, ++order_, std::move(what)});
}

void overload_sim::at(duration when, upstream_mood mood) {
  after(when, [this, mood] { mood_ = mood; });
}

void overload_sim::offer_at(duration when, double calls_per_second) {
  after(when, [this, calls_per_second] { rules_.offered = calls_per_second; });
}

duration overload_sim::exponential(double mean_seconds) {
  return seconds_of(-std::log(1.0 - random_.uniform()) * mean_seconds);
}

/// Lognormal with the mean of the rules; Box and Muller make the normal number.
duration overload_sim::service_time() {
  const auto sigma = rules_.upstream.service_sigma;
  const auto normal = std::sqrt(-2.0 * std::log(1.0 - random_.uniform()))
                      * std::cos(2.0 * 3.14159265358979 * random_.uniform());
  const auto mean = std::chrono::duration<double>(rules_.upstream.service_mean).count();
  return seconds_of(mean * std::exp(sigma * normal - sigma * sigma / 2.0));
}

overload_result overload_sim::run() {
  after(exponential(1.0 / rules_.offered), [this] { arrive(); });
  while (!events_.empty() && events_.top().at - start_ < rules_.length) {
    auto next = events_.top();
    events_.pop();
    now_ = next.at;
    next.what();
    if (counted()) {
      result_.limit_least = std::min(result_.limit_least, gate_.limit());
      result_.limit_most = std::max(result_.limit_most, gate_.limit());
    } else {
      result_.limit_least = result_.limit_most = gate_.limit();
    }
  }
  result_.trips = gate_.breaker().counts().trips;
  return result_;
}

void overload_sim::arrive() {
  after(exponential(1.0 / rules_.offered), [this] { arrive(); });
  result_.calls += counted();
  call made;
  made.deadline = now_ + rules_.patience;
  if (rules_.policy) {
    const auto answer = gate_.acquire(made.deadline, now_);
    if (!answer.admitted()) {
      result_.refused[static_cast<std::size_t>(answer.refused_by)] += counted();
      return;
    }
    made.ticket = answer.ticket;
    made.retry = retry_.begin(now_);
  }
  result_.admitted += counted();
  const auto id = ++last_call_;
  calls_.emplace(id, made);
  after(rules_.patience, [this, id] {
    if (calls_.contains(id))
      end(id, errc::deadline_exceeded, {}, {});
  });
  attempt(id);
}

void overload_sim::attempt(std::uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end())
    return; // Its deadline passed while it waited.
  auto& c = found->second;
  const auto n = ++c.attempts;
  c.attempt_began = now_;
  result_.attempts += counted();
  if (mood_.silent)
    return;
  if (random_.uniform() < mood_.failing)
    after(quick_answer, [this, id, n, why = mood_.failure] { answer(id, n, why); });
  else
    serve_or_queue(id);
}

void overload_sim::serve_or_queue(std::uint64_t id) {
  const auto n = calls_.at(id).attempts;
  const auto& rules = rules_.upstream;
  if (rules.rate_max > 0.0) {
    // A bucket of one second.
    const auto passed = std::chrono::duration<double>(now_ - tokens_at_).count();
    tokens_ = std::min(rules.rate_max, tokens_ + passed * rules.rate_max);
    tokens_at_ = now_;
    if (tokens_ < 1.0) {
      after(quick_answer, [this, id, n] { answer(id, n, errc::rate_limited, 1s); });
      return;
    }
    tokens_ -= 1.0;
  }
  if (busy_ < rules.places)
    serve(id, n);
  else if (queue_.size() < rules.queue_max)
    queue_.emplace_back(id, n);
  else
    after(quick_answer, [this, id, n] { answer(id, n, errc::provider_overloaded); });
}

void overload_sim::serve(std::uint64_t id, int attempt) {
  ++busy_;
  after(service_time(), [this, id, attempt] {
    --busy_;
    if (!queue_.empty()) {
      const auto [next, of] = queue_.front();
      queue_.pop_front();
      serve(next, of);
    }
    answer(id, attempt, errc::none);
  });
}

void overload_sim::answer(std::uint64_t id, int attempt, errc how, duration retry_after) {
  const auto found = calls_.find(id);
  if (found == calls_.end() || found->second.attempts != attempt)
    return; // Nobody waits for it any more.
  if (how == errc::none)
    end(id, how, {}, now_ - found->second.attempt_began);
  else
    fail(id, how, retry_after);
}

void overload_sim::fail(std::uint64_t id, errc why, duration retry_after) {
  auto& c = calls_.at(id);
  auto wait = std::optional<duration>{duration::zero()};
  if (rules_.policy)
    wait = retry_.next(c.retry, class_of(why), retry_after, c.deadline, now_, random_);
  else if (c.attempts >= 3)
    wait.reset();
  if (wait)
    after(*wait, [this, id] { attempt(id); });
  else
    end(id, why, retry_after, {});
}

void overload_sim::end(std::uint64_t id, errc how, duration retry_after, duration latency) {
  const auto found = calls_.find(id);
  if (rules_.policy)
    gate_.settle(found->second.ticket, {how, retry_after, latency}, now_);
  calls_.erase(found);
  const auto second = std::chrono::floor<std::chrono::seconds>(now_ - start_).count();
  if (how == errc::none)
    ++result_.good_by_second[static_cast<std::size_t>(second)];
  result_.good += counted() && how == errc::none;
  result_.late += counted() && how == errc::deadline_exceeded;
  result_.failed += counted() && how != errc::none && how != errc::deadline_exceeded;
}

} // namespace skep::test
