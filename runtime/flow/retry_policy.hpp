#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/backoff.hpp"
#include "runtime/flow/retry_budget.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace skep::flow {

/// What a failed attempt says about another one at the same upstream.
enum class retry_class : std::uint8_t {
  /// It would fail again: a bad request, a spent quota, anything after the first token.
  never,
  /// It may pass: 5xx, an overloaded server, a broken connection. Bounded by attempts_max.
  counted,
  /// The upstream asks to slow down (429). Bounded by a number of its own: it says when, so each
  /// of these attempts is worth more than one made on suspicion.
  paced,
};

/// Parameters of a retry_policy.
struct retry_policy_config {
  /// Attempts per call, the first included; paced failures do not count.
  std::uint32_t attempts_max = 3;
  /// The same for paced failures. With it a client that tries three times itself, and twice did not
  /// wait long enough for us to try at all, asks the upstream six times at most.
  std::uint32_t paced_attempts_max = 4;
  /// All waits of one call between its attempts, whatever they wait for. People wait behind it, and
  /// clients that could try elsewhere.
  duration wait_max = 5s;
  /// The spread on top of what the upstream asked for, as a share of it, so that those who were
  /// turned away together do not come back together; at least `backoff.initial`.
  double retry_after_spread = 0.1;
  backoff_config backoff;
  retry_budget_config budget;
  /// That of retries the upstream asked for: paced ones with a Retry-After. It expects them, so
  /// they may be more; but each may be refused again, and costs it something.
  retry_budget_config invited{.retry_ratio = 0.5, .reserve_per_second = 1.0};
};

/// What one call has used up of a policy; lives with the call.
struct retry_state {
  /// Attempts that count against attempts_max, and those against paced_attempts_max.
  std::uint32_t attempts = 0;
  std::uint32_t paced_attempts = 0;
  duration waited{};
  flow::backoff backoff;
};

/// Decides whether a failed attempt is followed by another one, and when. One per upstream, shared
/// by its calls, so that the budget bounds what an outage is multiplied by. Not thread-safe.
class retry_policy {
public:
  explicit retry_policy(retry_policy_config config = {});

  /// A call's first attempt goes out now: it earns the budget its share.
  [[nodiscard]] retry_state begin(time_point now);

  /// How long to wait before the next attempt; nothing when the failure stands: it is no failure to
  /// retry, or attempts, waits or the budget are used up, or waiting would take more than half of
  /// the time that is left until the deadline: the caller hears what is wrong while it can still
  /// act. `retry_after` is what the
  /// upstream asked for (zero: nothing); it is obeyed with a little jitter on top, never undercut.
  /// A paced failure with one has a budget of its own.
  /// A paced failure without one waits at least the back-off's `initial`: nothing else keeps it
  /// from being tried at once, and again.
  [[nodiscard]] std::optional<duration> next(retry_state& call, retry_class why,
                                             duration retry_after, time_point deadline,
                                             time_point now, rng& random);

  /// Retries the budgets refused since it was made.
  [[nodiscard]] std::uint64_t refusals() const {
    return budget_.refusals() + invited_.refusals();
  }

private:
  duration wait(retry_state& call, retry_class why, duration retry_after, rng& random) const;
  bool exhausted(const retry_state& call, retry_class why, duration wait, time_point deadline,
                 time_point now) const;

  retry_policy_config config_;
  retry_budget budget_;
  retry_budget invited_;
};

} // namespace skep::flow
