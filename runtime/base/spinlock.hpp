#pragma once

#include <atomic>
#include <thread>

namespace skep {

/// A lock for sections of a few instructions. After some spins it yields, so that a preempted owner
/// on a small machine is not waited for at full speed.
class spinlock {
public:
  void lock() noexcept {
    for (int spins = 0; flag_.test_and_set(std::memory_order_acquire); ++spins) {
      if (spins >= spins_max) {
        std::this_thread::yield();
        spins = 0;
      }
    }
  }
  bool try_lock() noexcept {
    return !flag_.test_and_set(std::memory_order_acquire);
  }
  void unlock() noexcept {
    flag_.clear(std::memory_order_release);
  }

private:
  // About a microsecond of spinning.
  static constexpr int spins_max = 100;
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

} // namespace skep
