#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/store/store_types.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skep::bench {

using trace = std::vector<std::uint32_t>;

/// How far a measured ratio may be from the published one, in points.
inline constexpr double published_tolerance = 0.5;

/// Hit ratios in percent on web12 with 1,000 entries, as published; for S3-FIFO a range.
struct published_ratio {
  store::policy_kind policy;
  std::string_view name;
  double least;
  double most;
};
inline constexpr published_ratio published[] = {
  {store::policy_kind::lru, "LRU", 64.7, 64.7},
  {store::policy_kind::s3_fifo, "S3-FIFO", 68.8, 69.1},
};

/// Is the ratio within the tolerance of the published one?
constexpr bool as_published(const published_ratio& reference, double percent) {
  return percent >= reference.least - published_tolerance
         && percent <= reference.most + published_tolerance;
}

/// The keys of FOLDER/NAME.trace.xz: 4-byte big-endian integers, unpacked by the program `xz`. The
/// recorded ones are in trace_folder().
/// Fails with errc::not_found when the file cannot be opened, errc::malformed when it is
/// empty, damaged or no whole number of keys, errc::unavailable when `xz` cannot be started.
expected<trace> read_trace(const std::string& folder, std::string_view name);

/// bench/data/traces of the source tree; its README says where the traces are from.
std::string trace_folder();

/// Percent of the keys that a response_store of so many entries has when they are asked for in
/// turn, each put when it is missing. Nothing expires meanwhile and bytes are no bound.
double store_hit_percent(std::span<const std::uint32_t> keys, store::policy_kind policy,
                         std::size_t entries_max);

/// A request with what its answer weighs. The traces tell neither bytes nor costs, so both are
/// drawn from the key, the same in every run: bytes lognormal around 800 (64 to 16,384), as answers
/// of models are; cost the tokens of the answer (a quarter of its bytes) and of a prompt of 100 to
/// 4,000 tokens, times 1, 5 or 25 for a small, middle or large model (60, 30 and 10 % of the keys).
struct priced_request {
  store::key128 key;
  std::size_t bytes = 0;
  std::uint64_t cost = 0;
};
priced_request priced(std::uint32_t key);

/// What a store of so many bytes saves of a trace: percent of the requests, and of their cost.
struct savings {
  double hits_percent = 0;
  double cost_percent = 0;
};
savings store_savings(std::span<const std::uint32_t> keys, store::policy_kind policy,
                      std::size_t bytes_max);

} // namespace skep::bench
