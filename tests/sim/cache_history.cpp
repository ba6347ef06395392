#include "tests/sim/cache_history.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::test {

namespace {

// An age is told in whole seconds by the owner, and so again by a near-cache.
constexpr duration roundings = 2s;

} // namespace

std::string cache_history::put(const facts& of, const std::string& node, time_point now) {
  of_key_[of.key].push_back(puts_.size());
  puts_.push_back({of, node, now, moves_, std::nullopt});
  return fmt::format("{}/{}", of.key, puts_.size() - 1);
}

void cache_history::settled(time_point now) {
  for (auto at = puts_.rbegin(); at != puts_.rend() && !at->arrived; ++at)
    at->arrived = now;
}

void cache_history::disturbed(time_point now) {
  calm_since_ = now;
  for (auto& each : clears_)
    if (!each.acked)
      each.calm = false;
}

std::size_t cache_history::clear(clearing what) {
  what.calm = true;
  clears_.push_back(what);
  return clears_.size() - 1;
}

std::size_t cache_history::clear_key(std::uint64_t key, time_point now) {
  return clear({key, 0, now, std::nullopt, false});
}

std::size_t cache_history::clear_group(std::uint64_t group, time_point now) {
  return clear({std::nullopt, group, now, std::nullopt, false});
}

std::size_t cache_history::clear_all(time_point now) {
  return clear({std::nullopt, 0, now, std::nullopt, false});
}

void cache_history::cleared(std::size_t number, time_point now) {
  clears_[number].acked = now;
}

void cache_history::ended(std::uint64_t key, std::uint64_t lease) {
  for (auto& each : grants_[key])
    each.ended = each.ended || each.id == lease;
}

std::string cache_history::answered(const asked& get, const msg::cache_get_reply& reply,
                                    time_point now) {
  std::string wrong;
  if (reply.turn == static_cast<std::uint8_t>(msg::cache_turn::won))
    wrong = check_lease(get, reply.lease, now);
  if (!wrong.empty() || !reply.found)
    return wrong;
  const auto* w = find(get.key, reply.value);
  if (w == nullptr)
    return fmt::format("key {} has the value {}, which was not put under it", get.key, reply.value);
  if (w->kind != reply.kind || w->group != reply.group)
    return fmt::format("{} has another kind or group than it was put with", reply.value);
  for (const auto& found : {check_times(*w, get.begun, reply), check_cleared(*w, get.begun),
                            check_newest(*w, get, now)})
    if (!found.empty())
      return reply.value + found;
  return {};
}

const cache_history::written* cache_history::find(std::uint64_t key,
                                                  const std::string& value) const {
  const auto known = of_key_.find(key);
  if (known == of_key_.end())
    return nullptr;
  for (const auto n : known->second)
    if (value == fmt::format("{}/{}", key, n))
      return &puts_[n];
  return nullptr;
}

/// How much of its life an entry may have spent where it does not age.
duration cache_history::on_the_way(const written& w) const {
  const bool settled = calm_since_ + rules_.unrest < w.sent;
  const auto hops = moves_ - w.moves + (settled ? 0 : 1);
  return std::min(w.arrived.value_or(time_point::max()) - w.sent, rules_.transit)
         + hops * rules_.transit;
}

std::string cache_history::check_times(const written& w, time_point begun,
                                       const msg::cache_get_reply& reply) const {
  const auto end = w.sent + on_the_way(w) + w.ttl;
  if (!reply.stale && begun >= end)
    return " is served as fresh after its freshness";
  if (begun >= end + rules_.stale)
    return " is served after its stale time";
  // What was told when the get began, or later.
  if (!reply.stale && begun + std::chrono::seconds{reply.ttl_s} > end)
    return " is said to stay fresh for longer than it does";
  if (std::chrono::seconds{reply.age_s} + roundings + on_the_way(w) < begun - w.sent)
    return " is said to be younger than it is";
  return {};
}

bool cache_history::covers(const clearing& c, const written& w) {
  return c.key ? *c.key == w.key : c.group == 0 || c.group == w.group;
}

std::string cache_history::check_cleared(const written& w, time_point begun) const {
  for (const auto& each : clears_) {
    if (covers(each, w) && each.calm && each.acked && *each.acked <= begun && w.arrived
        && *w.arrived <= each.begun)
      return " was cleared";
  }
  return {};
}

std::string cache_history::check_newest(const written& w, const asked& get, time_point now) const {
  const bool in_time = now - get.begun < rules_.ask_timeout;
  const bool under_way = std::any_of(clears_.begin(), clears_.end(), [&](const auto& each) {
    return covers(each, w) && each.acked.value_or(now) >= get.begun;
  });
  if (!w.arrived || under_way || (!in_time && get.begun < calm_since_ + rules_.unrest))
    return {};
  for (const auto n : of_key_.at(w.key)) {
    const auto& later = puts_[n];
    const auto known_after = later.node == get.node ? 0s : rules_.near_ttl + rules_.transit;
    const auto surely_fresh = std::chrono::duration_cast<duration>(later.ttl * (1 - rules_.jitter));
    if (&later != &w && later.sent >= *w.arrived && later.sent >= calm_since_ && later.arrived
        && *later.arrived + known_after <= get.begun && now < later.sent + surely_fresh)
      return fmt::format(" is served although {}/{} came after it", w.key, n);
  }
  return {};
}

std::string cache_history::check_lease(const asked& get, std::uint64_t id, time_point now) {
  if (!ids_.insert(id).second)
    return fmt::format("the lease {} of key {} was granted before", id, get.key);
  auto& all = grants_[get.key];
  for (const auto& each : all)
    if (rules_.one_owner && !may_have_ended(get.key, each, now))
      return fmt::format("key {} has two leases, {} and {}", get.key, each.id, id);
  all.push_back({id, get.begun, get.begun + std::chrono::milliseconds{get.lease_ms}, false});
  return {};
}

bool cache_history::may_have_ended(std::uint64_t key, const grant& g, time_point now) const {
  if (g.ended || g.over <= now || calm_since_ + rules_.unrest > g.asked)
    return true;
  const auto known = of_key_.find(key);
  return known != of_key_.end()
         && std::any_of(known->second.begin(), known->second.end(), [&](std::size_t n) {
              return puts_[n].arrived.value_or(time_point::max()) >= g.asked;
            });
}

} // namespace skep::test
