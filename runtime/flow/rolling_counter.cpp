#include "runtime/flow/rolling_counter.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

rolling_counter::rolling_counter(duration window, std::uint32_t buckets)
  : width_(window / std::max(buckets, 1u)), buckets_(buckets) {
  SKEP_ASSERT(buckets > 0 && width_ > duration::zero());
}

std::int64_t rolling_counter::epoch_of(time_point now) const {
  return now.time_since_epoch() / width_;
}

bool rolling_counter::live(const bucket& b, std::int64_t epoch) const {
  return b.epoch > epoch - static_cast<std::int64_t>(buckets_.size());
}

void rolling_counter::add(time_point now, std::uint64_t n) {
  auto epoch = epoch_of(now);
  auto& b = buckets_[static_cast<std::size_t>(epoch) % buckets_.size()];
  if (b.epoch < epoch)
    b = {epoch, 0};
  b.count += n;
}

std::uint64_t rolling_counter::total(time_point now) const {
  auto epoch = epoch_of(now);
  std::uint64_t sum = 0;
  for (const auto& b : buckets_)
    if (live(b, epoch))
      sum += b.count;
  return sum;
}

void rolling_counter::clear() {
  std::fill(buckets_.begin(), buckets_.end(), bucket{});
}

void rolling_counter::append_fingerprint(std::vector<std::int64_t>& out, time_point now) const {
  auto epoch = epoch_of(now);
  out.push_back((now.time_since_epoch() % width_).count());
  // From the newest bucket to the oldest, so that equal histories at different times look equal.
  auto size = static_cast<std::int64_t>(buckets_.size());
  for (std::int64_t age = 0; age < size; ++age) {
    auto wanted = epoch - age;
    const auto& b = buckets_[static_cast<std::size_t>(wanted) % buckets_.size()];
    out.push_back(b.epoch == wanted ? static_cast<std::int64_t>(b.count) : 0);
  }
}

} // namespace skep::flow
