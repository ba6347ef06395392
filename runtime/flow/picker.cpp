#include "runtime/flow/picker.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace skep::flow {

namespace {

constexpr std::uint32_t slots_limit = 0xffff; // A slot index has 16 bits in a table entry.

constexpr std::uint64_t entry(std::uint32_t threshold, std::uint32_t own, std::uint32_t alias) {
  return std::uint64_t{threshold} << 32 | std::uint64_t{own} << 16 | alias;
}

constexpr std::uint32_t own_of(std::uint64_t e) {
  return static_cast<std::uint32_t>(e >> 16 & 0xffff);
}

constexpr std::uint32_t alias_of(std::uint64_t e) {
  return static_cast<std::uint32_t>(e & 0xffff);
}

/// A probability in [0, 1] as 32 bits; 1 becomes the largest, off by 2^-32.
std::uint32_t to_threshold(double p) {
  return static_cast<std::uint32_t>(std::clamp(p, 0.0, 1.0) * 4294967295.0);
}

} // namespace

picker::picker(picker_config config)
  : config_(config), slots_(std::make_unique<worker_slot[]>(config.slots_max)),
    table_(std::make_unique<std::atomic<std::uint64_t>[]>(config.slots_max)) {
  SKEP_ASSERT(config.slots_max > 0 && config.slots_max <= slots_limit);
  live_.reserve(config.slots_max);
  share_.reserve(config.slots_max);
  small_.reserve(config.slots_max);
  large_.reserve(config.slots_max);
}

std::optional<picker::slot_index> picker::take(rng& random) noexcept {
  auto size = table_size_.load(std::memory_order_acquire);
  if (size == 0)
    return std::nullopt;
  auto first = draw(random, size);
  auto second = draw(random, size);
  if (first == second)
    second = other_than(first, random.below(size), size);
  if (better(second, first))
    std::swap(first, second);
  if (take_slot(first))
    return first;
  if (take_slot(second))
    return second;
  return scan(random.below(size), size);
}

picker::slot_index picker::draw(rng& random, std::uint32_t table_size) const noexcept {
  auto bits = random();
  auto index = static_cast<std::uint32_t>((bits >> 32) * table_size >> 32);
  auto e = table_[index].load(std::memory_order_acquire);
  return static_cast<std::uint32_t>(bits) <= e >> 32 ? own_of(e) : alias_of(e);
}

picker::slot_index picker::other_than(slot_index slot, std::uint32_t at,
                                      std::uint32_t table_size) const noexcept {
  auto found = own_of(table_[at].load(std::memory_order_acquire));
  if (found != slot)
    return found;
  return own_of(table_[(at + 1) % table_size].load(std::memory_order_acquire));
}

bool picker::better(slot_index second, slot_index first) const noexcept {
  const auto& a = slots_[first];
  const auto& b = slots_[second];
  std::uint64_t inflight_a = a.inflight.load(std::memory_order_relaxed);
  std::uint64_t inflight_b = b.inflight.load(std::memory_order_relaxed);
  if (inflight_a == 0 && inflight_b == 0)
    return false;
  // (b + 1) / weight_b < (a + 1) / weight_a, without the divisions.
  return (inflight_b + 1) * a.weight.load(std::memory_order_relaxed)
         < (inflight_a + 1) * b.weight.load(std::memory_order_relaxed);
}

bool picker::take_slot(slot_index slot) noexcept {
  auto& s = slots_[slot];
  if (!s.enabled.load(std::memory_order_relaxed))
    return false;
  auto count = s.inflight.load(std::memory_order_relaxed);
  do {
    if (count >= s.inflight_max.load(std::memory_order_relaxed))
      return false;
  } while (!s.inflight.compare_exchange_weak(count, count + 1, std::memory_order_seq_cst,
                                             std::memory_order_relaxed));
  // remove stores `enabled` before add reads `inflight`; we wrote `inflight` before we read
  // `enabled`. So either we see the removal, or add sees us and leaves the slot alone.
  if (s.enabled.load(std::memory_order_seq_cst))
    return true;
  release(slot);
  return false;
}

