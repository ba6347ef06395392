#include "actors/cache/front.hpp"

#include "messages/core.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

// How often a quiet front frees what is no longer fresh and forgets old maps.
constexpr duration expiry_pause = 1s;
// A node that does not answer a clear by then is not waited for.
constexpr duration clear_deadline = 1s;

template <class T>
const T* payload_of(const caf::mailbox_element& what) {
  const auto& content = what.content();
  return content.match_element<T>(1) ? &content.get_as<T>(1) : nullptr;
}

template <class T>
void send_control(const caf::strong_actor_ptr& to, T what) {
  if (to)
    to->enqueue(caf::make_mailbox_element(
                  nullptr, caf::make_message_id(caf::message_priority::high), {}, std::move(what)),
                nullptr);
}

telemetry::counter& found_at(telemetry::registry& metrics, const char* where) {
  return metrics.counter("skep_cache_found_total",
                         "Answers found by the front, by place; what went straight to a shard of "
                         "this node counts there.",
                         {{"where", where}});
}

telemetry::counter& bypassed(telemetry::registry& metrics, const char* what) {
  return metrics.counter("skep_cache_bypassed_total", "Calls passed over for want of a quorum.",
                         {{"what", what}});
}

} // namespace

cache_front::meters::meters(telemetry::registry& metrics)
  : missed(metrics.counter("skep_cache_not_found_total",
                           "Lookups by the front that no node had an answer for.")),
    failed(metrics.counter("skep_cache_ask_failed_total",
                           "Nodes and shards that did not answer a lookup.")),
    refused(metrics.counter("skep_cache_lookups_refused_total",
                            "Lookups beyond what may wait for other nodes.")),
    lookups(metrics.gauge("skep_cache_lookups", "Lookups that wait for shards or other nodes.")),
    bypassed_gets(bypassed(metrics, "get")), bypassed_puts(bypassed(metrics, "put")),
    near_entries(metrics.gauge("skep_cache_near_entries", "Answers of other nodes held.")),
    near_bytes(metrics.gauge("skep_cache_near_bytes", "Bytes held for answers of other nodes.")) {
  constexpr const char* names[] = {"local", "near", "remote", "replica", "previous"};
  for (std::size_t n = 0; n < places; ++n)
    found[n] = &found_at(metrics, names[n]);
}

cache_front::cache_front(caf::actor_config& config, rt::environment& env,
                         const rt::actor_kind& kind, rt::cluster_port& cluster, local_shards shards,
                         cache_front_config rules, std::shared_ptr<handover_status> status)
  : bounded_actor(config, env, kind), cluster_(cluster), self_(rt::node_id(cluster.self())),
    shards_(std::move(shards)), rules_(rules), status_(std::move(status)), meters_(env.metrics()),
    near_(rules.near, now()), history_(self_, rules.handover_keep) {
  history_.install(cluster_.state(), now());
  publish();
}

caf::behavior cache_front::make_behavior() {
  const auto me = caf::actor_cast<caf::weak_actor_ptr>(this);
  subscription_ = cluster_.on_change(
    [me](const rt::cluster_state_ptr& state) { send_control(me.lock(), cluster_changed{state}); });
  order_handover(false); // Of a front that was restarted; at first the shards are empty.
  changed(cluster_.state());
  schedule_expiry();
  return {
    [this](const rt::call& c, const msg::cache_get_request& request) { get(c, request); },
    [this](const rt::call& c, const msg::cache_put_request& request) { put(c, request); },
    [this](const rt::call& c, const msg::cache_clear_request& request) { clear(c, request, true); },
    [this](const rt::call& c, const local_clear& request) { clear(c, request.what, false); },
    [this](const cluster_changed& change) { changed(change.state); },
    [](const msg::ack&) {
      // The supervisor's: it is subscribed now.
    },
  };
}

void cache_front::on_stop() {
  subscription_ = nullptr;
}

// -- the way in, on the sender's thread -----------------------------------------------------------

void cache_front::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  if (!what->mid.is_response() && rt::call_of(what->content()) != nullptr) {
    if (const auto* get = payload_of<msg::cache_get_request>(*what); get && pass(*get, what, unit))
      return;
    if (const auto* put = payload_of<msg::cache_put_request>(*what); put && pass(*put, what, unit))
      return;
  }
  bounded_actor::enqueue(std::move(what), unit);
}

