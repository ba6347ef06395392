#include "cli/bench/target_pool.hpp"

namespace skep::cli::bench {

target_pool::target_pool(std::vector<std::string> urls)
  : urls_(std::move(urls)), avoid_until_(urls_.size()) {}

std::size_t target_pool::pick(std::size_t worker, time_point now) const {
  return first_usable(worker % urls_.size(), now);
}

std::size_t target_pool::after(std::size_t target, time_point now) const {
  return first_usable((target + 1) % urls_.size(), now);
}

void target_pool::refused(std::size_t target, time_point now) {
  avoid_until_[target] = now + avoid;
}

std::size_t target_pool::first_usable(std::size_t from, time_point now) const {
  for (std::size_t n = 0; n < urls_.size(); ++n)
    if (const auto at = (from + n) % urls_.size(); avoid_until_[at] <= now)
      return at;
  return from;
}

} // namespace skep::cli::bench
