#include "runtime/flow/latency_floor.hpp"

#include "runtime/base/assert.hpp"

#include <algorithm>

namespace skep::flow {

latency_floor::latency_floor(duration window, std::uint32_t samples_min)
  : width_(window / 2), samples_min_(samples_min) {
  SKEP_ASSERT(width_ > duration::zero());
}

void latency_floor::add(duration latency, time_point now) {
  const auto epoch = now.time_since_epoch() / width_;
  auto& here = halves_[static_cast<std::size_t>(epoch) % 2];
  if (here.epoch < epoch)
    here = {epoch, latency, 0};
  here.least = std::min(here.least, latency);
  ++here.samples;
}

duration latency_floor::value(time_point now) const {
  const auto epoch = now.time_since_epoch() / width_;
  auto least = duration::max();
  std::uint32_t samples = 0;
  for (const auto& each : halves_) {
    if (each.epoch < epoch - 1)
      continue;
    least = std::min(least, each.least);
    samples += each.samples;
  }
  return samples > 0 && samples >= samples_min_ ? least : duration::zero();
}

} // namespace skep::flow
