#include "actors/cache/front.hpp"

#include <algorithm>
#include <limits>

namespace skep::actors {

void cache_front::get(const rt::call& c, const msg::cache_get_request& request) {
  const auto state = newest();
  const auto slot = slot_of(request.key);
  const auto owners = state->slots.owners(slot);
  const bool owner = std::find(owners.begin(), owners.end(), self_) != owners.end();
  if (!owner) {
    if (auto near = near_.get(request, now()); near && !(request.lease_ms > 0 && due(*near))) {
      meters_.found[static_cast<std::size_t>(place::near)]->inc();
      reply(c, std::move(*near));
      return;
    }
  }
  if (lookups_.size() >= rules_.lookups_max) {
    meters_.refused.inc();
    refuse(c, failure{errc::overloaded, "too many lookups wait for other nodes"});
    return;
  }
  const auto which = ++last_id_;
  auto& l = lookups_[which];
  l.out = take(c);
  l.out.on_cancel([this, which] {
    const auto entry = lookups_.extract(which);
    if (entry.empty())
      return;
    give_up(entry.mapped().pending);
    release(entry.mapped());
  });
  l.context = c.context;
  l.request = request;
  l.sources = sources_of(slot, *state);
  l.owner = owner;
  l.change = changes_[slot];
  show();
  ask_next(which);
}

/// Our own copy first, if we keep one; then the owners from the first on; then previous ones.
std::vector<cache_front::source> cache_front::sources_of(std::uint32_t slot,
                                                         const rt::cluster_state& state) const {
  const auto owners = state.slots.owners(slot);
  std::vector<source> sources;
  if (std::find(owners.begin(), owners.end(), self_) != owners.end())
    sources.push_back({place::local, self_, self_ == owners.front()});
  for (const auto node : owners)
    if (node != owners.front())
      sources.push_back({place::replica, node, true});
    else if (node != self_)
      sources.push_back({place::remote, node, true});
  for (const auto node : history_.previous(slot))
    if (std::none_of(sources.begin(), sources.end(), [node](const source& known) {
          return known.node == node && known.where != place::replica;
        }))
      sources.push_back({place::previous, node, false});
  return sources;
}

void cache_front::ask_next(id which) {
  auto& l = lookups_[which];
  if (l.at >= l.sources.size()) {
    auto ended = std::move(lookups_.extract(which).mapped());
    show();
    if (ended.won) {
      ended.out.reply(std::move(*ended.won));
      return;
    }
    meters_.missed.inc();
    ended.out.fail(failure{errc::cache_miss});
    return;
  }
  const auto& from = l.sources[l.at];
  auto context = l.context;
  context.deadline = std::min(context.deadline, now() + rules_.remote_timeout);
  auto request = l.request;
  if (!from.decides)
    request.lease_ms = 0;
  const auto to = from.node == self_ ? shards_.of(slot_of(l.request.key)) : store_of(from.node);
  const auto pending = ask(to, std::move(context), std::move(request),
                           [this, which](const rt::answer& got) { answered(which, got); });
  // A request that failed at once has been handled already, and the lookup may be gone.
  if (const auto entry = lookups_.find(which); pending != 0 && entry != lookups_.end())
    entry->second.pending = pending;
}

void cache_front::answered(id which, const rt::answer& got) {
  const auto entry = lookups_.find(which);
  if (entry == lookups_.end())
    return;
  auto& l = entry->second;
  const auto from = l.sources[l.at++];
  const auto* reply = got.get<msg::cache_get_reply>();
  bool decided = from.decides;
  if (reply == nullptr && got.why.code != errc::cache_miss) {
    meters_.failed.inc();
    decided = false;
  } else if (reply != nullptr && serves(l, from, *reply)) {
    found(which, from, *reply);
    return;
  } else if (reply != nullptr && !reply->found
             && reply->turn == static_cast<std::uint8_t>(msg::cache_turn::won)) {
    l.won = *reply;
    l.winner = from.node;
  }
  if (decided)
    while (l.at < l.sources.size() && l.sources[l.at].where != place::previous)
      ++l.at;
  ask_next(which);
}

/// The answer is one for the caller. Not a won lease without a value: somebody may still have one.
/// Nor what a previous owner had before a put or a clear that we know of, in place of that lease.
/// Nor what a copy of ours cannot say: who renews it.
bool cache_front::serves(const lookup& l, const source& from,
                         const msg::cache_get_reply& reply) const {
  if (!reply.found)
    return reply.turn == static_cast<std::uint8_t>(msg::cache_turn::wait);
  if (from.where == place::previous)
    return !l.won || l.change == changes_[slot_of(l.request.key)];
  return from.decides || !(reply.stale || (l.request.lease_ms > 0 && due(reply)));
}

/// In the last share of its freshness, as its owner's store would say.
bool cache_front::due(const msg::cache_get_reply& reply) const {
  const auto whole = static_cast<double>(reply.age_s) + static_cast<double>(reply.ttl_s);
  return reply.stale
         || (rules_.refresh_ahead > 0
             && static_cast<double>(reply.ttl_s) <= rules_.refresh_ahead * whole);
}

void cache_front::found(id which, const source& from, msg::cache_get_reply reply) {
  const auto entry = lookups_.extract(which);
  auto& l = entry.mapped();
  show();
  if (reply.found)
    meters_.found[static_cast<std::size_t>(from.where)]->inc();
  if (l.won && reply.stale) {
    reply.turn = l.won->turn;
    reply.lease = l.won->lease;
    reply.leader = l.won->leader;
  } else if (l.won) {
    put_back(l, reply);
  }
  if (!l.owner && l.change == changes_[slot_of(l.request.key)])
    keep_near(l.request.key, reply);
  l.out.reply(std::move(reply));
}

/// Gives the owner that granted the lease what a previous one still had; that ends the lease.
void cache_front::put_back(const lookup& l, const msg::cache_get_reply& reply) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  const auto& state = *history_.state();
  const auto slot = slot_of(l.request.key);
  const auto to = l.winner == self_ ? shards_.of(slot) : store_of(l.winner);
  if (!to || !state.view || reply.ttl_s == 0) {
    release(l);
    return;
  }
  const auto in_ms = [](std::uint32_t s) {
    const auto ms = std::uint64_t{s} * 1000;
    return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(ms, std::numeric_limits<std::uint32_t>::max()));
  };
  msg::cache_fill_request fill;
  fill.view = state.view->number;
  // Whole seconds are all that was told: it may be up to one older.
  fill.entries.push_back({l.request.key, reply.value, in_ms(reply.age_s + 1), in_ms(reply.ttl_s),
                          reply.group, reply.kind, reply.cost});
  tell(to, outliving(l.context), std::move(fill));
}

