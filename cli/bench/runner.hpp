#pragma once

#include "cli/bench/result.hpp"
#include "cli/bench/workload.hpp"

#include <functional>
#include <memory>
#include <string>

namespace skep::cli::bench {

/// What a phase has done so far, for the progress bar.
struct progress {
  double share = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
};

/// Sends a workload's requests to one node and measures what comes back. One thread drives, the
/// fetch thread reports to it.
class runner {
public:
  /// `target` like "http://127.0.0.1:8080"; `api_key` may be empty.
  runner(std::string target, std::string api_key);
  ~runner();

  /// Runs a phase to its end: until its requests are answered or timed out.
  phase_result run(const phase_config& phase, std::uint64_t seed,
                   const std::function<void(const progress&)>& show);
  /// POSTs without waiting for the answer.
  void act(const std::string& path);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::cli::bench
