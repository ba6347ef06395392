#include "runtime/cluster/failure_detector.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cmath>

namespace skep::rt {

namespace {

using ms = std::chrono::duration<double, std::milli>;

/// Ticks may come this many beat intervals apart and still count as on time.
constexpr int tick_slack = 2;
/// Over how long health is an average. After 5 s of sleep it is at 0.43, and back above 0.9 about
/// 9 s later.
constexpr duration health_window = 5s;
/// How many times pause_max an observer without any health forgives more.
constexpr double ill_factor = 4.0;
/// The top of the scale: what the normal distribution can no longer tell apart.
constexpr double phi_top = 100.0;

double count_ms(duration d) {
  return ms{d}.count();
}

} // namespace

failure_detector::failure_detector(failure_detector_config config) : config_(config) {
  SKEP_ASSERT(config.beat_interval > duration::zero() && config.phi_max > 0.0);
  SKEP_ASSERT(config.deviation_min > duration::zero() && config.pause_max >= duration::zero());
  config_.silence_max = std::max(config.silence_max, 2 * (config.beat_interval + config.pause_max));
}

void failure_detector::watch(const std::string& peer, time_point now) {
  history fresh;
  fresh.heard = now;
  fresh.last = awake(now);
  peers_.insert_or_assign(peer, fresh);
}

void failure_detector::forget(const std::string& peer) {
  peers_.erase(peer);
}

void failure_detector::heard(const std::string& peer, time_point at) {
  const auto entry = peers_.find(peer);
  if (entry == peers_.end() || at <= entry->second.heard)
    return;
  auto& h = entry->second;
  const auto when = std::max(awake(at), h.last);
  const auto gap = std::min(when - h.last, config_.silence_max);
  h.gaps_ms[h.count++ % gaps_max] = static_cast<float>(count_ms(gap));
  h.heard = at;
  h.last = when;
}

void failure_detector::tick(time_point now) {
  if (!ticked_) {
    ticked_ = true;
    before_ = last_ = {now, now};
    return;
  }
  if (now <= last_.real)
    return;
  const auto gap = now - last_.real;
  const auto ran = awake(now) - last_.awake;
  const double keep = std::exp(-count_ms(gap) / count_ms(health_window));
  health_ = keep * health_ + (1.0 - keep) * (count_ms(ran) / count_ms(gap));
  before_ = last_;
  last_ = {now, last_.awake + ran};
}

time_point failure_detector::awake(time_point at) const {
  if (!ticked_)
    return at;
  const duration on_time = tick_slack * config_.beat_interval;
  // What was heard during the last tick's gap may be told after that tick.
  const auto& since = at >= last_.real ? last_ : before_;
  return since.awake + std::min(at - since.real, on_time);
}

double failure_detector::phi_of(const history& h, time_point now) const {
  // The promise is a beat every interval: the history may only say that beats are slower. It counts
  // as one gap of that length before there is any.
  const double prior = count_ms(config_.beat_interval);
  const auto kept = std::min(h.count, gaps_max);
  double sum = prior;
  double squares = prior * prior;
  for (std::size_t i = 0; i < kept; ++i) {
    const double gap = h.gaps_ms[i];
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(kept + 1);
  const double mean = sum / n;
  const double variance = std::max(0.0, squares / n - mean * mean);
  const double deviation = std::max(std::sqrt(variance), count_ms(config_.deviation_min));

  const double silence = count_ms(awake(now) - h.last);
  const double extra = count_ms(config_.pause_max) * ill_factor * (1.0 - health_);
  if (silence > count_ms(config_.silence_max) + extra)
    return phi_top;
  const double explained = std::max(mean, prior) + count_ms(config_.pause_max) + extra;
  // The chance that a beat comes later than this, as the negative power of ten.
  const double chance = 0.5 * std::erfc((silence - explained) / (deviation * std::sqrt(2.0)));
  if (chance <= 0.0)
    return phi_top;
  return chance < 1.0 ? std::min(-std::log10(chance), phi_top) : 0.0;
}

double failure_detector::phi(const std::string& peer, time_point now) const {
  const auto entry = peers_.find(peer);
  return entry != peers_.end() ? phi_of(entry->second, now) : 0.0;
}

std::vector<std::string> failure_detector::lost(time_point now) const {
  std::vector<std::string> out;
  for (const auto& [name, h] : peers_)
    if (phi_of(h, now) > config_.phi_max)
      out.push_back(name);
  return out;
}

double failure_detector::health() const {
  return health_;
}

} // namespace skep::rt