/// Nobody will produce a value under this lookup's lease, if it has one.
void cache_front::release(const lookup& l) {
  if (!l.won)
    return;
  const auto to = l.winner == self_ ? shards_.of(slot_of(l.request.key)) : store_of(l.winner);
  if (to)
    tell(to, outliving(l.context), msg::cache_release_request{l.request.key, l.won->lease});
}

/// For what must arrive although the caller's time may be over.
skep::context cache_front::outliving(skep::context context) const {
  context.deadline = std::max(context.deadline, now() + rules_.remote_timeout);
  return context;
}

void cache_front::keep_near(const msg::cache_key& key, const msg::cache_get_reply& reply) {
  if (!cleared_.cover(key_of(key), reply.group, std::chrono::seconds{reply.age_s}, now()))
    near_.put(key, reply, now());
}

void cache_front::put(const rt::call& c, const msg::cache_put_request& request) {
  const auto state = newest();
  const auto slot = slot_of(request.key);
  bool owner = false;
  auto copy = request;
  copy.view = state->view ? state->view->number : 0;
  for (const auto node : state->slots.owners(slot)) {
    owner = owner || node == self_;
    if (const auto to = node == self_ ? shards_.of(slot) : store_of(node))
      tell(to, c.context, copy);
  }
  if (rules_.second_level)
    tell(rules_.second_level, c.context, request);
  if (owner)
    return;
  // An older answer must not outlive this one, whether this one is kept here or not.
  forget_near(request.key);
  const auto ttl = request.ttl_ms > 0 ? std::chrono::milliseconds{request.ttl_ms} : rules_.ttl;
  const auto fresh = std::chrono::duration_cast<std::chrono::seconds>(ttl).count();
  msg::cache_get_reply near;
  near.value = request.value;
  near.ttl_s = static_cast<std::uint32_t>(fresh);
  near.kind = request.kind;
  near.group = request.group;
  near.cost = request.cost;
  near_.put(request.key, near, now());
  show();
}

void cache_front::release(const rt::call& c, const msg::cache_release_request& request) {
  const auto slot = slot_of(request.key);
  for (const auto node : newest()->slots.owners(slot))
    if (const auto to = node == self_ ? shards_.of(slot) : store_of(node))
      tell(to, c.context, request);
}

} // namespace skep::actors
