#include "runtime/telemetry/system_probe.hpp"

#include "runtime/telemetry/process_metrics.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

namespace skep::telemetry {

namespace {

/// A file of /proc; empty when it cannot be read.
std::string text_of(const char* path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// The next number of a line, taken off its front; nothing when there is none.
std::optional<std::uint64_t> next_number(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  std::uint64_t value = 0;
  const auto read = std::from_chars(line.data(), line.data() + line.size(), value);
  if (read.ec != std::errc{})
    return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(read.ptr - line.data()));
  return value;
}

/// The number behind "NAME:", given in kB, as bytes.
std::optional<std::uint64_t> bytes_at(std::string_view meminfo, std::string_view name) {
  while (!meminfo.empty()) {
    auto line = meminfo.substr(0, meminfo.find('\n'));
    meminfo.remove_prefix(std::min(meminfo.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':')
      continue;
    line.remove_prefix(name.size() + 1);
    const auto kib = next_number(line);
    return kib ? std::optional{*kib * 1024} : std::nullopt;
  }
  return std::nullopt;
}

} // namespace

std::optional<cpu_times> parse_cpu_times(std::string_view proc_stat) {
  auto line = proc_stat.substr(0, proc_stat.find('\n'));
  constexpr std::string_view all_cores = "cpu ";
  if (!line.starts_with(all_cores))
    return std::nullopt;
  line.remove_prefix(all_cores.size());
  // user nice system idle iowait irq softirq steal; guest time is part of user (proc(5)).
  std::array<std::uint64_t, 8> ticks{};
  std::size_t read = 0;
  for (; read < ticks.size(); ++read) {
    const auto value = next_number(line);
    if (!value)
      break;
    ticks[read] = *value;
  }
  if (read < 4)
    return std::nullopt;
  cpu_times times;
  for (const auto each : ticks)
    times.total += each;
  times.busy = times.total - ticks[3] - ticks[4];
  return times;
}

std::optional<memory_reading> parse_memory(std::string_view meminfo) {
  const auto total = bytes_at(meminfo, "MemTotal");
  const auto available = bytes_at(meminfo, "MemAvailable");
  if (!total || !available)
    return std::nullopt;
  return memory_reading{*total, std::min(*total, *available)};
}

double percent_of(double part, double whole) {
  return whole > 0 ? std::clamp(part / whole * 100, 0.0, 100.0) : 0;
}

cpu_usage usage_between(const cpu_sample& from, const cpu_sample& to, unsigned cores) {
  const auto seconds = std::chrono::duration<double>(to.at - from.at).count();
  if (seconds <= 0 || to.machine.total < from.machine.total || to.machine.busy < from.machine.busy)
    return {};
  cpu_usage usage;
  usage.machine_percent = percent_of(static_cast<double>(to.machine.busy - from.machine.busy),
                                     static_cast<double>(to.machine.total - from.machine.total));
  usage.process_percent = percent_of(to.process_seconds - from.process_seconds, seconds * cores);
  return usage;
}

system_probe::system_probe(std::string directory)
  : directory_(std::move(directory)), cores_(std::max(1u, std::thread::hardware_concurrency())) {}

void system_probe::sample(time_point now) {
  const auto times = parse_cpu_times(text_of("/proc/stat"));
  if (!times)
    return;
  before_ = std::exchange(last_, cpu_sample{now, *times, read_process_usage().cpu_seconds});
}

system_usage system_probe::usage() const {
  system_usage out;
  out.cores = cores_;
  if (before_ && last_) {
    out.cpu = usage_between(*before_, *last_, cores_);
    out.cpu_seconds = std::chrono::duration<double>(last_->at - before_->at).count();
  }
  if (const auto memory = parse_memory(text_of("/proc/meminfo"))) {
    out.memory_total = memory->total;
    out.memory_used = memory->total - memory->available;
  }
  out.process_resident = read_process_usage().resident_bytes;
  struct statvfs disk {};
  if (statvfs(directory_.c_str(), &disk) == 0) {
    out.disk_total = std::uint64_t{disk.f_blocks} * disk.f_frsize;
    out.disk_used = std::uint64_t{disk.f_blocks - disk.f_bfree} * disk.f_frsize;
    out.disk_available = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  return out;
}

} // namespace skep::telemetry
