#include "runtime/flow/retry_budget.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>
#include <cmath>

namespace skep::flow {

retry_budget::retry_budget(retry_budget_config config)
  : config_(config),
    reserve_(config.reserve_per_second * std::chrono::duration<double>(config.window).count()),
    requests_(config.window, config.window_buckets),
    retries_(config.window, config.window_buckets) {
  SKEP_ASSERT(config.retry_ratio >= 0.0);
}

void retry_budget::on_request(time_point now) {
  requests_.add(now);
}

bool retry_budget::try_retry(time_point now) {
  if (balance(now) == 0) {
    ++refusals_;
    return false;
  }
  retries_.add(now);
  return true;
}

std::uint64_t retry_budget::balance(time_point now) const {
  // The small term keeps 0.2 * 5 from rounding down to nothing.
  auto allowed = config_.retry_ratio * static_cast<double>(requests_.total(now)) + reserve_ + 1e-9;
  auto spent = static_cast<double>(retries_.total(now));
  return static_cast<std::uint64_t>(std::max(0.0, std::floor(allowed - spent)));
}

} // namespace skep::flow
