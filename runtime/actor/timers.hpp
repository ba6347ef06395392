#pragma once

#include "runtime/base/clock.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <memory>

namespace skep::rt {

/// To an actor: the timer it set with this key fired. Control.
struct timer_notice {
  std::uint64_t key = 0;
};

/// Names a timer; a fired or cancelled one's id is never reused.
using timer_handle = std::uint64_t;

/// The node's one clock and timer wheel. Timers cost O(1) to set and to cancel, whatever their
/// number, and keep no actor alive. Thread-safe.
class timers {
public:
  /// With `real_time` a thread of its own fires timers within a millisecond; without, time stands
  /// still until advance_to.
  explicit timers(bool real_time);
  timers(const timers&) = delete;
  timers& operator=(const timers&) = delete;
  /// As stop().
  ~timers();
  /// Joins the thread: nothing fires any more. Idempotent; not from an actor.
  void stop();

  time_point now() const noexcept;

  /// Sends timer_notice{key} to `who` at or after `deadline`, unless it is gone by then.
  timer_handle set(time_point deadline, const caf::strong_actor_ptr& who, std::uint64_t key);
  /// False when it fired already.
  bool cancel(timer_handle timer);

  /// Virtual time only: when the next timer may fire; max() when none is set.
  time_point next() const;
  /// Virtual time only: moves the clock and fires what is due.
  void advance_to(time_point now);

  std::size_t size() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::rt

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::timer_notice)
