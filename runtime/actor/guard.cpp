#include "runtime/actor/guard.hpp"

#include "runtime/actor/call.hpp"
#include "runtime/actor/metric_names.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/make_actor.hpp>
#include <caf/system_messages.hpp>

#include <array>
#include <mutex>

namespace skep::rt {

namespace {

std::chrono::milliseconds in_ms(duration d) {
  return std::chrono::ceil<std::chrono::milliseconds>(d);
}

telemetry::counter& refused(telemetry::registry& m, const std::string& name, const char* reason) {
  return m.counter("skep_guard_refused_total", "Calls a guard refused.",
                   {{"name", name}, {"reason", reason}});
}

/// What a circuit's or a hold's change is called in the log.
struct change_words {
  std::string_view began;
  std::string_view goes_on;
  std::string_view ended;
};
constexpr change_words circuit_words{"circuit opened", "circuit stays open: the probe failed",
                                     "circuit closed"};
constexpr change_words quota_words{"quota spent: calls are held back",
                                   "quota still spent: calls are held back",
                                   "quota released: there is some again"};

/// Each change is one line. Their number is bounded by the open times, which double.
void tell(const change_words& words, const std::string& name, const flow::gate_standing& before,
          const flow::gate_standing& after, errc why) noexcept {
  using log::field;
  if (after.trips != before.trips) {
    const bool first = before.state == flow::breaker_state::closed;
    log::tell(log::level::warn, {}, first ? words.began : words.goes_on,
              std::array{field{"name", std::string_view{name}},
                         field{"wait_ms", in_ms(after.wait).count()},
                         field{"error", to_string(why)}});
  } else if (after.state == flow::breaker_state::closed && before.state != after.state) {
    log::tell(log::level::info, {}, words.ended, std::array{field{"name", std::string_view{name}}});
  }
}

} // namespace

guard::meters::meters(telemetry::registry& m, const std::string& name, const guard_config& rules)
  : refused_absent(refused(m, name, "unavailable")), refused_late(refused(m, name, "deadline")),
    refused_full(refused(m, name, "in_flight_max")),
    refused_quota(refused(m, name, "quota_exhausted")),
    refused_circuit(refused(m, name, "circuit_open")),
    state(m.gauge(metric::breaker_state.name, metric::breaker_state.help,
                  {{metric::breaker_state.label, name}})),
    in_flight(
      m.gauge("skep_guard_in_flight", "Calls admitted and not yet ended.", {{"name", name}})) {
  if (!rules.use_limit)
    return;
  refused_limit = &refused(m, name, "adaptive_limit");
  limit = &m.gauge("skep_guard_limit", "The present adaptive limit of calls at work.",
                   {{"name", name}});
}

telemetry::counter& guard::meters::refused_by(flow::gate_step step) const {
  switch (step) {
    case flow::gate_step::deadline: return refused_late;
    case flow::gate_step::in_flight: return refused_full;
    case flow::gate_step::limit: return *refused_limit;
    case flow::gate_step::quota: return refused_quota;
    case flow::gate_step::circuit: return refused_circuit;
    case flow::gate_step::admitted: break;
  }
  return refused_absent;
}

guard::guard(caf::actor_config& config, environment& env, std::string name, guard_config rules)
  : actor_proxy(config), env_(env), name_(std::move(name)), rules_(rules),
    meters_(env.metrics(), name_, rules_), gate_(rules) {
  if (meters_.limit != nullptr)
    meters_.limit->set(gate_.limit());
}

guard::~guard() = default;

caf::actor guard::make(environment& env, std::string name, const guard_config& rules) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<guard, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, env, std::move(name), rules));
}

guard& guard::of(const caf::actor& handle) {
  return *static_cast<guard*>(caf::actor_cast<caf::abstract_actor*>(handle));
}

void guard::put(caf::actor child) {
  const auto* hint = dynamic_cast<load_hint*>(caf::actor_cast<caf::abstract_actor*>(child));
  std::lock_guard hold{lock_};
  if (retired_)
    return;
  child_.swap(child);
  hint_ = hint;
}

void guard::absent() {
  caf::actor gone; // Its last reference may go away below, outside the lock.
  std::lock_guard hold{lock_};
  gone.swap(child_);
  hint_ = nullptr;
}

void guard::set_draining(bool draining) {
  std::lock_guard hold{lock_};
  draining_ = draining;
}

void guard::retire(const caf::error& reason) {
  absent();
  {
    std::lock_guard hold{lock_};
    retired_ = true;
  }
  cleanup(caf::error{reason}, nullptr);
}

flow::breaker_state guard::state() const {
  std::lock_guard hold{lock_};
  return gate_.circuit(env_.now());
}

