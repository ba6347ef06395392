#include "runtime/flow/affinity.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/flow/rendezvous.hpp"

#include <cmath>

namespace skep::flow {

affinity::affinity(picker& workers, affinity_config config)
  : workers_(workers), config_(config),
    ids_(std::make_unique<std::atomic<std::uint64_t>[]>(workers.slots_max())) {
  SKEP_ASSERT(config.load_factor >= 1.0);
}

void affinity::set_id(picker::slot_index slot, std::uint64_t worker_id) noexcept {
  ids_[slot].store(worker_id, std::memory_order_relaxed);
}

std::optional<picker::slot_index> affinity::take(std::uint64_t key_hash) noexcept {
  double inflight = 1; // The call at hand included.
  double weight = 0;
  for (picker::slot_index i = 0; i < workers_.slots_max(); ++i) {
    const auto& s = workers_.slot(i);
    if (!s.enabled.load(std::memory_order_acquire))
      continue;
    inflight += s.inflight.load(std::memory_order_relaxed);
    weight += s.weight.load(std::memory_order_relaxed);
  }
  // The best of those with room is the first with room in rendezvous order; no sorting needed.
  std::optional<picker::slot_index> best;
  double best_score = 0;
  for (picker::slot_index i = 0; i < workers_.slots_max(); ++i) {
    const auto& s = workers_.slot(i);
    if (!s.enabled.load(std::memory_order_acquire))
      continue;
    auto mine = s.inflight.load(std::memory_order_relaxed);
    double share = s.weight.load(std::memory_order_relaxed);
    // Rounded up, as in the paper: else ten workers with one call each would refuse an eleventh.
    auto bound = std::ceil(config_.load_factor * inflight * share / weight);
    if (mine + 1.0 > bound || mine >= s.inflight_max.load(std::memory_order_relaxed))
      continue;
    auto score = rendezvous_score(key_hash, ids_[i].load(std::memory_order_relaxed), share);
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  if (best && workers_.take_slot(*best))
    return best;
  return std::nullopt;
}

} // namespace skep::flow