bool cache_front::pass(const msg::cache_get_request& get, caf::mailbox_element_ptr& what,
                       caf::execution_unit* unit) {
  const auto state = cluster_.state();
  if (!state->owning) {
    meters_.bypassed_gets.inc();
    if (const auto token = rt::ensure_lease(*what))
      token->fail(failure{errc::cache_miss});
    return true;
  }
  const auto slot = slot_of(get.key);
  const auto owners = state->slots.owners(slot);
  if (owners.empty() || owners.front() != self_ || in_transition(slot, *state))
    return false;
  shards_.of(slot)->enqueue(std::move(what), unit);
  return true;
}

bool cache_front::pass(const msg::cache_put_request& put, caf::mailbox_element_ptr& what,
                       caf::execution_unit* unit) {
  const auto state = cluster_.state();
  if (!state->owning) {
    meters_.bypassed_puts.inc();
    if (const auto token = rt::ensure_lease(*what))
      token->fail(failure{errc::unavailable, "the cache is off without a quorum"});
    return true;
  }
  const auto slot = slot_of(put.key);
  const auto owners = state->slots.owners(slot);
  if (owners.size() != 1 || owners.front() != self_)
    return false;
  shards_.of(slot)->enqueue(std::move(what), unit);
  return true;
}

/// A shard of ours may lack what a previous owner has; also while the front has not yet seen the
/// state that the sender sees.
bool cache_front::in_transition(std::uint32_t slot, const rt::cluster_state& state) const {
  return status_->seen.load(std::memory_order_acquire) < view_mark(state)
         || (moving_[slot / 64].load(std::memory_order_relaxed) >> slot % 64 & 1) != 0;
}

// -- looking up -----------------------------------------------------------------------------------

