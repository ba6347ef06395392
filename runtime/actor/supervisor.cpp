#include "runtime/actor/supervisor.hpp"

#include "messages/core.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>

#include <algorithm>

namespace skep::rt {

namespace {

bool ended_normally(const caf::error& reason) {
  return !reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown;
}

void stop_actor(const caf::actor& who) {
  if (who)
    caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
}

/// Why a child ended, in words of our own where CAF's are its codes.
std::string ending(const caf::error& reason) {
  if (reason == caf::exit_reason::kill)
    return "killed";
  if (reason == caf::exit_reason::unhandled_exception)
    return "an exception";
  if (reason.category() == caf::atom("exit"))
    return "told to end";
  return to_string(from_caf_error(reason));
}

} // namespace

supervisor::child supervisor::start_child(environment& env, child_spec spec) {
  child c;
  c.guard_handle = guard::make(env, spec.name, spec.guard);
  c.instance = spec.start();
  guard::of(c.guard_handle).put(c.instance);
  c.spec = std::move(spec);
  return c;
}

caf::actor supervisor::start_over(environment& env, const actor_kind& kind,
                                  const supervisor_config& config, std::vector<child> children) {
  auto root = env.spawn<supervisor>(kind, config, std::move(children));
  // Its first message, so that it begins to watch now and not with the first failure.
  caf::anon_send(root, msg::ack{});
  return root;
}

supervisor::tree supervisor::make(environment& env, const actor_kind& kind,
                                  const supervisor_config& config, std::vector<child_spec> specs) {
  tree made;
  std::vector<child> children;
  for (auto& spec : specs) {
    children.push_back(start_child(env, std::move(spec)));
    made.guards.push_back(children.back().guard_handle);
  }
  made.root = start_over(env, kind, config, std::move(children));
  return made;
}

supervisor::supervisor(caf::actor_config& config, environment& env, const actor_kind& kind,
                       supervisor_config rules, std::vector<child> children)
  : bounded_actor(config, env, kind), rules_(rules), children_(std::move(children)),
    rng_(rules.seed) {}

caf::behavior supervisor::make_behavior() {
  for (auto& c : children_)
    monitor<caf::message_priority::high>(c.instance);
  return {
    [](const msg::ack&) {
      // Woken: the children are watched now.
    },
  };
}

guard& supervisor::guard_of(child& c) const {
  return guard::of(c.guard_handle);
}

void supervisor::on_down(const caf::down_msg& down) {
  for (auto& c : children_) {
    if (c.instance && c.instance.address() == down.source) {
      child_ended(c, down.reason);
      return;
    }
  }
}

void supervisor::child_ended(child& c, const caf::error& reason) {
  c.instance = nullptr;
  guard_of(c).absent();
  if (std::exchange(c.stopping, false)) {
    if (c.wanted && restart_timer_ == 0)
      start_wanted();
    return;
  }
  if (!restarts_again(c, reason)) {
    retire(c, reason);
    return;
  }
  if (too_many_restarts()) {
    log::error("{} failed too often; its supervisor gives up", c.spec.name);
    escalating_ = true;
    quit(to_caf_error(failure{errc::actor_failed, c.spec.name + " fails again and again"}));
    return;
  }
  stop_affected(c);
  const auto delay = next_backoff();
  log::warn("{} ended ({}); restart {} in {} ms", c.spec.name, ending(reason), restarts_.size(),
            std::chrono::duration_cast<std::chrono::milliseconds>(delay).count());
  cancel_timer(restart_timer_);
  restart_timer_ = after(delay, [this] {
    restart_timer_ = 0;
    start_wanted();
  });
}

bool supervisor::restarts_again(const child& c, const caf::error& reason) const {
  switch (c.spec.restart) {
    case restart_policy::permanent: return true;
    case restart_policy::transient: return !ended_normally(reason);
    case restart_policy::temporary: return false;
  }
  return false;
}

bool supervisor::too_many_restarts() {
  const auto at = now();
  restarts_.push_back(at);
  while (restarts_.front() + rules_.restarts_window < at)
    restarts_.pop_front();
  return restarts_.size() > rules_.restarts_max;
}

void supervisor::stop_affected(child& failed) {
  bool behind = false;
  for (auto& c : children_) {
    behind = behind || &c == &failed;
    const bool with_it = rules_.strategy == restart_strategy::one_for_all
                         || (rules_.strategy == restart_strategy::rest_for_one && behind);
    if (c.retired || (&c != &failed && !with_it))
      continue;
    c.wanted = true;
    if (c.instance && !c.stopping) {
      c.stopping = true;
      guard_of(c).absent();
      stop_actor(c.instance);
    }
  }
}

void supervisor::retire(child& c, const caf::error& reason) {
  c.retired = true;
  c.wanted = false;
  guard_of(c).retire(reason);
}

void supervisor::start_wanted() {
  for (auto& c : children_)
    if (c.wanted && !c.instance)
      start(c);
}

void supervisor::start(child& c) {
  c.wanted = false;
  try {
    c.instance = c.spec.start();
  } catch (const std::exception& e) {
    log::error("{} did not start: {}", c.spec.name, e.what());
    child_ended(c, to_caf_error(failure{errc::actor_failed, e.what()}));
    return;
  }
  monitor<caf::message_priority::high>(c.instance);
  guard_of(c).put(c.instance);
}

duration supervisor::next_backoff() {
  auto ceiling = rules_.backoff_min;
  for (std::size_t n = 1; n < restarts_.size() && ceiling < rules_.backoff_max; ++n)
    ceiling *= 2;
  ceiling = std::max(duration{1}, std::min(ceiling, rules_.backoff_max));
  return duration{std::uniform_int_distribution<duration::rep>{1, ceiling.count()}(rng_)};
}

void supervisor::on_stop() {
  for (auto& c : children_) {
    stop_actor(c.instance);
    // After an escalation the guards stay: whoever supervises us starts the children again.
    if (escalating_)
      guard_of(c).absent();
    else if (!c.retired)
      retire(c, caf::make_error(caf::exit_reason::user_shutdown));
  }
}

} // namespace skep::rt
