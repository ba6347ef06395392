#pragma once

#include "cli/bench/result.hpp"
#include "cli/bench/workload.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skep::cli::bench {

/// What a phase has done so far, for the progress bar.
struct progress {
  double share = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
};

/// Sends a workload's requests to one node or several and measures what comes back. Workers spread
/// over the nodes; a request that cannot connect, or whose connection ends before a byte of an
/// answer, moves on to the next node within its deadline, as it would behind any client-side load
/// balancer. One thread drives, the fetch thread reports to it.
class runner {
public:
  /// `targets` like "http://127.0.0.1:8080", at least one; `api_key` may be empty.
  runner(std::vector<std::string> targets, std::string api_key);
  ~runner();

  /// Runs a phase to its end: until its requests are answered or timed out.
  phase_result run(const phase_config& phase, std::uint64_t seed,
                   const std::function<void(const progress&)>& show);
  /// POSTs to the first target without waiting for the answer.
  void act(const std::string& path);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::cli::bench
