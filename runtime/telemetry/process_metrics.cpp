#include "runtime/telemetry/process_metrics.hpp"

#include "runtime/base/log.hpp"
#include "runtime/telemetry/metric_names.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace skep::telemetry {

namespace {

std::uint64_t read_resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

double to_seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

double read_cpu_seconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0)
    return 0;
  return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

std::uint64_t read_open_fds() {
  std::error_code failed;
  std::filesystem::directory_iterator fds{"/proc/self/fd", failed};
  std::uint64_t entries = 0;
  for (const std::filesystem::directory_iterator end; !failed && fds != end; fds.increment(failed))
    ++entries;
  // The listing itself holds one.
  return entries > 0 ? entries - 1 : 0;
}

std::uint64_t read_fds_max() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return 0;
  return limit.rlim_cur;
}

/// The fields of /proc/self/stat from the third (state) on; the second, the name, may hold blanks
/// and brackets.
std::vector<std::string> read_stat_fields() {
  std::ifstream file{"/proc/self/stat"};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos)
    return {};
  std::istringstream rest{text.substr(name_end + 1)};
  return {std::istream_iterator<std::string>{rest}, {}};
}

/// Field `number` of proc(5), which counts from 1; 0 when it is missing.
std::uint64_t stat_field(std::size_t number) {
  const auto fields = read_stat_fields();
  const auto index = number - 3;
  return index < fields.size() ? std::strtoull(fields[index].c_str(), nullptr, 10) : 0;
}

std::uint64_t read_boot_seconds() {
  std::ifstream file{"/proc/stat"};
  std::string word;
  std::uint64_t seconds = 0;
  while (file >> word)
    if (word == "btime" && file >> seconds)
      return seconds;
  return 0;
}

} // namespace

process_usage read_process_usage() {
  process_usage out;
  out.resident_bytes = read_resident_bytes();
  out.cpu_seconds = read_cpu_seconds();
  out.open_fds = read_open_fds();
  out.fds_max = read_fds_max();
  out.threads = stat_field(20);
  return out;
}

double process_start_seconds() {
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return static_cast<double>(read_boot_seconds())
         + static_cast<double>(stat_field(22)) / ticks_per_second;
}

process_metrics::process_metrics(registry& metrics, const build_info& build) {
  const auto gauge = [&](const char* name, const char* help, std::function<double()> read) {
    registrations_.push_back(metrics.gauge_callback(name, help, {}, std::move(read)));
  };
  const auto counter = [&](const char* name, const char* help, std::function<double()> read) {
    registrations_.push_back(metrics.counter_callback(name, help, {}, std::move(read)));
  };
  gauge("process_resident_memory_bytes", "Resident memory.",
        [] { return static_cast<double>(read_resident_bytes()); });
  counter("process_cpu_seconds_total", "User and system time spent, all threads.",
          [] { return read_cpu_seconds(); });
  gauge("process_open_fds", "Open file descriptors.",
        [] { return static_cast<double>(read_open_fds()); });
  gauge("process_max_fds", "File descriptors the process may open; 0 for no limit.",
        [] { return static_cast<double>(read_fds_max()); });
  gauge("process_threads", "Threads of the process.",
        [] { return static_cast<double>(stat_field(20)); });
  const auto started = process_start_seconds();
  gauge("process_start_time_seconds", "When the process started, in seconds since the epoch.",
        [started] { return started; });
  counter("skep_log_dropped_total", "Log lines overwritten in a full queue or not writable.",
          [] { return static_cast<double>(log::dropped()); });
  gauge("skep_log_queue_depth", "Log lines waiting for the writer.",
        [] { return static_cast<double>(log::queue_depth()); });
  gauge("skep_log_queue_max", "Log lines that may wait; 0 while the log is synchronous.",
        [] { return static_cast<double>(log::queue_max()); });
  metrics
    .gauge(metric::build_info.name, metric::build_info.help,
           {{metric::build_info.label, build.version},
            {"build_type", build.build_type},
            {"compiler", __VERSION__}})
    .set(1);
}

} // namespace skep::telemetry
