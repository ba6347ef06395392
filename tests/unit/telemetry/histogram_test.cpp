#include "runtime/telemetry/histogram.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using skep::telemetry::histogram;
using skep::telemetry::local_histogram;
using skep::telemetry::log_linear;

/// Values spread over nine decades, as latencies of mixed traffic are.
std::vector<std::uint64_t> log_uniform_values(std::size_t how_many, unsigned seed) {
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> exponent{0.0, 12.0};
  std::vector<std::uint64_t> values;
  for (std::size_t i = 0; i < how_many; ++i)
    values.push_back(static_cast<std::uint64_t>(std::pow(10.0, exponent(random))));
  return values;
}

std::uint64_t exact_quantile(const std::vector<std::uint64_t>& sorted, double p) {
  const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

} // namespace

TEST_CASE("buckets tile the range without gap or overlap", "[telemetry][histogram]") {
  CHECK(log_linear::lower_edge(0) == 0);
  for (std::size_t i = 0; i + 1 < log_linear::size; ++i) {
    const auto next = log_linear::lower_edge(i) + log_linear::width(i);
    REQUIRE(next == log_linear::lower_edge(i + 1));
    REQUIRE(log_linear::index_of(log_linear::lower_edge(i)) == i);
    REQUIRE(log_linear::index_of(next - 1) == i);
    REQUIRE((log_linear::width(i) == 1 || log_linear::width(i) * 16 <= log_linear::lower_edge(i)));
  }
  CHECK(log_linear::index_of(log_linear::value_max) == log_linear::size - 1);
}

TEST_CASE("quantiles stay within the bucket error of the exact ones", "[telemetry][histogram]") {
  auto values = log_uniform_values(50'000, 7);
  local_histogram h;
  for (const auto v : values)
    h.record_value(v);
  std::sort(values.begin(), values.end());
  for (const double p : {0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999}) {
    const auto exact = static_cast<double>(exact_quantile(values, p));
    const auto shown = static_cast<double>(h.quantile(p));
    CAPTURE(p, exact, shown);
    CHECK(std::abs(shown - exact) <= exact / 32.0);
  }
  CHECK(h.quantile(1.0) == values.back());
  CHECK(h.max() == values.back());
}

TEST_CASE("small values are exact", "[telemetry][histogram]") {
  local_histogram h;
  for (std::uint64_t v = 1; v <= 10; ++v)
    h.record_value(v);
  CHECK(h.quantile(0.5) == 5);
  CHECK(h.quantile(0.9) == 9);
  CHECK(h.quantile(0.0) == 1);
  CHECK(h.mean() == Approx(5.5));
  CHECK(h.count_at_most(4) == 4);
}

TEST_CASE("an empty histogram answers zero", "[telemetry][histogram]") {
  const local_histogram h;
  CHECK(h.count() == 0);
  CHECK(h.quantile(0.99) == 0);
  CHECK(h.max() == 0);
  CHECK(h.mean() == 0.0);
  CHECK(h.count_at_most(1000) == 0);
}

TEST_CASE("durations are recorded in nanoseconds, negative ones as zero",
          "[telemetry][histogram]") {
  local_histogram h;
  h.record(3ms);
  h.record(-5ms);
  CHECK(h.count() == 2);
  CHECK(h.sum() == 3'000'000);
  CHECK(h.max() == 3'000'000);
  CHECK(h.quantile(0.5) == 0);
}

TEST_CASE("values past the range count as the largest one", "[telemetry][histogram]") {
  local_histogram h;
  h.record_value(~std::uint64_t{0});
  CHECK(h.count() == 1);
  CHECK(h.max() == log_linear::value_max);
  histogram shared;
  shared.record(24h);
  CHECK(shared.snapshot().max() == log_linear::value_max);
}

TEST_CASE("counts below a bound grow with the bound and end at the count",
          "[telemetry][histogram]") {
  auto values = log_uniform_values(5'000, 11);
  local_histogram h;
  for (const auto v : values)
    h.record_value(v);
  std::uint64_t before = 0;
  for (std::uint64_t bound = 1; bound < log_linear::value_max; bound = bound * 5 / 4 + 1) {
    const auto now = h.count_at_most(bound);
    const auto at_most = [&](std::uint64_t limit) {
      return static_cast<std::uint64_t>(
        std::count_if(values.begin(), values.end(), [=](auto v) { return v <= limit; }));
    };
    CAPTURE(bound);
    REQUIRE(now >= before);
    REQUIRE(now >= at_most(bound - bound / 16));
    REQUIRE(now <= at_most(bound + bound / 16));
    before = now;
  }
  CHECK(h.count_at_most(log_linear::value_max) == h.count());
}

TEST_CASE("merging equals recording into one", "[telemetry][histogram]") {
  local_histogram all;
  local_histogram left;
  local_histogram right;
  const auto values = log_uniform_values(2'000, 3);
  for (std::size_t i = 0; i < values.size(); ++i) {
    all.record_value(values[i]);
    (i % 2 == 0 ? left : right).record_value(values[i]);
  }
  left.merge(right);
  CHECK(left.count() == all.count());
  CHECK(left.sum() == all.sum());
  CHECK(left.max() == all.max());
  for (const double p : {0.1, 0.5, 0.9, 0.99})
    CHECK(left.quantile(p) == all.quantile(p));
}

TEST_CASE("a shared histogram loses nothing under four writers", "[telemetry][histogram]") {
  histogram shared;
  local_histogram expected;
  constexpr unsigned writers = 4;
  constexpr std::size_t each = 20'000;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < writers; ++t) {
    for (const auto v : log_uniform_values(each, t))
      expected.record_value(v);
    threads.emplace_back([&shared, t] {
      for (const auto v : log_uniform_values(each, t))
        shared.record_value(v);
    });
  }
  for (auto& t : threads)
    t.join();
  const auto seen = shared.snapshot();
  CHECK(seen.count() == writers * each);
  CHECK(seen.sum() == expected.sum());
  CHECK(seen.max() == expected.max());
  CHECK(seen.quantile(0.5) == expected.quantile(0.5));
}
