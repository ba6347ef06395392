#include "actors/balancer/member_health.hpp"

#include "actors/balancer/balancer.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/base/log.hpp"
#include "runtime/telemetry/registry.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skep::actors {

namespace {

/// How often a circuit that was seen open is looked at.
constexpr duration watch_interval = 100ms;
/// Steps of a member's weight on its way up.
constexpr int ramp_steps = 20;

enum class verdict : std::uint8_t { good, bad, none };

/// What an outcome says about the server a member stands for: its own failures, not those of the
/// call, of the caller, or of the account.
verdict judge(errc code) {
  switch (code) {
    case errc::none:
    case errc::not_found:
    case errc::cache_miss:
    case errc::bad_request:
    case errc::too_large:
    case errc::context_overflow:
    case errc::content_filtered: return verdict::good;
    case errc::deadline_exceeded:
    case errc::actor_failed:
    case errc::node_down:
    case errc::malformed:
    case errc::transport_failed:
    case errc::provider_failed:
    case errc::provider_overloaded:
    case errc::stream_cut: return verdict::bad;
    default: return verdict::none;
  }
}

std::optional<flow::breaker_state> circuit_of(const caf::actor& who) {
  const auto* guarded = dynamic_cast<const rt::guard*>(caf::actor_cast<caf::abstract_actor*>(who));
  return guarded == nullptr ? std::nullopt : std::optional{guarded->state()};
}

telemetry::counter& ejections(telemetry::registry& metrics, const std::string& name,
                              const char* reason) {
  return metrics.counter("skep_balancer_ejections_total",
                         "Members taken out for a while because they did worse than the others.",
                         {{"name", name}, {"reason", reason}});
}

} // namespace

member_health::member_health(const std::vector<balancer_member>& members, flow::picker& picker,
                             const health_rules& rules, telemetry::registry& metrics,
                             const std::string& name)
  : members_(members), picker_(picker), rules_(rules), detector_(rules.outlier, members.size()),
    usable_([this](std::size_t member) { return usable(member); }),
    seen_(std::make_unique<sighting[]>(members.size())), states_(members.size()),
    failing_ejections_(ejections(metrics, name, "consecutive_failures")),
    rate_ejections_(ejections(metrics, name, "success_rate")),
    suppressed_(metrics.counter("skep_balancer_ejections_suppressed_total",
                                "Ejections that too few members were left for.", {{"name", name}})),
    ejected_(metrics.gauge("skep_balancer_ejected", "Members that are out.", {{"name", name}})),
    starting_(metrics.gauge("skep_balancer_slow_start",
                            "Members that came back and get a part of their share.",
                            {{"name", name}})) {
  for (std::size_t n = 0; n < members.size(); ++n)
    states_[n].weight = picker.slot(static_cast<slot_index>(n)).weight.load();
}

// -- any thread -----------------------------------------------------------------------------------

bool member_health::wake() noexcept {
  return !woken_.exchange(true, std::memory_order_acq_rel);
}

bool member_health::settled(std::size_t member, errc code) noexcept {
  const auto said = judge(code);
  if (said == verdict::none || !rules_.eject)
    return false;
  const bool tripped = detector_.report(member, said == verdict::good);
  if (said == verdict::good)
    return false;
  if (tripped)
    seen_[member].tripped.store(true, std::memory_order_release);
  const bool first = !failing_.load(std::memory_order_relaxed)
                     && !failing_.exchange(true, std::memory_order_relaxed);
  return (tripped || first) && wake();
}

bool member_health::refused(std::size_t member) noexcept {
  auto& mark = seen_[member].refused;
  if (mark.load(std::memory_order_relaxed) || mark.exchange(true, std::memory_order_acq_rel))
    return false;
  return wake();
}

bool member_health::nobody_left() noexcept {
  if (panic_.load(std::memory_order_relaxed) || ejected_.value() == 0)
    return false;
  return !panic_.exchange(true, std::memory_order_acq_rel) && wake();
}

// -- the owner's thread ---------------------------------------------------------------------------

bool member_health::usable(std::size_t member) const {
  return rt::would_admit(members_[member].handle);
}

std::optional<time_point> member_health::look(time_point now) {
  woken_.store(false, std::memory_order_release); // First: what is seen from here on wakes again.
  bring_back(detector_.take_back(now), now);
  eject_tripped(now);
  if (sweep_at_ && now >= *sweep_at_)
    sweep(now);
  else if (!sweep_at_ && failing_.load(std::memory_order_relaxed))
    sweep_at_ = now + rules_.outlier.interval;
  if (panic_.exchange(false, std::memory_order_acq_rel))
    bring_back(detector_.take_back_in_panic(usable_), now);
  watch_circuits(now);
  set_weights(now);
  show();
  std::optional<time_point> next;
  const auto sooner = [&next](std::optional<time_point> at) {
    if (at && (!next || *at < *next))
      next = at;
  };
  sooner(sweep_at_);
  sooner(watch_at_);
  sooner(detector_.next());
  if (newcomers_ > 0)
    sooner(now + std::max<duration>(1ms, rules_.slow_start.window / ramp_steps));
  return next;
}

