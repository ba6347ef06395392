#include "runtime/flow/outlier_detector.hpp"

#include <algorithm>
#include <cmath>

namespace skep::flow {

outlier_detector::outlier_detector(const outlier_config& config, std::size_t members)
  : config_(config), members_(members), tallies_(std::make_unique<tally[]>(members)),
    states_(members) {}

bool outlier_detector::report(std::size_t member, bool ok) noexcept {
  auto& mine = tallies_[member];
  if (ok) {
    mine.ok.fetch_add(1, std::memory_order_relaxed);
    // Read first: a healthy member's line is then written once per call, not twice.
    if (mine.in_a_row.load(std::memory_order_relaxed) != 0)
      mine.in_a_row.store(0, std::memory_order_relaxed);
    return false;
  }
  mine.failed.fetch_add(1, std::memory_order_relaxed);
  const auto row = mine.in_a_row.fetch_add(1, std::memory_order_relaxed) + 1;
  // Again and again, in case the ejection was suppressed the first time.
  return config_.consecutive_failures_max != 0 && row % config_.consecutive_failures_max == 0;
}

std::size_t outlier_detector::usable_without(std::size_t member, const usable_fn& usable) const {
  std::size_t left = 0;
  for (std::size_t n = 0; n < members_; ++n)
    left += n != member && !ejected(n) && usable(n) ? 1u : 0u;
  return left;
}

bool outlier_detector::may_eject(std::size_t member, const usable_fn& usable) const {
  if (members_ < config_.members_min)
    return false;
  const auto all = static_cast<double>(members_);
  const auto ejected_max = std::max(1.0, std::floor(config_.ejected_share_max * all));
  if (static_cast<double>(ejected_count_ + 1) > ejected_max)
    return false;
  const auto left_min = std::max(1.0, config_.healthy_share_min * all);
  return static_cast<double>(usable_without(member, usable)) >= left_min;
}

std::optional<time_point> outlier_detector::try_eject(std::size_t member, ejection_reason why,
                                                      time_point now, const usable_fn& usable) {
  if (ejected(member))
    return std::nullopt;
  if (!may_eject(member, usable)) {
    ++counts_.suppressed;
    return std::nullopt;
  }
  auto& its = states_[member];
  ++its.times;
  its.spared = true;
  its.until = now + std::min<duration>(config_.ejection * its.times, config_.ejection_max);
  ++ejected_count_;
  ++(why == ejection_reason::success_rate ? counts_.success_rate : counts_.consecutive_failures);
  return its.until;
}

/// The success rates of those who had enough calls, and a new beginning for all.
std::vector<outlier_detector::rated> outlier_detector::take_rates() {
  std::vector<rated> rates;
  for (std::size_t n = 0; n < members_; ++n) {
    const auto ok = tallies_[n].ok.exchange(0, std::memory_order_relaxed);
    const auto failed = tallies_[n].failed.exchange(0, std::memory_order_relaxed);
    const auto calls = std::uint64_t{ok} + failed;
    if (!states_[n].spared && calls >= config_.rate_calls_min)
      rates.push_back({n, static_cast<double>(ok) / static_cast<double>(calls)});
  }
  return rates;
}

std::vector<std::size_t> outlier_detector::sweep(time_point now, const usable_fn& usable) {
  auto rates = take_rates();
  for (auto& each : states_) {
    if (!each.until && !each.spared && each.times > 0)
      --each.times;
    each.spared = each.until.has_value();
  }
  std::vector<std::size_t> out;
  if (rates.size() < config_.rate_members_min)
    return out;
  const auto count = static_cast<double>(rates.size());
  double mean = 0;
  for (const auto& each : rates)
    mean += each.rate / count;
  double variance = 0;
  for (const auto& each : rates)
    variance += (each.rate - mean) * (each.rate - mean) / count;
  const auto limit = mean - config_.rate_sigmas * std::sqrt(variance);
  // The worst first, since not all may go.
  std::sort(rates.begin(), rates.end(),
            [](const rated& a, const rated& b) { return a.rate < b.rate; });
  for (const auto& each : rates)
    if (each.rate < limit && try_eject(each.member, ejection_reason::success_rate, now, usable))
      out.push_back(each.member);
  return out;
}

void outlier_detector::return_member(std::size_t member) {
  states_[member].until.reset();
  tallies_[member].in_a_row.store(0, std::memory_order_relaxed);
  --ejected_count_;
}

std::vector<std::size_t> outlier_detector::take_back(time_point now) {
  std::vector<std::size_t> back;
  for (std::size_t n = 0; n < members_; ++n)
    if (states_[n].until && *states_[n].until <= now) {
      return_member(n);
      back.push_back(n);
    }
  return back;
}

std::vector<std::size_t> outlier_detector::take_back_in_panic(const usable_fn& usable) {
  std::vector<std::size_t> back;
  const auto left_min = std::max(1.0, config_.healthy_share_min * static_cast<double>(members_));
  if (ejected_count_ == 0 || static_cast<double>(usable_without(members_, usable)) >= left_min)
    return back;
  for (std::size_t n = 0; n < members_; ++n)
    if (ejected(n)) {
      return_member(n);
      back.push_back(n);
    }
  return back;
}

bool outlier_detector::remembers() const {
  return std::any_of(states_.begin(), states_.end(),
                     [](const state& each) { return each.until || each.times > 0; });
}

std::optional<time_point> outlier_detector::next() const {
  std::optional<time_point> at;
  for (const auto& each : states_)
    if (each.until && (!at || *each.until < *at))
      at = each.until;
  return at;
}

} // namespace skep::flow
