#include "runtime/actor/guard.hpp"

#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/make_actor.hpp>
#include <caf/system_messages.hpp>

#include <mutex>

namespace skep::rt {

namespace {

/// What an outcome says about the child and what is behind it.
flow::breaker_outcome judge(errc code) {
  switch (code) {
    case errc::none:
    case errc::not_found:
    case errc::cache_miss:
    case errc::bad_request:
    case errc::unauthenticated:
    case errc::forbidden:
    case errc::too_large:
    case errc::unexpected_message:
    case errc::context_overflow:
    case errc::content_filtered:
      return flow::breaker_outcome::success; // It works; the call was at fault.
    case errc::deadline_exceeded:
    case errc::actor_failed:
    case errc::node_down:
    case errc::malformed:
    case errc::transport_failed:
    case errc::provider_failed:
    case errc::provider_overloaded:
    case errc::rate_limited:
    case errc::quota_exhausted:
    case errc::provider_auth_failed:
    case errc::stream_cut: return flow::breaker_outcome::failure;
    case errc::overloaded:
    case errc::circuit_open:
    case errc::unavailable:
    case errc::cancelled:
    case errc::bad_config:
    case errc::shutting_down:
      return flow::breaker_outcome::ignored; // Nothing was asked of it, or nothing was heard.
  }
  return flow::breaker_outcome::ignored;
}

std::uint64_t pack(const flow::admission& granted) {
  return granted.permit << 32 | granted.generation;
}

flow::admission unpack(std::uint64_t token) {
  flow::admission granted;
  granted.granted = true;
  granted.permit = token >> 32;
  granted.generation = static_cast<std::uint32_t>(token);
  return granted;
}

std::chrono::milliseconds in_ms(duration d) {
  return std::chrono::ceil<std::chrono::milliseconds>(d);
}

} // namespace

guard::guard(caf::actor_config& config, environment& env, std::string name, guard_config rules)
  : actor_proxy(config), env_(env), name_(std::move(name)), rules_(rules),
    meters_{
      env.metrics().counter("skep_guard_refused_total", "Calls a guard refused.",
                            {{"name", name_}, {"reason", "circuit_open"}}),
      env.metrics().counter("skep_guard_refused_total", "Calls a guard refused.",
                            {{"name", name_}, {"reason", "unavailable"}}),
      env.metrics().counter("skep_guard_refused_total", "Calls a guard refused.",
                            {{"name", name_}, {"reason", "in_flight_max"}}),
      env.metrics().gauge("skep_breaker_state", "0 closed, 1 open, 2 half-open.",
                          {{"name", name_}}),
      env.metrics().gauge("skep_guard_in_flight", "Calls admitted and not yet ended.",
                          {{"name", name_}}),
    },
    breaker_(rules.breaker) {}

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
  return breaker_.state(env_.now());
}

bool guard::would_admit() const {
  std::lock_guard hold{lock_};
  if (!child_ || draining_ || in_flight_ >= rules_.in_flight_max)
    return false;
  if (hint_ != nullptr && !hint_->has_room())
    return false;
  return !rules_.use_breaker || breaker_.retry_after(env_.now()) == duration::zero();
}

std::uint32_t guard::in_flight() const {
  std::lock_guard hold{lock_};
  return in_flight_;
}

caf::actor guard::child() const {
  std::lock_guard hold{lock_};
  return child_;
}

bool guard::admit(time_point now, flow::admission& granted, failure& why) {
  if (!child_ || draining_) {
    meters_.refused_absent.inc();
    why = failure{draining_ ? errc::shutting_down : errc::unavailable,
                  name_
                    + (draining_  ? " takes no more calls"
                       : retired_ ? " has ended"
                                  : " is being restarted"),
                  rules_.absent_retry_after};
    return false;
  }
  if (in_flight_ >= rules_.in_flight_max) {
    meters_.refused_full.inc();
    why = failure{errc::overloaded, name_ + " has in_flight_max calls at work",
                  rules_.absent_retry_after};
    return false;
  }
  granted.granted = true;
  if (rules_.use_breaker)
    granted = breaker_.acquire(now);
  if (!granted.granted) {
    meters_.refused_circuit.inc();
    why = failure{errc::circuit_open, "the circuit to " + name_ + " is open",
                  in_ms(granted.retry_after)};
    return false;
  }
  ++in_flight_;
  meters_.in_flight.set(in_flight_);
  show_state(now);
  return true;
}

void guard::show_state(time_point now) {
  if (rules_.use_breaker)
    meters_.state.set(static_cast<std::int64_t>(breaker_.state(now)));
}

void guard::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  const auto& content = what->content();
  // An exit is for whoever is behind the guard, and only the supervisor retires that for good.
  const bool exits = content.size() == 1 && content.match_element<caf::exit_msg>(0);
  const auto token = exits ? nullptr : ensure_lease(*what);
  flow::admission granted;
  failure why;
  caf::actor child;
  {
    std::lock_guard hold{lock_};
    const bool counted = token != nullptr;
    if (!counted || admit(env_.now(), granted, why))
      child = child_;
  }
  if (!child) {
    if (token)
      token->fail(why);
    return;
  }
  if (token && !token->on_settled(caf::strong_actor_ptr{ctrl()}, *this, pack(granted))) {
    settled({errc::cancelled, {}}, pack(granted)); // Given up before it arrived.
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
  std::lock_guard hold{lock_};
  --in_flight_;
  meters_.in_flight.set(in_flight_);
  if (!rules_.use_breaker)
    return;
  breaker_.settle(unpack(token), judge(how.code), now, how.retry_after);
  show_state(now);
}

bool would_admit(const caf::actor& who) {
  const auto* guarded = dynamic_cast<const guard*>(caf::actor_cast<caf::abstract_actor*>(who));
  return guarded == nullptr || guarded->would_admit();
}

} // namespace skep::rt