void member_health::eject_tripped(time_point now) {
  for (std::size_t n = 0; n < members_.size(); ++n)
    if (seen_[n].tripped.exchange(false, std::memory_order_acq_rel)
        && detector_.try_eject(n, flow::ejection_reason::consecutive_failures, now, usable_))
      put_out(n);
}

/// Goes on while somebody fails or an ejection is remembered.
void member_health::sweep(time_point now) {
  const bool failed = failing_.exchange(false, std::memory_order_relaxed);
  for (const auto member : detector_.sweep(now, usable_))
    put_out(member);
  bring_back(detector_.take_back_in_panic(usable_), now);
  if (failed || detector_.remembers())
    sweep_at_ = now + rules_.outlier.interval;
  else
    sweep_at_.reset();
}

void member_health::put_out(std::size_t member) {
  picker_.enable(static_cast<slot_index>(member), false);
}

void member_health::bring_back(const std::vector<std::size_t>& members, time_point now) {
  for (const auto member : members) {
    begin(member, phase::newcomer, now);
    set_weights(now); // Before it is open to calls.
    picker_.enable(static_cast<slot_index>(member), true);
  }
}

void member_health::begin(std::size_t member, phase what, time_point now) {
  auto& its = states_[member];
  newcomers_ += what == phase::newcomer ? 1u : 0u;
  newcomers_ -= its.what == phase::newcomer ? 1u : 0u;
  its.what = what;
  its.since = now;
}

/// Members that were seen refusing, until their circuits are closed again. A look that somebody
/// asked for finds open ones at once; marks are taken away at the watch's own pace only, so that a
/// member that is merely full does not make the owner busy.
void member_health::watch_circuits(time_point now) {
  if (watch_at_ && now < *watch_at_)
    return;
  const bool forget = watch_at_.has_value();
  bool any = false;
  for (std::size_t n = 0; n < members_.size(); ++n)
    any = watch_circuit(n, forget, now) || any;
  watch_at_ = any ? std::optional{now + watch_interval} : std::nullopt;
}

bool member_health::watch_circuit(std::size_t member, bool forget, time_point now) {
  auto& mark = seen_[member].refused;
  if (!mark.load(std::memory_order_acquire))
    return false;
  const bool open = circuit_of(members_[member].handle).value_or(flow::breaker_state::closed)
                    != flow::breaker_state::closed;
  auto& its = states_[member];
  if (open && its.what != phase::circuit_open)
    begin(member, phase::circuit_open, now);
  else if (!open && its.what == phase::circuit_open)
    begin(member, phase::newcomer, now);
  if (open || !forget)
    return true;
  mark.store(false, std::memory_order_release);
  return false;
}

/// One whose circuit is open waits at the foot of the ramp, so that it does not get its full share
/// between the closing of the circuit and the next look.
void member_health::set_weights(time_point now) {
  const auto& ramp = rules_.slow_start;
  const auto returning = std::count_if(states_.begin(), states_.end(),
                                       [](const state& each) { return each.what != phase::full; });
  const bool too_many
    = static_cast<double>(returning) > ramp.newcomers_max * static_cast<double>(members_.size());
  for (std::size_t n = 0; n < members_.size(); ++n) {
    auto& its = states_[n];
    double share = 1;
    if (its.what == phase::circuit_open && ramp.window > duration::zero())
      share = ramp.weight_min;
    else if (its.what == phase::newcomer)
      share = flow::slow_start_share(ramp, now - its.since);
    if (its.what == phase::newcomer && now - its.since >= ramp.window)
      begin(n, phase::full, now);
    const auto full = members_[n].weight * std::uint64_t{weight_unit};
    const auto part = too_many ? full : std::llround(static_cast<double>(full) * share);
    const auto weight = static_cast<std::uint32_t>(std::clamp<long long>(
      static_cast<long long>(part), 1, std::numeric_limits<std::uint32_t>::max()));
    if (weight == its.weight)
      continue;
    its.weight = weight;
    picker_.set_weight(static_cast<slot_index>(n), weight);
  }
}

void member_health::show() {
  const auto& now = detector_.counts();
  failing_ejections_.add(now.consecutive_failures - shown_.consecutive_failures);
  rate_ejections_.add(now.success_rate - shown_.success_rate);
  suppressed_.add(now.suppressed - shown_.suppressed);
  shown_ = now;
  ejected_.set(static_cast<std::int64_t>(detector_.ejected_count()));
  starting_.set(static_cast<std::int64_t>(newcomers_));
}

} // namespace skep::actors
