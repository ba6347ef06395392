#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace skep::bench {

using bench_clock = std::chrono::steady_clock;

inline double ns_since(bench_clock::time_point start) {
  return std::chrono::duration<double, std::nano>(bench_clock::now() - start).count();
}

/// The value below which the share p of the samples lies.
inline double quantile(std::vector<double> samples, double p) {
  if (samples.empty())
    return 0;
  std::sort(samples.begin(), samples.end());
  const auto at = static_cast<std::size_t>(p * static_cast<double>(samples.size() - 1) + 0.5);
  return samples[at];
}

/// One line of JSON a figure: what bench/run.py reads.
inline void print(const std::string& name, const std::string& unit,
                  const std::vector<double>& runs) {
  std::printf(
    "{\"name\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"runs\":%zu}\n",
    name.c_str(), unit.c_str(), quantile(runs, 0.5), quantile(runs, 0), quantile(runs, 1),
    runs.size());
  std::fflush(stdout);
}

/// Two things measured in turn, run by run, so that a change of the machine's mood hits both.
inline void interleaved(int runs, const std::function<double()>& ours,
                        const std::function<double()>& theirs, std::vector<double>& our_runs,
                        std::vector<double>& their_runs) {
  for (int n = 0; n < runs; ++n) {
    their_runs.push_back(theirs());
    our_runs.push_back(ours());
  }
}

} // namespace skep::bench
