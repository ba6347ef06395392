#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/rolling_counter.hpp"

#include <cstdint>

namespace skep::flow {

/// How many retries an upstream may see in relation to first attempts.
struct retry_budget_config {
  double retry_ratio = 0.15;         ///< Retries per request of the window.
  double reserve_per_second = 0.2;   ///< Retries besides, so that low traffic can retry.
  duration window = 10s;             ///< How far back requests and retries count.
  std::uint32_t window_buckets = 10; ///< Resolution of the window.
};

/// Keeps retries from multiplying an outage (the rule is Finagle's RetryBudget): a retry is granted
/// only if afterwards the window holds
/// retries <= retry_ratio * requests + reserve_per_second * window. The window's far edge is exact
/// to one bucket. Finagle's defaults, a ratio of 0.2 and a reserve of ten a second, let a partial
/// outage see more than 1.2 attempts per request; ours stay at or below that from four requests a
/// second on (tests/sim/overload_sim_test.cpp). One per upstream. Not thread-safe.
class retry_budget {
public:
  explicit retry_budget(retry_budget_config config = {});

  /// Counts a first attempt.
  void on_request(time_point now);

  /// Takes one retry out of the budget; false when it is spent, and then the failure stands.
  [[nodiscard]] bool try_retry(time_point now);

  /// Whole retries left at `now`.
  [[nodiscard]] std::uint64_t balance(time_point now) const;

  /// Retries refused since it was made.
  [[nodiscard]] std::uint64_t refusals() const {
    return refusals_;
  }

private:
  retry_budget_config config_;
  double reserve_;
  rolling_counter requests_;
  rolling_counter retries_;
  std::uint64_t refusals_ = 0;
};

} // namespace skep::flow
