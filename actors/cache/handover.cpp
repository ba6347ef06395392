#include "actors/cache/handover.hpp"

#include "messages/size.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

constexpr auto slot_count = flow::slot_map::slot_count;

// Far more than a batch needs from its sender's store to ours.
constexpr duration transit_max = 2s;

std::uint32_t in_ms(duration d) {
  return static_cast<std::uint32_t>(
    std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

} // namespace

bool handed_over(const rt::cluster_state& state, const handover_status& status,
                 std::uint64_t self) {
  if (!state.owning || !state.view || state.view->members.size() < 2)
    return true;
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    const auto owners = state.slots.owners(slot);
    if (std::find(owners.begin(), owners.end(), self) != owners.end())
      return false;
  }
  return status.seen.load() >= view_mark(state) && status.pending.load() == 0;
}

// -- handover_stream ------------------------------------------------------------------------------

handover_stream::handover_stream(const store::response_store& from, const slot_set& slots)
  : slots_(slots), keys_(from.keys([&](const auto& key) { return slots[slot_of(key)]; })) {
  // The slot is the top of the hash, so this puts the keys of one slot side by side.
  std::sort(keys_.begin(), keys_.end(),
            [](const auto& a, const auto& b) { return a.high < b.high; });
}

void handover_stream::add(const store::key128& key) {
  if (slots_[slot_of(key)])
    keys_.push_back(key);
}

std::vector<msg::cache_entry> handover_stream::batch(const store::response_store& from,
                                                     time_point now) {
  std::vector<msg::cache_entry> entries;
  std::size_t bytes = 0;
  for (end_ = begin_; end_ < keys_.size(); ++end_) {
    const auto& key = keys_[end_];
    const auto found = from.peek(key, now);
    if (!found || found->left < 1ms)
      continue; // Gone meanwhile.
    msg::cache_entry entry{{key.high, key.low}, {},          in_ms(found->age), in_ms(found->left),
                           found->group,        found->kind, found->cost};
    bytes += bytes_of(entry) + found->value->size();
    if (!entries.empty()
        && (bytes > batch_bytes_max || slot_of(key) != slot_of(entries.front().key)))
      break;
    entry.value = *found->value;
    entries.push_back(std::move(entry));
  }
  return entries;
}

// -- recent_clears --------------------------------------------------------------------------------

void recent_clears::forget(time_point now) {
  if (now - newest_ > keep) {
    keys_.clear();
    groups_.clear();
  }
}

void recent_clears::add(const msg::cache_clear_request& request, time_point now) {
  forget(now);
  newest_ = now;
  const auto note = [&](auto& into, const auto& what) {
    if (into.size() >= keys_max)
      add_all(now);
    into[what] = now;
  };
  if (request.all)
    add_all(now);
  else if (request.group != 0)
    note(groups_, request.group);
  else
    note(keys_, key_of(request.key));
}

void recent_clears::add_all(time_point now) {
  all_ = now;
  keys_.clear();
  groups_.clear();
}

bool recent_clears::cover(const store::key128& key, std::uint64_t group, duration age,
                          time_point now) {
  forget(now);
  const auto stored = now - age - transit_max;
  const auto covers = [&](const auto& in, const auto& what) {
    const auto known = in.find(what);
    return known != in.end() && stored <= known->second;
  };
  return (all_ != time_point{} && now - all_ <= keep && stored <= all_) || covers(keys_, key)
         || (group != 0 && covers(groups_, group));
}

} // namespace skep::actors
