#pragma once

// Log-linear histograms after HdrHistogram (G. Tene): fixed memory, constant time, bounded error.
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace skep::telemetry {

/// The buckets both histograms share: a value below 16 has a bucket of its own, above that every
/// power of two is cut into 16 equal parts. So a bucket is at most 1/16 (6.25 %) of its lower edge
/// wide. 624 buckets of 8 bytes are 5 KB.
struct log_linear {
  static constexpr unsigned sub_bits = 4;
  static constexpr unsigned value_bits = 42;
  static constexpr std::uint64_t sub_buckets = std::uint64_t{1} << sub_bits;
  /// Larger values count as this one: 73 minutes in nanoseconds, 4 TiB in bytes.
  static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;
  static constexpr std::size_t size = std::size_t{value_bits - sub_bits + 1} << sub_bits;

  /// The bucket of a value of at most value_max.
  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    if (value < sub_buckets)
      return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
    return static_cast<std::size_t>(shift * sub_buckets + (value >> shift));
  }
  static constexpr std::uint64_t lower_edge(std::size_t index) noexcept {
    if (index < sub_buckets)
      return index;
    return (sub_buckets + index % sub_buckets) << (index / sub_buckets - 1);
  }
  static constexpr std::uint64_t width(std::size_t index) noexcept {
    return index < sub_buckets ? 1 : std::uint64_t{1} << (index / sub_buckets - 1);
  }
  /// A duration as it is recorded: nanoseconds, negative ones as zero.
  static constexpr std::uint64_t ticks(std::chrono::nanoseconds d) noexcept {
    return d.count() < 0 ? 0 : static_cast<std::uint64_t>(d.count());
  }
};

/// A histogram of one thread, and the form in which a shared one is read. Copyable.
class local_histogram {
public:
  /// Adds a duration, in nanoseconds.
  void record(std::chrono::nanoseconds d) noexcept {
    record_value(log_linear::ticks(d));
  }
  /// Adds a plain number (tokens, bytes).
  void record_value(std::uint64_t value) noexcept;

  std::uint64_t count() const noexcept {
    return count_;
  }
  std::uint64_t sum() const noexcept {
    return sum_;
  }
  /// The largest recorded value, exact; 0 when there is none.
  std::uint64_t max() const noexcept {
    return max_;
  }
  double mean() const noexcept {
    return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  /// The value at or below which the share `p` (0 to 1) of all values lies: the middle of its
  /// bucket, so at most 3.2 % off, and exact for p = 1. 0 when there is no value.
  std::uint64_t quantile(double p) const noexcept;

  /// How many values are at most `bound`; those in the bucket that holds `bound` are shared out
  /// evenly, so a value within 6.25 % of the bound may fall on its other side. Grows with `bound`
  /// and with time.
  std::uint64_t count_at_most(std::uint64_t bound) const noexcept;

  /// Adds all values of another histogram.
  void merge(const local_histogram& other) noexcept;

private:
  friend class histogram;

  std::array<std::uint64_t, log_linear::size> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

/// A histogram many threads write: two relaxed atomic adds (bucket and sum), one more store when a
/// value is the largest so far. Lives as long as its registry. Thread-safe.
class histogram {
public:
  histogram() = default;
  histogram(const histogram&) = delete;
  histogram& operator=(const histogram&) = delete;

  /// Adds a duration, in nanoseconds.
  void record(std::chrono::nanoseconds d) noexcept {
    record_value(log_linear::ticks(d));
  }
  /// Adds a plain number (tokens, bytes).
  void record_value(std::uint64_t value) noexcept {
    value = value < log_linear::value_max ? value : log_linear::value_max;
    buckets_[log_linear::index_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    auto largest = max_.load(std::memory_order_relaxed);
    while (value > largest
           && !max_.compare_exchange_weak(largest, value, std::memory_order_relaxed)) {
    }
  }

  /// What was recorded so far. The count is the sum of the buckets, always; values recorded
  /// meanwhile may be in the buckets and not yet in sum and max.
  local_histogram snapshot() const noexcept;

private:
  std::array<std::atomic<std::uint64_t>, log_linear::size> buckets_{};
  std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
};

} // namespace skep::telemetry
