#include "runtime/flow/pool_sizer.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace skep::flow {

namespace {

/// The most that shrink_after is stretched for a load on the edge.
constexpr int patience_factor_max = 32;

double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}

} // namespace

std::string_view to_string(resize_reason why) noexcept {
  switch (why) {
    case resize_reason::busy: return "busy";
    case resize_reason::waiting: return "waiting";
    case resize_reason::idle: return "idle";
  }
  return "unknown";
}

pool_sizer::pool_sizer(const pool_sizer_config& config)
  : config_(config), size_(std::min(config.size_min, config.size_max)),
    patience_(config.shrink_after) {
  SKEP_ASSERT(config.size_min > 0 && config.size_max > 0 && config.growth_factor > 1);
  SKEP_ASSERT(config.window > duration::zero() && config.shrink_after > duration::zero());
  SKEP_ASSERT(config.shrink_below * config.growth_factor < config.grow_above);
}

std::optional<resize> pool_sizer::observe(time_point now, double demand, bool waiting) {
  move_average(now);
  demand_ = demand;
  waiting_ = waiting;
  auto changed = grow(now);
  return changed ? changed : shrink(now);
}

std::optional<resize> pool_sizer::check(time_point now) {
  return observe(now, demand_, waiting_);
}

/// The demand was constant since the last call, so the average came nearer to it by e^(-t/window).
void pool_sizer::move_average(time_point now) {
  if (at_ && now > *at_)
    average_
      = demand_ + (average_ - demand_) * std::exp(-seconds(now - *at_) / seconds(config_.window));
  // A caller that read its clock a little earlier than the one before changes nothing.
  at_ = at_ ? std::max(*at_, now) : now;
}

std::optional<resize> pool_sizer::grow(time_point now) {
  const bool settled = !grown_at_ || now - *grown_at_ >= config_.window;
  if (size_ >= config_.size_max || (!waiting_ && !settled))
    return std::nullopt;
  std::uint32_t to = size_;
  while (to < config_.size_max && average_ > config_.grow_above * to) {
    const auto step = std::ceil(to * config_.growth_factor);
    to = static_cast<std::uint32_t>(std::clamp<double>(step, to + 1.0, config_.size_max));
    if (!waiting_ || demand_ <= to)
      break;
  }
  if (to == size_)
    return std::nullopt;
  if (std::exchange(shrunk_last_, false))
    patience_ = std::min<duration>(patience_ * 2, config_.shrink_after * patience_factor_max);
  grown_at_ = now;
  return resized(now, to, waiting_ ? resize_reason::waiting : resize_reason::busy);
}

std::optional<resize> pool_sizer::shrink(time_point now) {
  watch_low(now);
  if (!low_since_ || now - *low_since_ < patience_ || size_ <= config_.size_min)
    return std::nullopt;
  // What was needed at most must fit with room to spare, which counts for small pools: three
  // quarters of a pool of four are all of a pool of three.
  const auto fits = std::ceil(low_peak_ / (config_.shrink_below * config_.growth_factor));
  const auto step = std::floor(size_ / config_.growth_factor);
  const auto to
    = static_cast<std::uint32_t>(std::max({step, fits, static_cast<double>(config_.size_min)}));
  low_since_ = now;
  low_peak_ = average_;
  if (to >= size_)
    return std::nullopt;
  // Two steps down in a row: the first was right.
  if (std::exchange(shrunk_last_, true))
    patience_ = std::max(config_.shrink_after, patience_ / 2);
  return resized(now, to, resize_reason::idle);
}

void pool_sizer::watch_low(time_point now) {
  if (average_ >= config_.shrink_below * size_) {
    low_since_.reset();
    return;
  }
  if (!low_since_) {
    low_since_ = now;
    low_peak_ = average_;
  }
  low_peak_ = std::max(low_peak_, average_);
}

resize pool_sizer::resized(time_point now, std::uint32_t to, resize_reason why) {
  const resize made{now, size_, to, utilisation(), why};
  size_ = to;
  watch_low(now);
  return made;
}

/// When the average passes `level` on its way to the demand.
std::optional<time_point> pool_sizer::crosses(double level) const {
  const double from = average_ - level;
  const double to = demand_ - level;
  if (from == 0 || from * to >= 0)
    return std::nullopt;
  const double windows = std::log((average_ - demand_) / (level - demand_));
  // A little later, so that rounding does not find it on the line.
  return *at_ + std::chrono::duration_cast<duration>(config_.window * windows) + 1ms;
}

std::optional<time_point> pool_sizer::next() const {
  if (!at_)
    return std::nullopt;
  std::optional<time_point> at;
  const auto sooner = [&at](time_point other) { at = at ? std::min(*at, other) : other; };
  if (size_ < config_.size_max && demand_ > config_.grow_above * size_) {
    if (average_ > config_.grow_above * size_)
      sooner(waiting_ || !grown_at_ ? *at_ + 1ms : std::max(*at_, *grown_at_ + config_.window));
    else if (const auto crossing = crosses(config_.grow_above * size_))
      sooner(*crossing);
  }
  if (size_ > config_.size_min) {
    if (low_since_)
      sooner(*low_since_ + patience_);
    else if (const auto crossing = crosses(config_.shrink_below * size_))
      sooner(*crossing);
  }
  return at;
}

bool pool_sizer::at_rest() const noexcept {
  return demand_ == 0 && size_ <= config_.size_min;
}

} // namespace skep::flow
