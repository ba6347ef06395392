#include "actors/balancer/balancer.hpp"

#include "actors/balancer/affinity_key.hpp"
#include "messages/chat.hpp"
#include "messages/core.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/base/assert.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/flow/thread_rng.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace skep::actors {

namespace {

// Picks that may fall on members whose guards would refuse before all members are looked at.
constexpr int picks_max = 2;

flow::picker_config slots_for(std::size_t members) {
  flow::picker_config config;
  config.slots_max = static_cast<std::uint32_t>(std::max<std::size_t>(1, members));
  config.scan_max = config.slots_max;
  return config;
}

std::uint32_t in_picker(std::uint32_t weight) {
  const auto units = std::uint64_t{std::max(1u, weight)} * member_health::weight_unit;
  return static_cast<std::uint32_t>(
    std::min<std::uint64_t>(units, std::numeric_limits<std::uint32_t>::max()));
}

} // namespace

balancer::balancer(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                   std::string name, std::vector<balancer_member> members, affinity_rules rules,
                   const health_rules& health)
  : bounded_actor(config, env, kind), name_(std::move(name)), members_(std::move(members)),
    rules_(rules), picker_(slots_for(members_.size())), affinity_(picker_, {rules.load_factor}),
    refused_(env.metrics().counter("skep_balancer_refused_total", "Calls no member had room for.",
                                   {{"name", name_}})),
    picks_(env.metrics().counter("skep_balancer_picks_total", "Calls given to a member.",
                                 {{"name", name_}})) {
  if (rules_.kind != affinity_kind::none) {
    kept_ = &affine_picks("kept");
    spilled_ = &affine_picks("spilled");
  }
  for (const auto& member : members_) {
    const auto slot = picker_.add(in_picker(member.weight), member.in_flight_max);
    SKEP_ASSERT(slot && members_[*slot].handle == member.handle);
    affinity_.set_id(*slot, member.id != 0 ? member.id : *slot + 1);
    picker_.enable(*slot, true);
  }
  health_ = std::make_unique<member_health>(members_, picker_, health, env.metrics(), name_);
}

telemetry::counter& balancer::affine_picks(std::string_view result) {
  return env().metrics().counter(
    "skep_balancer_affinity_total",
    "Calls that belong to others: kept with them, or spilled over because their member was hot.",
    {{"name", name_}, {"result", std::string{result}}});
}

caf::behavior balancer::make_behavior() {
  return {[this](const msg::ack&) { look(); }};
}

void balancer::wake() noexcept {
  caf::anon_send(caf::actor_cast<caf::actor>(caf::strong_actor_ptr{ctrl()}), msg::ack{});
}

void balancer::look() {
  if (look_timer_)
    cancel_timer(*std::exchange(look_timer_, std::nullopt));
  const auto at = health_->look(now());
  if (at)
    look_timer_ = after(std::max<duration>(*at - now(), 1ms), [this] {
      look_timer_.reset();
      look();
    });
}

bool balancer::admits(slot_index slot) noexcept {
  if (rt::would_admit(members_[slot].handle))
    return true;
  if (health_->refused(slot))
    wake();
  return false;
}

std::optional<std::uint64_t>
balancer::affinity_key(const caf::mailbox_element& what) const noexcept {
  const auto& content = what.content();
  switch (rules_.kind) {
    case affinity_kind::none: break;
    case affinity_kind::session:
      if (const auto& session = rt::call_of(content)->context.session; !session.empty())
        return fnv1a(session);
      break;
    case affinity_kind::prefix:
      if (content.match_element<msg::chat_request>(1))
        return prefix_key(content.get_as<msg::chat_request>(1), rules_.prefix_bytes);
      break;
  }
  return std::nullopt;
}

std::optional<balancer::slot_index> balancer::pick_for(const caf::mailbox_element& what) noexcept {
  const auto key = affinity_key(what);
  if (!key)
    return pick();
  const auto usable = [this](slot_index slot) { return admits(slot); };
  const auto affine = affinity_.take_usable(*key, usable);
  if (affine && affine->first)
    kept_->inc();
  else
    spilled_->inc();
  return affine ? affine->slot : pick();
}

std::optional<balancer::slot_index> balancer::pick() noexcept {
  auto& random = flow::thread_rng();
  for (int tries = 0; tries < picks_max; ++tries) {
    const auto slot = picker_.take(random);
    if (!slot || admits(*slot))
      return slot;
    picker_.release(*slot);
  }
  // Several members refuse: look at all of them, from a random one on.
  const auto count = static_cast<std::uint32_t>(members_.size());
  const auto start = random.below(count);
  for (std::uint32_t n = 0; n < count; ++n) {
    const auto slot = (start + n) % count;
    if (admits(slot) && picker_.take_slot(slot))
      return slot;
  }
  if (health_->nobody_left())
    wake();
  return picker_.take(random); // All refuse: this one says why.
}

void balancer::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  if (what->mid.is_response() || rt::call_of(what->content()) == nullptr) {
    bounded_actor::enqueue(std::move(what), unit);
    return;
  }
  const auto token = rt::ensure_lease(*what);
  const auto slot = pick_for(*what);
  if (!slot) {
    refused_.inc();
    if (token)
      token->fail(failure{errc::overloaded, "no member of " + name_ + " has room",
                          kind().bounds.retry_after});
    return;
  }
  picks_.inc();
  if (token && !token->on_settled(caf::strong_actor_ptr{ctrl()}, *this, *slot)) {
    picker_.release(*slot); // Given up before it arrived.
    return;
  }
  members_[*slot].handle->enqueue(std::move(what), unit);
  if (!token)
    picker_.release(*slot);
}

void balancer::settled(const rt::outcome& how, std::uint64_t token) noexcept {
  picker_.release(static_cast<slot_index>(token));
  if (health_->settled(token, how.code))
    wake();
}

std::uint32_t balancer::in_flight(std::size_t member) const {
  return picker_.slot(static_cast<slot_index>(member)).inflight.load();
}

} // namespace skep::actors
