#include "runtime/cluster/route.hpp"

#include "runtime/cluster/cluster_port.hpp"
#include "runtime/flow/thread_rng.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/make_actor.hpp>

#include <algorithm>
#include <mutex>

namespace skep::rt {

namespace {

// Picks that may fall on members already tried before all members are looked at.
constexpr int picks_max = 3;

flow::picker_config slots_for(const route_config& rules) {
  flow::picker_config config;
  config.slots_max = rules.nodes_max + 1;
  config.scan_max = config.slots_max;
  return config;
}

bool has(const std::vector<std::uint32_t>& tried, std::uint32_t slot) {
  return std::find(tried.begin(), tried.end(), slot) != tried.end();
}

telemetry::counter& picks(environment& env, const std::string& name, const char* where) {
  return env.metrics().counter("skep_route_picks_total", "Calls given to a node.",
                               {{"name", name}, {"where", where}});
}

} // namespace

route::route(caf::actor_config& config, environment& env, std::weak_ptr<wire_port> port,
             std::string name, route_config rules)
  : actor_proxy(config), env_(env), port_(std::move(port)), name_(std::move(name)), rules_(rules),
    picker_(slots_for(rules)), affinity_(picker_), picked_local_(picks(env, name_, "here")),
    picked_remote_(picks(env, name_, "elsewhere")),
    refused_(env.metrics().counter("skep_route_refused_total",
                                   "Calls no node could take at the moment.", {{"name", name_}})),
    run_again_(env.metrics().counter("skep_route_run_again_total",
                                     "Calls run again because their node was lost or full.",
                                     {{"name", name_}})),
    members_(rules.nodes_max + 1) {}

route::~route() = default;

caf::actor route::make(environment& env, const std::shared_ptr<wire_port>& port, std::string name,
                       const route_config& rules) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<route, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, env, std::weak_ptr<wire_port>{port},
    std::move(name), rules));
}

route& route::of(const caf::actor& handle) {
  return *static_cast<route*>(caf::actor_cast<caf::abstract_actor*>(handle));
}

// -- members, one writer at a time ----------------------------------------------------------------

void route::place(slot_index slot, member who) {
  std::lock_guard guard{lock_};
  std::swap(members_[slot], who); // What was there goes away outside the lock.
}

route::member route::at(slot_index slot) const {
  std::lock_guard guard{lock_};
  return members_[slot];
}

std::optional<route::slot_index> route::find_slot(const std::string& node) const {
  std::lock_guard guard{lock_};
  for (slot_index slot = 0; slot < members_.size(); ++slot)
    if (members_[slot].session && members_[slot].session->node() == node)
      return slot;
  return std::nullopt;
}

void route::set_local(caf::actor who, std::uint64_t node_id) {
  if (!who || local_slot_)
    return;
  const auto slot = picker_.add(1, rules_.remote_in_flight_max);
  if (!slot)
    return;
  place(*slot, {nullptr, std::move(who)});
  affinity_.set_id(*slot, node_id);
  {
    std::lock_guard guard{lock_};
    local_slot_ = slot;
  }
  picker_.enable(*slot, true);
}

void route::add(const wire_session_ptr& session, std::uint64_t node_id, std::uint32_t weight) {
  remove(session->node());
  const auto slot = picker_.add(std::max(1u, weight), rules_.remote_in_flight_max);
  if (!slot)
    return;
  place(*slot, {session, nullptr});
  affinity_.set_id(*slot, node_id);
  picker_.enable(*slot, true);
}

void route::remove(const std::string& node) {
  if (const auto slot = find_slot(node)) {
    picker_.remove(*slot);
    place(*slot, {});
  }
}

void route::enable(const std::string& node, bool on) {
  if (const auto slot = find_slot(node))
    if (picker_.slot(*slot).enabled.load() != on)
      picker_.enable(*slot, on);
}

// -- choosing, on the sender's thread -------------------------------------------------------------

bool route::usable(slot_index slot, const std::vector<std::uint32_t>& tried) const {
  if (has(tried, slot))
    return false;
  const auto who = at(slot);
  return who.local ? would_admit(who.local) : who.session && who.session->is_open();
}

std::optional<route::slot_index> route::choose(const call& c,
                                               const std::vector<std::uint32_t>& tried) {
  if (!c.context.session.empty()) {
    const auto slot = affinity_.take(node_id(c.context.session));
    if (slot && usable(*slot, tried))
      return slot;
    if (slot)
      picker_.release(*slot);
  }
  std::optional<slot_index> here;
  {
    std::lock_guard guard{lock_};
    here = local_slot_;
  }
  if (here && picker_.slot(*here).inflight.load() < rules_.local_in_flight_max
      && usable(*here, tried) && picker_.take_slot(*here))
    return here;
  return choose_any(tried);
}

std::optional<route::slot_index> route::choose_any(const std::vector<std::uint32_t>& tried) {
  auto& random = flow::thread_rng();
  for (int n = 0; n < picks_max; ++n) {
    const auto slot = picker_.take(random);
    if (!slot || usable(*slot, tried))
      return slot;
    picker_.release(*slot);
  }
  for (slot_index slot = 0; slot < picker_.slots_max(); ++slot)
    if (picker_.slot(slot).enabled.load() && usable(slot, tried) && picker_.take_slot(slot))
      return slot;
  return std::nullopt;
}

void route::send_to(slot_index slot, caf::mailbox_element_ptr what,
                    std::vector<std::uint32_t> tried) {
  auto who = at(slot);
  const auto keep = caf::strong_actor_ptr{ctrl()};
  if (auto port = port_.lock(); port && who.session) {
    picked_remote_.inc();
    port->call_out(who.session, {name_, {}}, std::move(what), {keep, this, slot, std::move(tried)});
    return;
  }
  const auto token = ensure_lease(*what);
  if (!who.local) {
    picker_.release(slot); // Removed in this very moment.
    return deliver(std::move(what), std::move(tried),
                   failure{errc::unavailable, "no node serves " + name_, rules_.retry_after});
  }
  picked_local_.inc();
  if (token && !token->on_settled(keep, *this, slot)) {
    picker_.release(slot); // Given up before it arrived.
    return;
  }
  who.local->enqueue(std::move(what), nullptr);
  if (!token)
    picker_.release(slot);
}

void route::deliver(caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried,
                    const failure& otherwise) {
  const auto token = ensure_lease(*what);
  const auto* c = call_of(what->content());
  if (c->context.expired(env_.now())) {
    if (token)
      token->fail(failure{errc::deadline_exceeded, "the deadline passed on the way"});
    return;
  }
  if (const auto slot = choose(*c, tried))
    return send_to(*slot, std::move(what), std::move(tried));
  refused_.inc();
  if (token)
    token->fail(otherwise);
}

void route::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  if (call_of(what->content()) == nullptr)
    return; // Exits and other control are for actors, not for names.
  deliver(
    std::move(what), {},
    failure{errc::unavailable, "no node serves " + name_ + " at the moment", rules_.retry_after});
}

void route::again(caf::mailbox_element_ptr what, std::vector<std::uint32_t> tried,
                  const failure& why) {
  run_again_.inc();
  deliver(std::move(what), std::move(tried), why);
}

void route::settled(const outcome&, std::uint64_t token) noexcept {
  picker_.release(static_cast<slot_index>(token));
}

void route::ended(std::uint64_t token) noexcept {
  picker_.release(static_cast<slot_index>(token));
}

void route::kill_proxy(caf::execution_unit* unit, caf::error reason) {
  cleanup(std::move(reason), unit);
}

const char* route::name() const {
  return name_.c_str();
}

} // namespace skep::rt
