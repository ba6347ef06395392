#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace skep::telemetry {
class registry;
} // namespace skep::telemetry

namespace skep::io {

/// Bounds of a pool.
struct blocking_pool_config {
  /// Of the threads and in metrics; at most 15 bytes.
  std::string name = "blocking";
  std::uint32_t threads = 1;
  /// Jobs that wait; further ones are refused.
  std::size_t queue_max = 10'000;
  /// Bytes of these, as their owners count them.
  std::size_t queue_bytes_max = std::size_t{64} << 20;
};

/// Something that blocks.
struct blocking_job {
  /// Runs on a thread of the pool; must not throw. It should end by the deadline it is given, for a
  /// pool cannot interrupt it.
  std::function<void(time_point deadline)> run;
  /// Instead of `run`, on the pool's thread or the caller's: why it will not run
  /// (errc::deadline_exceeded, overloaded, shutting_down).
  std::function<void(failure why)> refuse;
  time_point deadline{};
  /// What it keeps in memory until it has run.
  std::size_t bytes = 0;
};

/// A few threads for calls that block (files, SQL), so that no actor's worker ever does. Jobs begin
/// in the order they came; with one thread each ends before the next begins. One whose deadline
/// passes while it waits is refused when its turn comes. Thread-safe.
class blocking_pool {
public:
  /// `metrics` must outlive the pool.
  blocking_pool(blocking_pool_config config, telemetry::registry& metrics);
  blocking_pool(const blocking_pool&) = delete;
  blocking_pool& operator=(const blocking_pool&) = delete;
  /// As close().
  ~blocking_pool();

  /// Runs or refuses the job, exactly once; a refusal at the bounds happens in here.
  void submit(blocking_job job);

  /// Refuses what waits and lets what runs end, for at most `patience`: a thread that hangs in the
  /// kernel is left behind then, with all it holds. Says whether all have ended. Idempotent; not on
  /// a thread of the pool.
  bool close(duration patience = 5s);

private:
  struct shared;

  std::shared_ptr<shared> shared_;
};

} // namespace skep::io
