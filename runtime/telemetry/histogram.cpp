#include "runtime/telemetry/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace skep::telemetry {

void local_histogram::record_value(std::uint64_t value) noexcept {
  value = std::min(value, log_linear::value_max);
  ++buckets_[log_linear::index_of(value)];
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
}

std::uint64_t local_histogram::quantile(double p) const noexcept {
  const auto share = std::ceil(std::clamp(p, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share));
  if (rank >= count_)
    return max_;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank)
      return std::min(max_, log_linear::lower_edge(i) + (log_linear::width(i) - 1) / 2);
  }
  return max_;
}

std::uint64_t local_histogram::count_at_most(std::uint64_t bound) const noexcept {
  if (bound >= max_)
    return count_;
  const auto last = log_linear::index_of(bound); // bound < max_ <= value_max.
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < last; ++i)
    below += buckets_[i];
  const auto width = log_linear::width(last);
  const auto covered = bound - log_linear::lower_edge(last) + 1;
  const auto share = static_cast<double>(covered) / static_cast<double>(width);
  return below
         + static_cast<std::uint64_t>(std::llround(share * static_cast<double>(buckets_[last])));
}

void local_histogram::merge(const local_histogram& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

local_histogram histogram::snapshot() const noexcept {
  local_histogram out;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    out.buckets_[i] = buckets_[i].load(std::memory_order_relaxed);
    out.count_ += out.buckets_[i];
  }
  out.sum_ = sum_.load(std::memory_order_relaxed);
  out.max_ = max_.load(std::memory_order_relaxed);
  return out;
}

} // namespace skep::telemetry
