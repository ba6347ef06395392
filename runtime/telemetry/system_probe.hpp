#pragma once

#include "runtime/base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What the machine has left. Reading is pure text work; the reader around it is thin.
namespace skep::telemetry {

/// The machine's processor time since boot, in clock ticks over all cores.
struct cpu_times {
  /// Everything but idle and waiting for disks.
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
};

/// Reads the first line of /proc/stat; nothing when it reads otherwise.
std::optional<cpu_times> parse_cpu_times(std::string_view proc_stat);

/// The machine's memory in bytes.
struct memory_reading {
  std::uint64_t total = 0;
  /// What a new process could have without swapping.
  std::uint64_t available = 0;
};

/// Reads MemTotal and MemAvailable of /proc/meminfo; nothing when one is missing.
std::optional<memory_reading> parse_memory(std::string_view meminfo);

/// The share of `part` in `whole` in percent, 0 to 100; 0 of nothing.
double percent_of(double part, double whole);

/// One look at the processors.
struct cpu_sample {
  time_point at{};
  cpu_times machine;
  /// User and system time of this process.
  double process_seconds = 0;
};

/// Between two samples, in percent of all cores together.
struct cpu_usage {
  double machine_percent = 0;
  double process_percent = 0;
};

/// Pure; zeros when the samples are not in order.
cpu_usage usage_between(const cpu_sample& from, const cpu_sample& to, unsigned cores);

/// Everything at a moment; a number that could not be read is 0.
struct system_usage {
  cpu_usage cpu;
  unsigned cores = 1;
  /// Seconds the processor figures cover; 0 until there were two samples.
  double cpu_seconds = 0;
  std::uint64_t memory_total = 0;
  std::uint64_t memory_used = 0;
  std::uint64_t process_resident = 0;
  std::uint64_t disk_total = 0;
  std::uint64_t disk_used = 0;
  /// What this process may still write; root's reserve is not its.
  std::uint64_t disk_available = 0;
};

/// Reads /proc and statvfs. Processor shares are those between two of its samples, so nothing here
/// waits: some tens of microseconds. Linux only. Not thread-safe.
class system_probe {
public:
  /// Whose file system is shown: a directory.
  explicit system_probe(std::string directory);

  /// Call it every some seconds: usage() covers the time between the last two calls.
  void sample(time_point now);
  system_usage usage() const;

private:
  const std::string directory_;
  const unsigned cores_;
  std::optional<cpu_sample> before_;
  std::optional<cpu_sample> last_;
};

} // namespace skep::telemetry
