#pragma once

#include "cli/bench/result.hpp"
#include "runtime/base/expected.hpp"

#include <string>

namespace skep::cli::bench {

/// "p99_ms < 50" as a thing that can be checked.
struct expectation {
  enum class comparison : std::uint8_t { less, less_equal, equal, greater_equal, greater };

  std::string text;
  std::string figure;
  comparison compare = comparison::equal;
  double value = 0;

  /// Whether there was anything to measure: a percentile, or a share, of nothing is no figure.
  bool measured(const phase_result& result) const;
  /// Never of what was not measured.
  bool holds(const phase_result& result) const;
};

/// Figure, one of < <= = >= >, number. Figures: requests, ok, errors, cut, broken_streams,
/// errors_unbegun (errors but broken_streams), typed_errors (with the API's error
/// object), untyped_errors (all others), late, answered_share (of all requests, those with an
/// answer or a typed error that was not late), moved, unanswered, refused,
/// refused_without_retry_after, status_NNN, error_rate, throughput, cache_hit_rate, p50_ms, p90_ms,
/// p95_ms, p99_ms, max_ms, ttft_p50_ms, ttft_p99_ms, chunks; by the word of x-skep-cache
/// cache_hit, cache_miss, cache_shared, cache_stale, cache_semantic, cache_bypass and, of the
/// answers that went well, cache_hit_share and so on; metric:NAME, how far a counter of the nodes
/// rose meanwhile (a gauge: what it is at the end), 0 when no node has it.
expected<expectation> read_expectation(const std::string& text);

/// A figure of a result by its name; nothing when there is none of this name.
std::optional<double> figure_of(const phase_result& result, const std::string& name);

} // namespace skep::cli::bench