void cache_front::get(const rt::call& c, const msg::cache_get_request& request) {
  const auto state = newest();
  const auto slot = slot_of(request.key);
  const auto owners = state->slots.owners(slot);
  const bool owner = std::find(owners.begin(), owners.end(), self_) != owners.end();
  if (!owner) {
    if (auto near = near_.get(request, now())) {
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
    if (!entry.empty())
      give_up(entry.mapped().pending);
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
  for (const auto node : owners)
    if (node == self_)
      sources.push_back({place::local, node, node == owners.front()});
  for (const auto node : owners)
    if (node != self_)
      sources.push_back({node == owners.front() ? place::remote : place::replica, node, true});
  for (const auto node : history_.previous(slot))
    if (std::none_of(sources.begin(), sources.end(), [node](const source& known) {
          return known.node == node && known.where != place::replica;
        }))
      sources.push_back({place::previous, node, true});
  return sources;
}

void cache_front::ask_next(id which) {
  auto& l = lookups_[which];
  if (l.at >= l.sources.size()) {
    meters_.missed.inc();
    auto out = std::move(l.out);
    lookups_.erase(which);
    show();
    out.fail(failure{errc::cache_miss});
    return;
  }
  const auto node = l.sources[l.at].node;
  auto context = l.context;
  context.deadline = std::min(context.deadline, now() + rules_.remote_timeout);
  const auto to = node == self_ ? shards_.of(slot_of(l.request.key)) : store_of(node);
  const auto pending = ask(to, std::move(context), l.request,
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
  if (const auto* reply = got.get<msg::cache_get_reply>()) {
    found(which, *reply);
    return;
  }
  const auto asked = l.sources[l.at++];
  if (got.why.code != errc::cache_miss)
    meters_.failed.inc();
  else if (asked.decides)
    while (l.at < l.sources.size() && l.sources[l.at].where != place::previous)
      ++l.at;
  ask_next(which);
}

void cache_front::found(id which, const msg::cache_get_reply& reply) {
  auto entry = lookups_.extract(which);
  auto& l = entry.mapped();
  meters_.found[static_cast<std::size_t>(l.sources[l.at].where)]->inc();
  if (!l.owner && l.change == changes_[slot_of(l.request.key)])
    near_.put(l.request.key, reply, now());
  show();
  l.out.reply(reply);
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
  if (owner)
    return;
  // An older answer must not outlive this one, whether this one is kept here or not.
  forget_near(request.key);
  const auto ttl = request.ttl_ms > 0 ? std::chrono::milliseconds{request.ttl_ms} : rules_.ttl;
  const auto fresh = std::chrono::duration_cast<std::chrono::seconds>(ttl).count();
  near_.put(request.key, {request.value, 0, static_cast<std::uint32_t>(fresh)}, now());
  show();
}

// -- clearing -------------------------------------------------------------------------------------

void cache_front::clear(const rt::call& c, const msg::cache_clear_request& request,
                        bool everywhere) {
  if (request.all)
    forget_near();
  else
    forget_near(request.key);
  std::vector<caf::actor> everyone;
  if (request.all)
    everyone = shards_.calls;
  else
    everyone.push_back(shards_.of(slot_of(request.key)));
  const auto state = cluster_.state();
  if (everywhere && state->view)
    for (const auto& each : state->view->members)
      if (each.name != cluster_.self())
        everyone.push_back(cluster_.remote(each.name, "cache/store"));
  const auto which = ++last_id_;
  auto& mine = clearings_[which];
  mine.out = take(c);
  mine.waiting = everyone.size();
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + clear_deadline);
  for (const auto& each : everyone)
    clear_at(which, each, context, request);
}

void cache_front::clear_at(id which, const caf::actor& where, const skep::context& context,
                           const msg::cache_clear_request& request) {
  ask(where, context, request, [this, which](const rt::answer& got) {
    if (got.what == rt::answer::kind::failed)
      meters_.failed.inc();
    const auto entry = clearings_.find(which);
    if (entry == clearings_.end() || --entry->second.waiting > 0)
      return;
    auto out = std::move(entry->second.out);
    clearings_.erase(entry);
    out.reply(msg::ack{});
  });
}

// -- watching the cluster -------------------------------------------------------------------------

void cache_front::changed(const rt::cluster_state_ptr& state) {
  const auto what = history_.install(state, now());
  if (what != slot_history::change::none) {
    stores_.clear();
    forget_near(); // We may own now what it holds, and write it without a look at it.
    order_handover(what == slot_history::change::outdated);
  }
  publish();
}

/// The present state, acted on: a call may be here before the message that tells of it.
rt::cluster_state_ptr cache_front::newest() {
  auto state = cluster_.state();
  if (view_mark(*state) > view_mark(*history_.state()))
    changed(state);
  return state;
}

void cache_front::order_handover(bool outdated) {
  const auto& state = *history_.state();
  if (!state.view)
    return;
  auto plan = std::make_shared<handover_plan>();
  plan->view = state.view->number;
  plan->owned = history_.owned();
  plan->keep = rules_.handover_keep;
  plan->outdated = outdated;
  for (const auto& [node, slots] : history_.gives())
    plan->targets.push_back({store_of(node), slots});
  status_->pending.fetch_add(1);
  plan->pending
    = std::shared_ptr<void>{nullptr, [status = status_](void*) { status->pending.fetch_sub(1); }};
  const std::shared_ptr<const handover_plan> shared = std::move(plan);
  for (const auto& shard : shards_.orders)
    send_control(caf::actor_cast<caf::strong_actor_ptr>(shard), handover_order{shared});
}

/// Shows senders what the history says. The slots first: a sender that sees the new mark must see
/// them as well.
void cache_front::publish() {
  for (std::size_t word = 0; word < moving_.size(); ++word) {
    std::uint64_t bits = 0;
    for (std::uint32_t n = 0; n < 64; ++n)
      if (!history_.previous(static_cast<std::uint32_t>(word * 64 + n)).empty())
        bits |= std::uint64_t{1} << n;
    moving_[word].store(bits, std::memory_order_relaxed);
  }
  status_->seen.store(view_mark(*history_.state()), std::memory_order_release);
}

/// Another node's store; a null handle when the node is not in the view.
caf::actor cache_front::store_of(std::uint64_t node) {
  const auto known = stores_.find(node);
  if (known != stores_.end())
    return known->second;
  const auto* member = history_.state()->member_of(node);
  if (member == nullptr)
    return nullptr;
  return stores_[node] = cluster_.remote(member->name, "cache/store");
}

void cache_front::schedule_expiry() {
  after(expiry_pause, [this] {
    near_.expire(now());
    history_.prune(now());
    publish();
    show();
    schedule_expiry();
  });
}

void cache_front::forget_near() {
  near_.clear();
  for (auto& each : changes_)
    ++each;
  show();
}

void cache_front::forget_near(const msg::cache_key& key) {
  near_.erase(key);
  ++changes_[slot_of(key)];
  show();
}

void cache_front::show() {
  meters_.lookups.set(static_cast<std::int64_t>(lookups_.size()));
  const auto is = near_.stats();
  meters_.near_entries.set(static_cast<std::int64_t>(is.entries));
  meters_.near_bytes.set(static_cast<std::int64_t>(is.bytes));
}

} // namespace skep::actors
