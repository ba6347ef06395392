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
    [this](const rt::call& c, const msg::cache_release_request& request) { release(c, request); },
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
    if (const auto* release = payload_of<msg::cache_release_request>(*what);
        release && pass(*release, what, unit))
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
  if (!alone(slot, *state))
    return false;
  if (rules_.second_level) {
    const auto* c = rt::call_of(what->content());
    rules_.second_level->enqueue(
      caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                rt::call{c->context, nullptr, bytes_of(put)}, put),
      nullptr);
  }
  shards_.of(slot)->enqueue(std::move(what), unit);
  return true;
}

bool cache_front::pass(const msg::cache_release_request& release, caf::mailbox_element_ptr& what,
                       caf::execution_unit* unit) {
  const auto slot = slot_of(release.key);
  if (!alone(slot, *cluster_.state()))
    return false;
  shards_.of(slot)->enqueue(std::move(what), unit);
  return true;
}

/// This node is the slot's one owner.
bool cache_front::alone(std::uint32_t slot, const rt::cluster_state& state) const {
  const auto owners = state.slots.owners(slot);
  return owners.size() == 1 && owners.front() == self_;
}

/// A shard of ours may lack what a previous owner has; also while the front has not yet seen the
/// state that the sender sees.
bool cache_front::in_transition(std::uint32_t slot, const rt::cluster_state& state) const {
  return status_->seen.load(std::memory_order_acquire) < view_mark(state)
         || (moving_[slot / 64].load(std::memory_order_relaxed) >> slot % 64 & 1) != 0;
}

// -- clearing -------------------------------------------------------------------------------------

/// The second level first: what a shard that has been cleared is asked for must not come back from
/// there.
void cache_front::clear(const rt::call& c, const msg::cache_clear_request& request,
                        bool everywhere) {
  const auto which = ++last_id_;
  auto& mine = clearings_[which];
  mine.out = take(c);
  mine.context = c.context;
  mine.request = request;
  mine.everywhere = everywhere;
  if (everywhere && rules_.second_level)
    ask_to_clear(mine, rules_.second_level, [this, which] { clear_owners(which); });
  else
    clear_owners(which);
}

void cache_front::clear_owners(id which) {
  auto& mine = clearings_[which];
  const auto& request = mine.request;
  cleared_.add(request, now());
  forget_near(request);
  std::vector<caf::actor> everyone;
  if (request.all || request.group != 0)
    everyone = shards_.calls;
  else
    everyone.push_back(shards_.of(slot_of(request.key)));
  const auto state = cluster_.state();
  if (mine.everywhere && state->view)
    for (const auto& each : state->view->members)
      if (each.name != cluster_.self())
        everyone.push_back(cluster_.remote(each.name, "cache/store"));
  // Nobody may be the last before everybody was asked.
  mine.waiting = everyone.size() + 1;
  const auto cleared = [this, which] {
    const auto entry = clearings_.find(which);
    if (entry == clearings_.end() || --entry->second.waiting > 0)
      return;
    auto out = std::move(entry->second.out);
    clearings_.erase(entry);
    out.reply(msg::ack{});
  };
  for (const auto& each : everyone)
    ask_to_clear(mine, each, cleared);
  cleared();
}

/// One that fails is not waited for any longer.
void cache_front::ask_to_clear(const clearing& what, const caf::actor& where,
                               std::function<void()> then) {
  auto context = what.context;
  context.deadline = std::min(context.deadline, now() + clear_deadline);
  ask(where, std::move(context), what.request,
      [this, then = std::move(then)](const rt::answer& got) {
        if (got.what == rt::answer::kind::failed)
          meters_.failed.inc();
        then();
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

void cache_front::forget_near(const msg::cache_clear_request& what) {
  if (what.all || what.group != 0)
    forget_near();
  else
    forget_near(what.key);
}

void cache_front::show() {
  meters_.lookups.set(static_cast<std::int64_t>(lookups_.size()));
  const auto is = near_.stats();
  meters_.near_entries.set(static_cast<std::int64_t>(is.entries));
  meters_.near_bytes.set(static_cast<std::int64_t>(is.bytes));
}

} // namespace skep::actors
