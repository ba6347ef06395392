#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/base/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace skep::telemetry {

/// What happened in the last `window`, in a ring of slots that expire by themselves: no timer, no
/// sweep, memory fixed. A Slot starts empty by its default constructor and has `merge(const
/// Slot&)`. The far edge is exact to one slot. Not thread-safe.
template <class Slot>
class window_ring {
public:
  /// The window is at least one tick per slot.
  window_ring(duration window, std::uint32_t slots)
    : width_(window / static_cast<duration::rep>(slots)), slots_(slots) {
    SKEP_ASSERT(slots > 0 && width_ > duration::zero());
  }

  /// The slot of `now`, empty when nothing was put into it yet. A `now` slightly older than the
  /// newest is fine; one older than the window goes into the newest slot.
  Slot& at(time_point now) {
    auto epoch = epoch_of(now);
    if (epoch + static_cast<std::int64_t>(slots_.size()) <= newest_)
      epoch = newest_;
    newest_ = std::max(newest_, epoch);
    auto& slot = slots_[static_cast<std::size_t>(epoch) % slots_.size()];
    if (slot.epoch != epoch)
      slot = entry{epoch, Slot{}};
    return slot.held;
  }

  /// All slots still inside of the window, merged.
  Slot sum(time_point now) const {
    const auto epoch = epoch_of(now);
    Slot all{};
    for (const auto& each : slots_)
      if (each.epoch >= 0 && each.epoch + static_cast<std::int64_t>(slots_.size()) > epoch)
        all.merge(each.held);
    return all;
  }

  duration window() const {
    return width_ * static_cast<duration::rep>(slots_.size());
  }

private:
  struct entry {
    std::int64_t epoch = -1; // Which slot-width of time it belongs to.
    Slot held{};
  };

  std::int64_t epoch_of(time_point now) const {
    return now.time_since_epoch() / width_;
  }

  duration width_;
  std::vector<entry> slots_;
  std::int64_t newest_ = -1;
};

} // namespace skep::telemetry
