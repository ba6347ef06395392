#include "actors/cache/slot_history.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

constexpr auto slot_count = flow::slot_map::slot_count;

bool contains(std::span<const std::uint64_t> ids, std::uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool same_view(const rt::cluster_state& a, const rt::cluster_state& b) {
  return a.view && b.view && a.view->number == b.view->number;
}

} // namespace

slot_history::slot_history(std::uint64_t self, duration keep) : self_(self), keep_(keep) {}

slot_history::change slot_history::install(const rt::cluster_state_ptr& state, time_point now) {
  const auto known = state_;
  if (!state->view || (known && known->view && state->view->number < known->view->number)) {
    if (!known)
      state_ = state;
    return change::none;
  }
  const bool had_view = known && known->view;
  // Views are numbered one by one, so there was none in between when the next one follows.
  const bool missed_one = had_view && state->view->number > known->view->number + 1;
  if (had_view && same_view(*known, *state)) {
    lapsed_ = !state->owning && (lapsed_ || known->owning);
    state_ = state;
    return change::none;
  }
  prune(now);
  if (had_view)
    remember({known->slots, std::move(members_), now + keep_});
  members_.clear();
  for (const auto& each : state->view->members)
    members_.emplace(rt::node_id(each.name), each.incarnation);
  state_ = state;
  if (!had_view) {
    auto guess = before_first(*state);
    guess.until = now + keep_;
    remember(std::move(guess));
  }
  find_previous();
  const bool lapsed = std::exchange(lapsed_, false);
  const bool outdated = (lapsed && missed_one) || members_.count(self_) == 0;
  return had_view && outdated ? change::outdated : change::view;
}

/// What the map was before we came: as the cluster says, or, when it does not know, a guess: the
/// others, those that are leaving too, as they would own the slot without us. Each may have what
/// one that came shortly before us has not yet got.
slot_history::past slot_history::before_first(const rt::cluster_state& first) const {
  past made;
  made.members = members_;
  if (!first.before.owners(0).empty() && !first.before.moved(first.slots).empty()) {
    made.slots = first.before;
    return made;
  }
  std::vector<flow::slot_member> others;
  for (const auto& each : first.view->members)
    if (const auto id = rt::node_id(each.name); id != self_ && each.weight > 0)
      others.push_back({id, static_cast<double>(each.weight)});
  made.slots = flow::slot_map{others, flow::slot_map::copies_max};
  made.guessed = true;
  return made;
}

void slot_history::remember(past ended) {
  pasts_.push_front(std::move(ended));
  if (pasts_.size() > pasts_max)
    pasts_.pop_back();
}

void slot_history::prune(time_point now) {
  const auto before = pasts_.size();
  while (!pasts_.empty() && pasts_.back().until <= now)
    pasts_.pop_back();
  if (pasts_.size() != before)
    find_previous();
}

bool slot_history::survived(const past& from, std::uint64_t id) const {
  const auto then = from.members.find(id);
  const auto today = members_.find(id);
  return then != from.members.end() && today != members_.end() && then->second == today->second;
}

bool slot_history::is_new(const past& from, std::uint32_t slot, std::uint64_t id) const {
  return !contains(from.slots.owners(slot), id) || !survived(from, id);
}

/// The first owner of then that is still there; 0 when none is.
std::uint64_t slot_history::giver(const past& from, std::uint32_t slot) const {
  for (const auto id : from.slots.owners(slot))
    if (survived(from, id))
      return id;
  return 0;
}

void slot_history::find_previous() {
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    auto& found = previous_[slot];
    found.clear();
    const auto owners = state_->slots.owners(slot);
    const auto first = owners.empty() ? 0 : owners.front();
    const auto add = [&](std::uint64_t id) {
      if (id != 0 && id != first && !contains(found, id))
        found.push_back(id);
    };
    for (const auto& each : pasts_) {
      if (each.guessed)
        for (const auto id : each.slots.owners(slot))
          add(survived(each, id) ? id : 0);
      else if (is_new(each, slot, first))
        add(giver(each, slot));
    }
  }
}

std::map<std::uint64_t, slot_set> slot_history::gives() const {
  std::map<std::uint64_t, slot_set> made;
  for (const auto& each : pasts_)
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      if (giver(each, slot) != self_)
        continue;
      for (const auto id : state_->slots.owners(slot))
        if (id != self_ && is_new(each, slot, id))
          made[id].set(slot);
    }
  return made;
}

slot_set slot_history::owned() const {
  slot_set mine;
  for (std::uint32_t slot = 0; state_ && slot < slot_count; ++slot)
    mine[slot] = contains(state_->slots.owners(slot), self_);
  return mine;
}

} // namespace skep::actors
