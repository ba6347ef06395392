#include "runtime/flow/affinity.hpp"

#include "runtime/base/assert.hpp"

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
  const auto taken = take_usable(key_hash, [](picker::slot_index) { return true; });
  return taken ? std::optional{taken->slot} : std::nullopt;
}

} // namespace skep::flow
