#include "runtime/flow/slots.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/flow/rendezvous.hpp"

#include <algorithm>
#include <utility>

namespace skep::flow {

slot_map::slot_map(std::span<const slot_member> members, std::uint32_t copies)
  : copies_(std::min(copies, static_cast<std::uint32_t>(members.size()))) {
  SKEP_ASSERT(copies <= copies_max);
  std::vector<std::pair<double, std::uint64_t>> scored(members.size());
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    std::transform(members.begin(), members.end(), scored.begin(), [slot](const slot_member& m) {
      return std::pair{rendezvous_score(slot, m.id, m.weight), m.id};
    });
    // Equal scores fall to the higher id, so that the order of the members does not matter.
    std::partial_sort(scored.begin(), scored.begin() + copies_, scored.end(), std::greater<>{});
    for (std::uint32_t i = 0; i < copies_; ++i)
      owners_[slot][i] = scored[i].second;
  }
}

std::vector<std::uint32_t> slot_map::moved(const slot_map& next) const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    auto before = owners(slot);
    auto after = next.owners(slot);
    auto same = before.empty() || after.empty() ? before.empty() == after.empty()
                                                : before.front() == after.front();
    if (!same)
      out.push_back(slot);
  }
  return out;
}

} // namespace skep::flow
