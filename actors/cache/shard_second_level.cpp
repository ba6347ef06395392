#include "actors/cache/shard.hpp"

namespace skep::actors {

namespace {

using std::chrono::seconds;

/// An answer tells its age in whole seconds, so it may be up to one second older.
bool young_enough(const msg::cache_get_reply& reply, const msg::cache_get_request& request) {
  return request.age_max_s == 0 || reply.age_s < request.age_max_s;
}

bool young_enough(const store::response_store::found& found,
                  const msg::cache_get_request& request) {
  return request.age_max_s == 0 || found.age <= seconds{request.age_max_s};
}

} // namespace

/// False when the get is to go on without: nobody is there to ask, too many wait already, or
/// somebody has been found to produce the value, which is later than what was asked there.
bool cache_shard::ask_second_level(const rt::call& c, const msg::cache_get_request& request) {
  const auto key = key_of(request.key);
  if (!bounds_.second_level)
    return false;
  const auto* lease = request.lease_ms > 0 ? leases_.find(key, now()) : nullptr;
  if (lease != nullptr && lease->id != request.lost_lease)
    return false;
  if (waits_ >= bounds_.second_level_waits_max) {
    meters_.second_refused.inc();
    return false;
  }
  const auto [entry, first] = waiting_.try_emplace(key);
  entry->second.push_back({take(c), request});
  ++waits_;
  if (!first)
    return true;
  // Of any age, for all who will wait; and whether the first of them stays or not.
  msg::cache_get_request plain;
  plain.key = request.key;
  plain.group = request.group;
  auto context = c.context;
  context.deadline = now() + bounds_.second_level_timeout;
  ask(bounds_.second_level, std::move(context), std::move(plain),
      [this, key](const rt::answer& got) { second_level_answered(key, got); });
  return true;
}

void cache_shard::second_level_answered(const store::key128& key, const rt::answer& got) {
  auto entry = waiting_.extract(key);
  if (entry.empty())
    return;
  auto waiters = std::move(entry.mapped());
  waits_ -= waiters.size();
  std::optional<msg::cache_get_reply> brought;
  if (const auto* reply = got.get<msg::cache_get_reply>()) {
    brought = *reply;
    if (brought->group == 0)
      brought->group = waiters.front().request.group;
    if (!keep(key, *brought))
      brought.reset();
  } else {
    (got.why.code == errc::cache_miss ? meters_.second_misses : meters_.second_failures).inc();
  }
  for (auto& each : waiters) {
    if (!each.out)
      continue; // Gave up: a lease would be lost on it.
    // What was put meanwhile is newer than what was brought.
    const auto found = store_.peek(key, now());
    if (found && young_enough(*found, each.request)) {
      each.out.reply(serve(each.request, *found));
    } else if (!found && brought && young_enough(*brought, each.request)) {
      each.out.reply(*brought);
    } else if (auto turn = without_value(each.request)) {
      each.out.reply(std::move(*turn));
    } else {
      each.out.fail(turn.error());
    }
  }
  show();
}

/// Keeps what the second level had, unless there is a newer one by now; false when it is of no use.
bool cache_shard::keep(const store::key128& key, const msg::cache_get_reply& reply) {
  const seconds age{reply.age_s};
  const bool plain
    = reply.found && !reply.stale && reply.turn == static_cast<std::uint8_t>(msg::cache_turn::none);
  if (!plain || cleared_.cover(key, reply.group, age, now())) {
    meters_.second_misses.inc();
    return false;
  }
  meters_.second_hits.inc();
  if (const auto known = store_.peek(key, now()); reply.ttl_s == 0 || (known && !known->stale))
    return true; // Over within a second, or known.
  if (store_.put(key, reply.value,
                 {seconds{reply.ttl_s}, age + 1s, reply.group, reply.kind, reply.cost}, now())) {
    leases_.end(key);
    for (auto& each : givings_)
      each.entries.add(key);
  }
  return true;
}

} // namespace skep::actors