bool guard::would_admit() const {
  std::lock_guard hold{lock_};
  if (!child_ || draining_)
    return false;
  if (hint_ != nullptr && !hint_->has_room())
    return false;
  return gate_.would_admit(env_.now());
}

std::uint32_t guard::in_flight() const {
  std::lock_guard hold{lock_};
  return gate_.in_flight();
}

std::uint32_t guard::limit() const {
  std::lock_guard hold{lock_};
  return gate_.limit();
}

caf::actor guard::child() const {
  std::lock_guard hold{lock_};
  return child_;
}

guard::absence guard::absent_for() const {
  if (draining_)
    return absence::draining;
  if (child_)
    return absence::none;
  return retired_ ? absence::retired : absence::restarting;
}

failure guard::refusal(absence why) const {
  switch (why) {
    case absence::draining:
      return failure{errc::shutting_down, name_ + " takes no more calls",
                     rules_.absent_retry_after};
    case absence::retired:
      return failure{errc::unavailable, name_ + " has ended", rules_.absent_retry_after};
    case absence::restarting:
    case absence::none: break;
  }
  return failure{errc::unavailable, name_ + " is being restarted", rules_.absent_retry_after};
}

failure guard::refusal(const flow::gate_answer& why) const {
  auto detail = [&]() -> std::string {
    switch (why.refused_by) {
      case flow::gate_step::deadline: return "too little time is left to ask " + name_;
      case flow::gate_step::in_flight: return name_ + " has in_flight_max calls at work";
      case flow::gate_step::limit:
        return name_ + " has as many calls at work as it serves without queueing them";
      case flow::gate_step::quota:
        return "the quota of " + name_ + " was found spent; it is asked again later";
      case flow::gate_step::circuit: return "the circuit to " + name_ + " is open";
      case flow::gate_step::admitted: break;
    }
    return {};
  };
  return failure{why.code, detail(), in_ms(why.retry_after)};
}

void guard::show(time_point now) {
  meters_.in_flight.set(gate_.in_flight());
  if (rules_.use_breaker)
    meters_.state.set(static_cast<std::int64_t>(gate_.circuit(now)));
  if (meters_.limit != nullptr)
    meters_.limit->set(gate_.limit());
}

void guard::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  const auto& content = what->content();
  // An exit is for whoever is behind the guard, and only the supervisor retires that for good.
  const bool exits = content.size() == 1 && content.match_element<caf::exit_msg>(0);
  const auto token = exits ? nullptr : ensure_lease(*what);
  const auto* asked = token ? call_of(content) : nullptr;
  flow::gate_answer answer;
  auto absent = absence::none;
  caf::actor child;
  const auto now = env_.now();
  {
    // Nothing in here allocates: what a refused caller is told is written outside.
    std::lock_guard hold{lock_};
    if (asked != nullptr) {
      absent = absent_for();
      if (absent == absence::none)
        answer = gate_.acquire(asked->context.deadline, now);
    }
    if (absent == absence::none && answer.admitted()) {
      child = child_;
      if (asked != nullptr)
        show(now);
    }
  }
  if (!child) {
    if (asked == nullptr)
      return;
    (absent == absence::none ? meters_.refused_by(answer.refused_by) : meters_.refused_absent)
      .inc();
    token->fail(absent == absence::none ? refusal(answer) : refusal(absent));
    return;
  }
  if (token && !token->on_settled(caf::strong_actor_ptr{ctrl()}, *this, answer.ticket)) {
    settled({errc::cancelled, {}, {}}, answer.ticket); // Given up before it arrived.
    return;
  }
  child->enqueue(std::move(what), unit);
}

void guard::kill_proxy(caf::execution_unit*, caf::error reason) {
  retire(reason);
}

const char* guard::name() const {
  return name_.c_str();
}

void guard::settled(const outcome& how, std::uint64_t token) noexcept {
  const auto now = env_.now();
  std::unique_lock hold{lock_};
  const auto circuit = gate_.circuit_standing(now);
  const auto quota = gate_.quota_standing(now);
  gate_.settle(token, {how.code, how.retry_after, how.latency, how.asked}, now);
  const auto circuit_after = gate_.circuit_standing(now);
  const auto quota_after = gate_.quota_standing(now);
  show(now);
  hold.unlock();
  tell(circuit_words, name_, circuit, circuit_after, how.code);
  tell(quota_words, name_, quota, quota_after, how.code);
}

bool would_admit(const caf::actor& who) {
  const auto* guarded = dynamic_cast<const guard*>(caf::actor_cast<caf::abstract_actor*>(who));
  return guarded == nullptr || guarded->would_admit();
}

} // namespace skep::rt
