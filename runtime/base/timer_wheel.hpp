#pragma once

// tidy: allow size, one template

#include "runtime/base/clock.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace skep {

/// Names a timer of one wheel; never 0, and not reused once the timer fired or was cancelled.
using timer_id = std::uint64_t;

/// Many timers, each cheap: a hierarchical timing wheel (Varghese and Lauck, 1987), four levels of
/// 64 slots. Adding and cancelling are O(1); a timer moves down a level at most three times before
/// it fires. Timers never fire before their deadline and up to one tick after it; further out than
/// the wheel reaches (4.6 hours at 1 ms) they are looked at again on the way. Not thread-safe.
template <class T>
class timer_wheel {
public:
  timer_wheel(time_point start, duration tick) : start_(start), tick_(tick) {
    for (auto& level : slots_)
      level.fill(none);
  }

  timer_id add(time_point deadline, T payload) {
    const auto index = take_node();
    auto& added = nodes_[index];
    added.due = std::max(ticks_until(deadline), now_ + 1);
    added.payload = std::move(payload);
    link(index);
    ++size_;
    return id_of(index);
  }

  /// False when it fired or was cancelled already.
  bool cancel(timer_id id) {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= nodes_.size() || nodes_[index].generation != id >> 32 || !nodes_[index].armed)
      return false;
    unlink(index);
    release(index);
    return true;
  }

  /// Fires every timer whose deadline is at or before `now`, earlier ticks first. `fn(T&)` may add
  /// and cancel timers.
  template <class F>
  void advance(time_point now, F fn) {
    const auto target
      = static_cast<std::uint64_t>(std::max<duration::rep>(0, (now - start_) / tick_));
    while (now_ < target) {
      if (size_ == 0) {
        now_ = target;
        return;
      }
      now_ = std::min(target, next_stop());
      cascade();
      fire_slot(fn);
    }
  }

  /// No timer fires before this; nothing when there is none.
  std::optional<time_point> next() const {
    if (size_ == 0)
      return std::nullopt;
    return start_ + tick_ * static_cast<duration::rep>(next_stop());
  }

  std::size_t size() const {
    return size_;
  }

  /// Makes place for so many timers at once, in one allocation.
  void reserve(std::size_t timers) {
    nodes_.reserve(timers);
  }

private:
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned levels = 4;
  static constexpr std::uint64_t slots_per_level = 1u << level_bits;
  // A slot short of one full turn of the coarsest level.
  static constexpr std::uint64_t reach = (std::uint64_t{1} << (level_bits * levels))
                                         - (std::uint64_t{1} << (level_bits * (levels - 1)));
  static constexpr std::uint32_t none = 0xffff'ffff;

  struct node {
    T payload{};
    std::uint64_t due = 0; // In ticks since start_.
    std::uint32_t next = none;
    std::uint32_t previous = none;
    std::uint32_t generation = 1;
    std::uint16_t slot = 0; // level * slots_per_level + slot.
    bool armed = false;
  };

public:
  /// Memory of a timer that place was made for.
  static constexpr std::size_t bytes_per_timer = sizeof(node);

private:
  std::uint64_t ticks_until(time_point deadline) const {
    if (deadline <= start_)
      return 0;
    const auto span = deadline - start_;
    // Rounded up, so that nothing fires early.
    return static_cast<std::uint64_t>(span / tick_ + (span % tick_ != duration::zero() ? 1 : 0));
  }

  timer_id id_of(std::uint32_t index) const {
    return std::uint64_t{nodes_[index].generation} << 32 | index;
  }

  std::uint32_t take_node() {
    if (free_ == none) {
      nodes_.emplace_back();
      return static_cast<std::uint32_t>(nodes_.size() - 1);
    }
    const auto index = free_;
    free_ = nodes_[index].next;
    return index;
  }

  void release(std::uint32_t index) {
    auto& gone = nodes_[index];
    gone.payload = T{};
    if (++gone.generation == 0)
      gone.generation = 1;
    gone.next = free_;
    free_ = index;
    --size_;
  }

  /// The slot a tick falls in, seen from now: the finest level whose horizon it lies within.
  std::uint16_t slot_of(std::uint64_t due) const {
    // Too far for the wheel: looked at again when its coarsest slot begins.
    const auto seen = std::min(due, now_ + reach);
    for (unsigned level = 0; level + 1 < levels; ++level)
      if (seen >> (level_bits * (level + 1)) == now_ >> (level_bits * (level + 1)))
        return slot_at(level, seen);
    return slot_at(levels - 1, seen);
  }

  static std::uint16_t slot_at(unsigned level, std::uint64_t tick) {
    return static_cast<std::uint16_t>(level * slots_per_level
                                      + ((tick >> (level_bits * level)) & (slots_per_level - 1)));
  }

  std::uint32_t& head(std::uint16_t slot) {
    return slots_[slot / slots_per_level][slot % slots_per_level];
  }

  void link(std::uint32_t index) {
    auto& added = nodes_[index];
    added.slot = slot_of(added.due);
    added.armed = true;
    added.previous = none;
    auto& first = head(added.slot);
    added.next = first;
    if (first != none)
      nodes_[first].previous = index;
    first = index;
    ++counts_[added.slot / slots_per_level];
  }

  void unlink(std::uint32_t index) {
    auto& gone = nodes_[index];
    if (gone.previous != none)
      nodes_[gone.previous].next = gone.next;
    else
      head(gone.slot) = gone.next;
    if (gone.next != none)
      nodes_[gone.next].previous = gone.previous;
    gone.armed = false;
    --counts_[gone.slot / slots_per_level];
  }

  /// The next tick at which something fires or moves down a level.
  std::uint64_t next_stop() const {
    auto best = ~std::uint64_t{0};
    for (unsigned level = 0; level < levels; ++level) {
      if (counts_[level] == 0)
        continue;
      const auto shift = level_bits * level;
      const auto current = now_ >> shift;
      for (std::uint64_t ahead = 1; ahead <= slots_per_level; ++ahead) {
        if (slots_[level][(current + ahead) & (slots_per_level - 1)] == none)
          continue;
        best = std::min(best, (current + ahead) << shift);
        break;
      }
    }
    return best;
  }

  /// Timers of the coarser slots that begin now move to where they are due.
  void cascade() {
    for (unsigned level = levels - 1; level > 0; --level) {
      if ((now_ & ((std::uint64_t{1} << (level_bits * level)) - 1)) != 0)
        continue;
      auto index = std::exchange(head(slot_at(level, now_)), none);
      while (index != none) {
        const auto next = nodes_[index].next;
        --counts_[level];
        link(index);
        index = next;
      }
    }
  }

  template <class F>
  void fire_slot(F& fn) {
    const auto slot = slot_at(0, now_);
    while (head(slot) != none && nodes_[head(slot)].due <= now_) {
      const auto index = head(slot);
      unlink(index);
      auto payload = std::move(nodes_[index].payload);
      release(index);
      fn(payload);
    }
  }

  const time_point start_;
  const duration tick_;
  std::uint64_t now_ = 0;
  std::size_t size_ = 0;
  std::vector<node> nodes_;
  std::uint32_t free_ = none;
  std::array<std::array<std::uint32_t, slots_per_level>, levels> slots_{};
  std::array<std::size_t, levels> counts_{};
};

} // namespace skep
