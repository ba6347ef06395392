#pragma once

#include "runtime/flow/picker.hpp"
#include "runtime/flow/rendezvous.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>

namespace skep::flow {

/// How far a worker may be above the mean for the sake of affinity.
struct affinity_config {
  /// At least 1. Measured on 20 workers with one slow: 1.1 keeps 42 % of calls on their
  /// worker, 1.25 55 %, 2 83 % at twice the p99.
  double load_factor = 1.25;
};

/// What affinity chose.
struct affine_pick {
  picker::slot_index slot = 0;
  /// The key's first worker of those that are usable, not one it spilled over to.
  bool first = true;
};

/// Sends calls with the same key to the same worker while that worker is not overloaded: weighted
/// rendezvous with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018). A hot key spills over to
/// its next worker in rendezvous order instead of drowning its first. Sits beside a picker and
/// shares its slots. take: any thread, no lock, O(slots_max).
class affinity {
public:
  /// `workers` must outlive it.
  explicit affinity(picker& workers, affinity_config config = {});

  /// Binds a slot to its worker's stable id; call it between the picker's add and enable.
  void set_id(picker::slot_index slot, std::uint64_t worker_id) noexcept;

  /// Takes the key's best worker that is enabled, not full and within load_factor of the mean load
  /// by weight. The caller releases it at the picker. Nothing if no worker is; then use
  /// picker::take.
  [[nodiscard]] std::optional<picker::slot_index> take(std::uint64_t key_hash) noexcept;

  /// The same among the workers for which `usable(slot)` holds: the others count as if they were
  /// not there, so that only their keys move. It is called about once per worker.
  template <class Usable>
  [[nodiscard]] std::optional<affine_pick> take_usable(std::uint64_t key_hash, Usable&& usable);

private:
  bool enabled(picker::slot_index slot) const noexcept {
    return workers_.slot(slot).enabled.load(std::memory_order_acquire);
  }
  double inflight(picker::slot_index slot) const noexcept {
    return workers_.slot(slot).inflight.load(std::memory_order_relaxed);
  }
  double weight(picker::slot_index slot) const noexcept {
    return workers_.slot(slot).weight.load(std::memory_order_relaxed);
  }

  picker& workers_;
  affinity_config config_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> ids_;
};

template <class Usable>
std::optional<affine_pick> affinity::take_usable(std::uint64_t key_hash, Usable&& usable) {
  double calls = 1; // The call at hand included.
  double weights = 0;
  for (picker::slot_index i = 0; i < workers_.slots_max(); ++i) {
    if (!enabled(i) || !usable(i))
      continue;
    calls += inflight(i);
    weights += weight(i);
  }
  // The best of those with room is the first with room in rendezvous order; no sorting needed.
  std::optional<picker::slot_index> best;
  double best_score = 0;
  double first_score = 0;
  for (picker::slot_index i = 0; i < workers_.slots_max(); ++i) {
    if (!enabled(i))
      continue;
    const auto score
      = rendezvous_score(key_hash, ids_[i].load(std::memory_order_relaxed), weight(i));
    if (score <= best_score || !usable(i))
      continue;
    first_score = std::max(first_score, score);
    const auto mine = inflight(i);
    // Rounded up, as in the paper: else ten workers with one call each would refuse an eleventh.
    const auto bound = std::ceil(config_.load_factor * calls * weight(i) / weights);
    if (mine + 1.0 > bound || mine >= workers_.slot(i).inflight_max.load(std::memory_order_relaxed))
      continue;
    best_score = score;
    best = i;
  }
  if (best && workers_.take_slot(*best))
    return affine_pick{*best, best_score >= first_score};
  return std::nullopt;
}

} // namespace skep::flow
