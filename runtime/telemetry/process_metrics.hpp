#pragma once

#include "runtime/telemetry/registry.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skep::telemetry {

/// What the kernel says about this process. A number that could not be read is 0.
struct process_usage {
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0; ///< User and system, all threads, since the start.
  std::uint64_t open_fds = 0;
  std::uint64_t fds_max = 0; ///< The soft limit; 0 when there is none.
  std::uint64_t threads = 0;
};

/// Reads /proc/self and getrusage; some tens of microseconds. Linux only. Thread-safe.
process_usage read_process_usage();

/// Seconds since the epoch at which this process started.
double process_start_seconds();

/// What was built, for skep_build_info.
struct build_info {
  std::string version;
  std::string build_type;
};

/// Exports the process under the names Prometheus clients share (process_resident_memory_bytes …),
/// skep_build_info, and the log's queue (skep_log_…), which cannot do it itself. One per registry.
class process_metrics {
public:
  process_metrics(registry& metrics, const build_info& build);

private:
  std::vector<registration> registrations_;
};

} // namespace skep::telemetry
