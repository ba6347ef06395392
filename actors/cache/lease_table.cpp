#include "actors/cache/lease_table.hpp"

namespace skep::actors {

namespace {

// A lease's end is exact for those who ask; the wheel only frees memory.
constexpr duration wheel_tick = 100ms;

} // namespace

lease_table::lease_table(std::size_t leases_max, std::uint64_t seed, time_point now)
  : leases_max_(leases_max), random_(seed), wheel_(now, wheel_tick) {}

lease_table::outcome lease_table::acquire(const store::key128& key, const std::string& node,
                                          duration span, std::uint64_t lost, time_point now) {
  auto known = leases_.find(key);
  if (known != leases_.end()) {
    const auto& present = known->second.lease;
    const bool over = present.ends <= now;
    if (!over && (lost == 0 || lost != present.id)) {
      ++stats_.waited;
      return {&present, false};
    }
    ++(over ? stats_.expired : stats_.lost);
    remove(known);
  }
  if (leases_.size() >= leases_max_)
    expire(now);
  if (leases_.size() >= leases_max_) {
    ++stats_.refused;
    return {};
  }
  ++stats_.granted;
  auto& made = leases_[key];
  made.lease = {draw(), node, now + span};
  made.timer = wheel_.add(made.lease.ends, key);
  return {&made.lease, true};
}

const cache_lease* lease_table::find(const store::key128& key, time_point now) const {
  const auto known = leases_.find(key);
  return known == leases_.end() || known->second.lease.ends <= now ? nullptr : &known->second.lease;
}

bool lease_table::release(const store::key128& key, std::uint64_t id) {
  const auto known = leases_.find(key);
  if (known == leases_.end() || known->second.lease.id != id)
    return false;
  remove(known);
  return true;
}

void lease_table::end(const store::key128& key) {
  if (const auto known = leases_.find(key); known != leases_.end())
    remove(known);
}

void lease_table::expire(time_point now) {
  wheel_.advance(now, [this](const store::key128& key) {
    ++stats_.expired;
    leases_.erase(key);
  });
}

void lease_table::remove(table::iterator at) {
  wheel_.cancel(at->second.timer);
  leases_.erase(at);
}

std::uint64_t lease_table::draw() {
  auto id = random_();
  while (id == 0)
    id = random_();
  return id;
}

} // namespace skep::actors
