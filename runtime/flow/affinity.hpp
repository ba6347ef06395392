#pragma once

#include "runtime/flow/picker.hpp"

#include <atomic>
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

private:
  picker& workers_;
  affinity_config config_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> ids_;
};

} // namespace skep::flow
