#pragma once

#include "runtime/base/clock.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace skep::cli::bench {

/// The nodes a workload is sent to, as a client-side load balancer knows them: workers spread over
/// them, and one that could not be reached is avoided for a while. Pure.
class target_pool {
public:
  /// How long a target is avoided after it refused.
  static constexpr duration avoid = 1s;

  /// At least one URL.
  explicit target_pool(std::vector<std::string> urls);

  std::size_t size() const {
    return urls_.size();
  }
  const std::string& url(std::size_t target) const {
    return urls_[target];
  }
  /// The worker's own target, or the next one after it that is not avoided; its own when all are.
  std::size_t pick(std::size_t worker, time_point now) const;
  /// Where a request goes on that `target` could not answer: the next one that is not avoided, the
  /// one after it when all are.
  std::size_t after(std::size_t target, time_point now) const;
  void refused(std::size_t target, time_point now);
  /// How often one request may be sent: once round and, for those that came back meanwhile, again.
  std::size_t tries_max() const {
    return urls_.size() == 1 ? 1 : 2 * urls_.size();
  }

private:
  std::size_t first_usable(std::size_t from, time_point now) const;

  std::vector<std::string> urls_;
  std::vector<time_point> avoid_until_;
};

} // namespace skep::cli::bench
