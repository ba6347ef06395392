#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/telemetry/histogram.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace skep::cli::bench {

/// What became of the requests of a phase.
struct phase_result {
  std::string name;
  bool measured = true;
  std::uint64_t requests = 0;
  std::uint64_t ok = 0;
  /// "status 503", "time-out", "cut" (an answer that began and broke off), "refused connection",
  /// "closed unanswered", "not sent"…
  std::map<std::string, std::uint64_t> errors;
  std::map<int, std::uint64_t> statuses;
  std::uint64_t refused_without_retry_after = 0;
  /// Tries that nobody answered and that another target took over; no errors.
  std::uint64_t moved = 0;
  /// Of the errors, those of streams of which something had come before.
  std::uint64_t broken_streams = 0;
  /// Of the errors, those that said what was wrong in the API's error object.
  std::uint64_t typed_errors = 0;
  /// What ended too long after the phase's deadline_ms, well or not.
  std::uint64_t late = 0;
  /// Answers and typed errors that were not late.
  std::uint64_t answered = 0;
  std::uint64_t cache_hits = 0;
  /// Of those that went well, by what the cache did: the word of x-skep-cache in lower case.
  std::map<std::string, std::uint64_t> cache_words;
  /// How far the node's counters rose meanwhile, by their names, over all their series; of gauges
  /// what they were at the end. Empty when the node was not asked.
  std::map<std::string, double> node_metrics;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  telemetry::local_histogram latency;
  telemetry::local_histogram first_token;
  duration took{};

  std::uint64_t error_count() const;
  /// Errors without an HTTP status: nobody said anything, or not to the end.
  std::uint64_t unanswered() const;
  void merge(const phase_result& other);
};

} // namespace skep::cli::bench
