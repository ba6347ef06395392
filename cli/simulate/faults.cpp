#include "cli/simulate/faults.hpp"

#include <algorithm>
#include <array>

namespace skep::cli::simulate {

namespace {

constexpr std::array<std::string_view, fault_mode_count> names{
  "none",       "rate_limited",    "rate_limited_tokens", "quota",      "overloaded",   "error_500",
  "error_502",  "error_503",       "slow_loris",          "stall",      "stall_midway", "cut",
  "cut_before", "error_in_stream", "wrong_json",          "huge_chunk", "wrong_type",   "down",
};

std::chrono::milliseconds scaled(std::chrono::milliseconds time, double scale) {
  const auto exact = std::chrono::duration<double, std::milli>{time} * scale;
  return std::chrono::ceil<std::chrono::milliseconds>(exact);
}

} // namespace

std::string_view to_string(fault_mode mode) noexcept {
  return names[static_cast<std::size_t>(mode)];
}

std::optional<fault_mode> fault_named(std::string_view name) noexcept {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return std::nullopt;
  return static_cast<fault_mode>(found - names.begin());
}

fault_book::fault_book(std::vector<fault_rule> plan, std::uint64_t seed, double scale)
  : random_(seed) {
  for (auto& rule : plan) {
    for (auto* time : {&rule.from, &rule.to, &rule.every, &rule.burst})
      *time = scaled(*time, scale);
    plan_.push_back({rule});
  }
}

bool fault_book::active(const entry& e, duration since) {
  const auto& rule = e.rule;
  if (since < rule.from || (rule.to.count() > 0 && since >= rule.to))
    return false;
  if (rule.count > 0 && e.hits >= rule.count)
    return false;
  return rule.every.count() == 0 || (since - rule.from) % duration{rule.every} < rule.burst;
}

fault_book::entry* fault_book::drawn(std::span<entry> among, duration since, double& lot) {
  for (auto& each : among) {
    if (each.rule.mode == fault_mode::down || !active(each, since))
      continue;
    if (lot < each.rule.rate)
      return &each;
    lot -= each.rule.rate;
  }
  return nullptr;
}

misfortune fault_book::next(time_point now) {
  if (!plan_began_)
    plan_began_ = now;
  // One lot per call, whatever rules there are, so that a rule more does not move all the others.
  double lot = random_.uniform();
  auto* hit = drawn(set_, now - set_at_, lot);
  if (hit == nullptr)
    hit = drawn(plan_, now - *plan_began_, lot);
  if (hit == nullptr)
    return {};
  ++hit->hits;
  return {hit->rule.mode, hit->rule.retry_after};
}

void fault_book::set(std::vector<fault_rule> rules, time_point now) {
  set_.clear();
  for (const auto& rule : rules)
    set_.push_back({rule});
  set_at_ = now;
}

bool fault_book::down(time_point now) const {
  const auto says_so = [](std::span<const entry> among, duration since) {
    return std::any_of(among.begin(), among.end(), [since](const entry& each) {
      return each.rule.mode == fault_mode::down && active(each, since);
    });
  };
  return says_so(set_, now - set_at_) || (plan_began_ && says_so(plan_, now - *plan_began_));
}

bool fault_book::may_be_down() const {
  const auto is_down = [](const entry& each) { return each.rule.mode == fault_mode::down; };
  return std::any_of(set_.begin(), set_.end(), is_down)
         || std::any_of(plan_.begin(), plan_.end(), is_down);
}

} // namespace skep::cli::simulate