void picker::release(slot_index slot) noexcept {
  auto before = slots_[slot].inflight.fetch_sub(1, std::memory_order_release);
  SKEP_ASSERT(before > 0);
}

std::optional<picker::slot_index> picker::scan(std::uint32_t from,
                                               std::uint32_t table_size) noexcept {
  auto steps = std::min(table_size, config_.scan_max);
  for (std::uint32_t i = 0; i < steps; ++i) {
    auto slot = own_of(table_[(from + i) % table_size].load(std::memory_order_acquire));
    if (take_slot(slot))
      return slot;
  }
  return std::nullopt;
}

std::optional<picker::slot_index> picker::add(std::uint32_t weight, std::uint32_t inflight_max) {
  std::lock_guard lock{writers_};
  for (slot_index i = 0; i < config_.slots_max; ++i) {
    auto& s = slots_[i];
    if (s.used || s.inflight.load(std::memory_order_seq_cst) != 0)
      continue;
    s.used = true;
    s.weight.store(std::max(weight, 1u), std::memory_order_relaxed);
    s.inflight_max.store(inflight_max, std::memory_order_relaxed);
    return i;
  }
  return std::nullopt;
}

void picker::enable(slot_index slot, bool on) {
  std::lock_guard lock{writers_};
  SKEP_ASSERT(slot < config_.slots_max && slots_[slot].used);
  slots_[slot].enabled.store(on, std::memory_order_seq_cst);
  rebuild();
}

void picker::set_weight(slot_index slot, std::uint32_t weight) {
  std::lock_guard lock{writers_};
  SKEP_ASSERT(slot < config_.slots_max && slots_[slot].used);
  slots_[slot].weight.store(std::max(weight, 1u), std::memory_order_relaxed);
  rebuild();
}

void picker::set_inflight_max(slot_index slot, std::uint32_t inflight_max) {
  std::lock_guard lock{writers_};
  SKEP_ASSERT(slot < config_.slots_max && slots_[slot].used);
  slots_[slot].inflight_max.store(inflight_max, std::memory_order_relaxed);
}

void picker::remove(slot_index slot) {
  std::lock_guard lock{writers_};
  SKEP_ASSERT(slot < config_.slots_max && slots_[slot].used);
  slots_[slot].enabled.store(false, std::memory_order_seq_cst);
  slots_[slot].used = false;
  rebuild();
}

/// Vose's alias method over the enabled slots. Holds writers_.
void picker::rebuild() {
  live_.clear();
  double total = 0;
  for (slot_index i = 0; i < config_.slots_max; ++i) {
    if (!slots_[i].enabled.load(std::memory_order_relaxed))
      continue;
    live_.push_back(i);
    total += slots_[i].weight.load(std::memory_order_relaxed);
  }
  auto size = static_cast<std::uint32_t>(live_.size());
  share_.resize(size);
  small_.clear();
  large_.clear();
  for (std::uint32_t i = 0; i < size; ++i) {
    share_[i] = slots_[live_[i]].weight.load(std::memory_order_relaxed) * size / total;
    (share_[i] < 1.0 ? small_ : large_).push_back(i);
  }
  while (!small_.empty() && !large_.empty()) {
    auto poor = small_.back();
    auto rich = large_.back();
    small_.pop_back();
    table_[poor].store(entry(to_threshold(share_[poor]), live_[poor], live_[rich]),
                       std::memory_order_release);
    share_[rich] -= 1.0 - share_[poor];
    if (share_[rich] < 1.0) {
      large_.pop_back();
      small_.push_back(rich);
    }
  }
  // Rounding leaves some over on either side; they are whole.
  for (const auto* rest : {&small_, &large_})
    for (auto i : *rest)
      table_[i].store(entry(to_threshold(1.0), live_[i], live_[i]), std::memory_order_release);
  table_size_.store(size, std::memory_order_release);
}

} // namespace skep::flow
