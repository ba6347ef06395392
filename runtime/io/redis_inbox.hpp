#pragma once

#include "runtime/base/timer_wheel.hpp"
#include "runtime/io/redis_types.hpp"
#include "runtime/telemetry/registry.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace skep::io {

/// A batch on its way to the server and back. Belongs to one thread at a time.
struct redis_batch {
  std::vector<redis_args> requests;
  std::vector<redis_reply> replies;
  /// Empty once it was called: the batch is answered, but its place in the pipeline remains.
  redis_callback done;
  time_point deadline{};
  timer_id timer = 0;
  std::size_t bytes = 0;
};
using redis_batch_ptr = std::unique_ptr<redis_batch>;

/// What a client counts.
struct redis_client_meters {
  explicit redis_client_meters(telemetry::registry& metrics);

  telemetry::gauge& in_flight;
  telemetry::gauge& in_flight_bytes;
  telemetry::gauge& connections_up;
  telemetry::counter& refused;
  telemetry::counter& expired;
  telemetry::counter& failed;
  telemetry::counter& connects;
  telemetry::counter& connect_failures;
  telemetry::counter& lost;
  telemetry::gauge& pool_size;
  telemetry::counter& grown;
  telemetry::counter& shrunk;
  telemetry::counter& evicted;
  /// The moving average of what is asked of the pool, in thousandths of its size.
  std::atomic<std::int64_t> utilisation_milli{0};
  telemetry::registration utilisation;
};

/// The addresses behind a name, or why there are none.
using redis_addresses = expected<std::vector<std::string>>;

/// Everything that came in since the last look.
struct redis_intake {
  std::vector<redis_batch_ptr> batches;
  std::optional<redis_addresses> addresses;
  bool stopping = false;
};

/// The way into the client's thread. Bounded: batches and their bytes are counted from offer()
/// until release(), wherever they are. Thread-safe.
class redis_inbox {
public:
  redis_inbox(std::size_t commands_max, std::size_t bytes_max, telemetry::registry& metrics);
  redis_inbox(const redis_inbox&) = delete;
  redis_inbox& operator=(const redis_inbox&) = delete;
  ~redis_inbox();

  /// Readable when there is something to take.
  int wake_fd() const noexcept {
    return wake_fd_;
  }
  redis_client_meters& meters() {
    return meters_;
  }

  /// errc::overloaded at the bounds, errc::shutting_down after stop().
  expected<void> offer(redis_batch_ptr batch);
  /// The batch has left the client.
  void release(std::size_t bytes);
  /// What a resolver found.
  void resolved(redis_addresses addresses);
  /// From here on offers are refused.
  void stop();

  /// Client's thread only: empties the inbox.
  redis_intake take();

private:
  void wake() const;

  const std::size_t commands_max_;
  const std::size_t bytes_max_;
  redis_client_meters meters_;
  int wake_fd_;
  std::mutex mutex_;
  std::vector<redis_batch_ptr> batches_;     // GUARDED_BY(mutex_)
  std::optional<redis_addresses> addresses_; // GUARDED_BY(mutex_)
  std::size_t open_ = 0;                     // GUARDED_BY(mutex_)
  std::size_t open_bytes_ = 0;               // GUARDED_BY(mutex_)
  bool stopping_ = false;                    // GUARDED_BY(mutex_)
};

} // namespace skep::io
