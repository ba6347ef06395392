#pragma once

#include "runtime/actor/bounded_actor.hpp"
#include "runtime/actor/guard.hpp"

#include <deque>
#include <random>
#include <string>
#include <vector>

namespace skep::rt {

/// When a child that ended is started again.
enum class restart_policy : std::uint8_t {
  /// Always.
  permanent,
  /// Unless it ended normally.
  transient,
  /// Never.
  temporary,
};

/// Who is restarted with a child that failed.
enum class restart_strategy : std::uint8_t {
  one_for_one,
  one_for_all,
  /// The child and those started after it.
  rest_for_one,
};

/// How a child is made and when it is made again.
struct child_spec {
  std::string name;
  /// Makes a fresh instance; runs on the supervisor's thread, the first time on the creator's.
  std::function<caf::actor()> start;
  restart_policy restart = restart_policy::permanent;
  guard_config guard;
};

/// Restart rules of one supervisor (after Erlang/OTP's supervisor).
struct supervisor_config {
  restart_strategy strategy = restart_strategy::one_for_one;
  /// More restarts than this within the window and the supervisor fails itself: it escalates.
  std::uint32_t restarts_max = 10;
  duration restarts_window = 30s;
  /// Delay before restart n in the window: random in (0, backoff_min * 2^(n-1)], capped.
  duration backoff_min = 20ms;
  duration backoff_max = 5s;
  std::uint64_t seed = 0x5eed;
};

/// Owns children, restarts them by its rules, and keeps a guard in front of each, so that their
/// addresses outlive them. When it fails, its own supervisor sees it as one of its children.
class supervisor : public bounded_actor {
public:
  struct child {
    child_spec spec;
    caf::actor guard_handle;
    caf::actor instance;
    /// Being stopped by us; its end is no failure.
    bool stopping = false;
    /// Is to be started as soon as it is down and its back-off is over.
    bool wanted = false;
    bool retired = false;
  };
  /// The supervisor and one guard per spec, in order.
  struct tree {
    caf::actor root;
    std::vector<caf::actor> guards;
  };

  /// Makes the guard and the first instance. Throws what the spec's start throws.
  static child start_child(environment& env, child_spec spec);
  /// Starts a supervisor over children that run already.
  static caf::actor start_over(environment& env, const actor_kind& kind,
                               const supervisor_config& config, std::vector<child> children);
  /// Both at once.
  static tree make(environment& env, const actor_kind& kind, const supervisor_config& config,
                   std::vector<child_spec> specs);

  supervisor(caf::actor_config& config, environment& env, const actor_kind& kind,
             supervisor_config rules, std::vector<child> children);

protected:
  caf::behavior make_behavior() override;
  void on_down(const caf::down_msg& down) override;
  void on_stop() override;

private:
  guard& guard_of(child& c) const;
  void child_ended(child& c, const caf::error& reason);
  bool restarts_again(const child& c, const caf::error& reason) const;
  bool too_many_restarts();
  void stop_affected(child& failed);
  void retire(child& c, const caf::error& reason);
  void start_wanted();
  void start(child& c);
  duration next_backoff();

  supervisor_config rules_;
  std::vector<child> children_;
  std::deque<time_point> restarts_;
  std::uint64_t restart_timer_ = 0;
  bool escalating_ = false;
  std::mt19937_64 rng_;
};

} // namespace skep::rt
