#pragma once

#include "messages/errc.hpp"
#include "runtime/flow/gate.hpp"
#include "runtime/flow/retry_policy.hpp"
#include "runtime/flow/rng.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <unordered_map>
#include <vector>

// A discrete-event simulation of clients, the admission of one upstream route, and the upstream:
// virtual time, one seed, the same pure classes as in a node.
namespace skep::test {

/// What the upstream does to calls that reach it, from some moment on.
struct upstream_mood {
  /// Share of the attempts that fail with `failure` within a few milliseconds.
  double failing = 0.0;
  errc failure = errc::provider_failed;
  /// Takes attempts and never answers.
  bool silent = false;
};

/// An upstream of `places` servers with a queue, which does not notice that a caller has left: the
/// work for it is done, and wasted.
struct upstream_rules {
  std::uint32_t places = 20;
  duration service_mean = 500ms;
  double service_sigma = 0.5; ///< Of the lognormal service time.
  /// Attempts that may wait; further ones are answered with 529 at once.
  std::size_t queue_max = 1'000'000;
  /// Attempts a second it answers; further ones get a 429. Zero: no limit.
  double rate_max = 0.0;

  double capacity() const {
    return places / std::chrono::duration<double>(service_mean).count();
  }
};

struct overload_rules {
  std::uint64_t seed = 1;
  upstream_rules upstream;
  /// Calls a second; they arrive as a Poisson process.
  double offered = 40.0;
  /// What each client gives its call.
  duration patience = 2500ms;
  /// Off: every call goes out at once, and failed ones are tried again at once, three times in all.
  bool policy = true;
  flow::gate_config gate;
  flow::retry_policy_config retry;
  /// Results before this are not counted.
  duration warm_up = 120s;
  duration length = 600s;
};

/// What was counted after the warm-up.
struct overload_result {
  std::uint64_t calls = 0;
  std::uint64_t admitted = 0;
  std::uint64_t attempts = 0;
  std::uint64_t good = 0; ///< Answered before the deadline.
  std::uint64_t late = 0; ///< Ended by the deadline.
  std::uint64_t failed = 0;
  std::array<std::uint64_t, 6> refused{}; ///< By gate_step.
  std::uint32_t limit_least = 0;          ///< The adaptive limit's extremes.
  std::uint32_t limit_most = 0;
  std::uint64_t trips = 0;
  /// Good answers per second of simulated time, the warm-up included.
  std::vector<std::uint32_t> good_by_second;

  double per_call() const {
    return static_cast<double>(attempts) / static_cast<double>(calls);
  }
  double per_admitted() const {
    return static_cast<double>(attempts) / static_cast<double>(admitted);
  }
};

/// Runs one scenario from start to end.
class overload_sim {
public:
  explicit overload_sim(const overload_rules& rules);

  /// From `when` on, counted from the start, the upstream behaves like this.
  void at(duration when, upstream_mood mood);
  /// From `when` on this many calls arrive a second.
  void offer_at(duration when, double calls_per_second);

  overload_result run();

private:
  struct call {
    time_point deadline;
    std::uint64_t ticket = 0;
    flow::retry_state retry;
    time_point attempt_began;
    int attempts = 0;
  };
  struct event {
    time_point at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator>(const event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  void after(duration wait, std::function<void()> what);
  duration exponential(double mean_seconds);
  duration service_time();
  bool counted() const {
    return now_ - start_ >= rules_.warm_up;
  }
  void arrive();
  void attempt(std::uint64_t id);
  void serve_or_queue(std::uint64_t id);
  void serve(std::uint64_t id, int attempt);
  void answer(std::uint64_t id, int attempt, errc how, duration retry_after = {});
  void fail(std::uint64_t id, errc why, duration retry_after);
  void end(std::uint64_t id, errc how, duration retry_after, duration latency);

  overload_rules rules_;
  flow::rng random_;
  flow::gate gate_;
  flow::retry_policy retry_;
  upstream_mood mood_;
  time_point start_{1h};
  time_point now_{1h};
  std::uint64_t order_ = 0;
  std::uint64_t last_call_ = 0;
  std::unordered_map<std::uint64_t, call> calls_;
  std::uint32_t busy_ = 0;
  std::deque<std::pair<std::uint64_t, int>> queue_;
  double tokens_ = 0.0;
  time_point tokens_at_{1h};
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  overload_result result_;
};

} // namespace skep::test
