#pragma once

#include "runtime/flow/rng.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace skep::flow {

/// What the picker knows about one worker; a cache line of its own, because every call to that
/// worker writes it.
struct alignas(64) worker_slot {
  std::atomic<std::uint32_t> inflight{0};
  std::atomic<std::uint32_t> inflight_max{0};
  std::atomic<std::uint32_t> weight{1};
  std::atomic<bool> enabled{false};
  bool used = false; // Guarded by the picker's writers' mutex.
};

/// Bounds of a picker.
struct picker_config {
  std::uint32_t slots_max = 256; ///< Workers at once, at most 65,535.
  std::uint32_t scan_max = 256;  ///< Slots looked at when both candidates are out.
};

/// Chooses a worker in O(1): two candidates drawn by weight from an alias table (Vose, 1991), the
/// one with the smaller (inflight + 1) / weight wins (power of two choices: Mitzenmacher, 2001).
/// When both are idle the first stands, so that light traffic is shared exactly by weight. Only
/// when both candidates are disabled or full does it look at more than two.
///
/// take and release: any thread, no lock, no allocation. add, remove and the setters: any thread,
/// one at a time behind a mutex, O(slots_max). The table is rebuilt in place, entry by entry; a
/// take that reads old and new entries side by side still gets an enabled worker, only by slightly
/// mixed weights.
class picker {
public:
  using slot_index = std::uint32_t;

  explicit picker(picker_config config = {});

  /// Chooses a worker and counts one call in flight there; the caller releases it once. Nothing if
  /// every slot looked at is disabled or full. A slot is never given out while disabled, nor beyond
  /// its inflight_max.
  [[nodiscard]] std::optional<slot_index> take(rng& random) noexcept;

  /// Counts a call at this very worker (affinity); false if it is disabled or full.
  [[nodiscard]] bool take_slot(slot_index slot) noexcept;

  /// The call ended. Valid after remove as well.
  void release(slot_index slot) noexcept;

  /// Reserves a slot for a worker, disabled; its owner publishes what belongs to it and then calls
  /// enable. Nothing if all are used. A removed slot comes back only after its last release, so
  /// that between take and release it stands for one worker.
  [[nodiscard]] std::optional<slot_index> add(std::uint32_t weight, std::uint32_t inflight_max);

  /// Lets calls in, or not (drain).
  void enable(slot_index slot, bool on);

  /// Relative speed or share; 0 counts as 1.
  void set_weight(slot_index slot, std::uint32_t weight);

  /// Calls in flight there at once.
  void set_inflight_max(slot_index slot, std::uint32_t inflight_max);

  /// Disables the slot and frees it for another worker.
  void remove(slot_index slot);

  [[nodiscard]] const worker_slot& slot(slot_index index) const noexcept {
    return slots_[index];
  }
  [[nodiscard]] std::uint32_t slots_max() const noexcept {
    return config_.slots_max;
  }
  /// Workers that are enabled.
  [[nodiscard]] std::uint32_t enabled_count() const noexcept {
    return table_size_.load(std::memory_order_acquire);
  }

private:
  slot_index draw(rng& random, std::uint32_t table_size) const noexcept;
  slot_index other_than(slot_index slot, std::uint32_t at, std::uint32_t table_size) const noexcept;
  bool better(slot_index second, slot_index first) const noexcept;
  std::optional<slot_index> scan(std::uint32_t from, std::uint32_t table_size) noexcept;
  void rebuild();

  picker_config config_;
  std::unique_ptr<worker_slot[]> slots_;
  // An entry holds a threshold (32 bits), its own slot (16) and its alias (16), so that it is read
  // whole.
  std::unique_ptr<std::atomic<std::uint64_t>[]> table_;
  std::atomic<std::uint32_t> table_size_{0};

  std::mutex writers_;
  // Scratch of rebuild, guarded by writers_; kept so that a rebuild does not allocate.
  std::vector<slot_index> live_;
  std::vector<double> share_;
  std::vector<std::uint32_t> small_;
  std::vector<std::uint32_t> large_;
};

} // namespace skep::flow
