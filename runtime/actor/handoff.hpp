#pragma once

#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <cstddef>

namespace skep::rt {

/// Lets an actor that wakes another one be followed by it on the same thread: the woken actor waits
/// in a slot of one place until the waking one has finished its turn, instead of waking another
/// thread through the scheduler's queue (the LIFO slot of Tokio's scheduler, "runnext" of Go's). A
/// second actor woken in the same turn pushes the first one to the scheduler, so that fan-out still
/// spreads over all threads. After some turns in a row the slot's actor goes through the scheduler,
/// too, so that two actors cannot keep a thread to themselves. Per thread; no lock.
class handoff final : public caf::execution_unit {
public:
  /// The unit to wake actors with on this thread: the slot while a turn runs here, the batch while
  /// there is one, else null, which means the scheduler's queue.
  static caf::execution_unit* unit();

  /// Runs one turn of an actor, then those the slot holds.
  template <class Turn>
  static caf::resumable::resume_result run(caf::execution_unit* worker, std::size_t throughput,
                                           const Turn& turn) {
    if (unit() != nullptr)
      return turn(); // Run by the slot itself: the outer call goes on.
    handoff slot{worker};
    const auto first = turn();
    slot.run_slot(throughput);
    return first;
  }

  /// Takes a woken actor, with the reference CAF's workers expect.
  void exec_later(caf::resumable* job) override;

private:
  explicit handoff(caf::execution_unit* worker);
  ~handoff();
  void run_slot(std::size_t throughput);

  caf::execution_unit* worker_;
  caf::resumable* job_ = nullptr;
};

/// Holds back the wake-ups of actors that this thread causes until it goes away: a thread that
/// hands out many messages wakes each receiver once instead of once per message. For threads that
/// run no actor (the link's); the batch must be short, since what was handed out waits for its end.
class wake_batch final : public caf::execution_unit {
public:
  explicit wake_batch(caf::actor_system& system);
  wake_batch(const wake_batch&) = delete;
  wake_batch& operator=(const wake_batch&) = delete;
  ~wake_batch();

  void exec_later(caf::resumable* job) override;
};

} // namespace skep::rt
