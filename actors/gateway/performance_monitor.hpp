#pragma once

#include "actors/gateway/session.hpp"
#include "actors/gateway/watched_metrics.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/telemetry/histogram.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/telemetry/system_probe.hpp"
#include "runtime/telemetry/window_history.hpp"
#include "runtime/telemetry/window_ring.hpp"

#include <cstdint>
#include <vector>

namespace skep::actors {

/// Requests that ended in a stretch of time; probes and the performance API itself are not among
/// them. About 5 KB.
struct traffic {
  telemetry::local_histogram response_time;
  std::uint64_t requests = 0;
  std::uint64_t succeeded = 0;
  /// Ended by us or by what is behind us, time-outs apart.
  std::uint64_t failed = 0;
  std::uint64_t timed_out = 0;
  /// The client's own fault (4xx), or the client left (499).
  std::uint64_t client_faults = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;

  void add(const request_summary& done);
  void merge(const traffic& other);
  /// Those that say something about us: all but the clients' own faults.
  std::uint64_t judged() const {
    return succeeded + failed + timed_out;
  }
};

/// Everything the performance API tells of, at one moment.
struct performance_view {
  traffic lately;
  /// The time `lately` covers; less than the window on a young node.
  duration lately_covers{};
  traffic since_start;
  telemetry::system_usage system;
  std::vector<telemetry::family_snapshot> metrics;
  /// Counters over the last minute, and over the five that recommendations look at.
  watched_growth minute;
  watched_growth minutes;
};

/// Keeps what has to be watched over time: ended requests in a window of a minute, samples of the
/// node's counters and processors every five seconds. One per node, shared by its gateways and its
/// listener. Memory is fixed but for 8 bytes per series and sample. Thread-safe; nothing waits.
class performance_monitor {
public:
  static constexpr duration window = 1min;
  static constexpr duration history = 5min;
  static constexpr duration sample_interval = 5s;

  /// `directory`: whose disk is shown.
  performance_monitor(telemetry::registry& metrics, std::string directory, time_point now);

  /// A request ended. Tens of nanoseconds.
  void ended(const request_summary& done, time_point now);
  /// Takes a sample when one is due; every gateway may call it as often as it likes. Reads some
  /// dozens of metrics and three files of /proc.
  void sample(time_point now);
  performance_view view(time_point now) const;

private:
  telemetry::registry& metrics_;
  const time_point began_;

  mutable spinlock traffic_lock_;
  telemetry::window_ring<traffic> lately_{window, 12}; // GUARDED_BY(traffic_lock_)
  traffic since_start_;                                // GUARDED_BY(traffic_lock_)

  mutable spinlock lock_;
  time_point next_sample_;            // GUARDED_BY(lock_)
  telemetry::window_history history_; // GUARDED_BY(lock_)
  telemetry::system_probe probe_;     // GUARDED_BY(lock_)
};

} // namespace skep::actors
