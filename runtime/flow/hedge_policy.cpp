#include "runtime/flow/hedge_policy.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace skep::flow {

namespace {

constexpr std::uint32_t budget_buckets = 12;

std::size_t class_of(std::uint64_t size) {
  return (static_cast<std::size_t>(std::bit_width(size)) + 1) / 2;
}

} // namespace

hedge_policy::hedge_policy(hedge_config config)
  : config_(config), budget_({config.budget_ratio, 0, config.budget_window, budget_buckets}) {
  SKEP_ASSERT(config.percentile > 0.0 && config.percentile < 100.0);
  SKEP_ASSERT(config.samples_min > 0 && config.samples_min <= config.samples_max);
}

void hedge_policy::on_call(time_point now) {
  budget_.on_request(now);
}

std::optional<duration> hedge_policy::delay(std::uint64_t size) const {
  const auto& known = by_size_[class_of(size)].latest;
  if (known.size() < config_.samples_min)
    return std::nullopt;
  auto sorted = known;
  // The nearest rank: so many per cent of the samples are at or below it.
  const auto rank = std::ceil(config_.percentile / 100.0 * static_cast<double>(sorted.size()));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(std::max(rank, 1.0)) - 1;
  std::nth_element(sorted.begin(), at, sorted.end());
  return std::max(*at, config_.delay_min);
}

bool hedge_policy::try_hedge(time_point now) {
  return budget_.try_retry(now);
}

void hedge_policy::on_latency(std::uint64_t size, duration latency) {
  auto& known = by_size_[class_of(size)];
  if (known.latest.size() < config_.samples_max) {
    known.latest.push_back(latency);
    return;
  }
  known.latest[known.next] = latency;
  known.next = (known.next + 1) % known.latest.size();
}

} // namespace skep::flow
