#include "runtime/io/redis_inbox.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/io/metric_names.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace skep::io {

namespace {

/// A full client frees places as fast as Redis answers; a few milliseconds are many of them.
constexpr std::chrono::milliseconds full_retry_after{10};

} // namespace

redis_client_meters::redis_client_meters(telemetry::registry& m)
  : in_flight(m.gauge("skep_redis_in_flight", "Batches of commands accepted and not ended.")),
    in_flight_bytes(m.gauge("skep_redis_in_flight_bytes", "Bytes of the words of these.")),
    connections_up(m.gauge(metric::redis_connections.name, metric::redis_connections.help)),
    refused(m.counter(metric::redis_client_refused.name, metric::redis_client_refused.help)),
    expired(
      m.counter("skep_redis_client_expired_total", "Batches not answered by their deadline.")),
    failed(m.counter("skep_redis_client_failed_total",
                     "Batches that found no connection or were lost with one.")),
    connects(m.counter("skep_redis_connects_total", "Attempts to connect by how they ended.",
                       {{"outcome", "ok"}})),
    connect_failures(m.counter("skep_redis_connects_total",
                               "Attempts to connect by how they ended.", {{"outcome", "failed"}})),
    lost(m.counter(metric::redis_connections_lost.name, metric::redis_connections_lost.help)),
    pool_size(m.gauge(metric::redis_pool_size.name, metric::redis_pool_size.help)),
    grown(m.counter("skep_redis_pool_grown_total", "Steps up of the pool's size.")),
    shrunk(m.counter("skep_redis_pool_shrunk_total", "Steps down of the pool's size.")),
    evicted(m.counter("skep_redis_pool_evicted_total",
                      "Connections closed because they did not answer a PING.")),
    utilisation(
      m.gauge_callback("skep_redis_pool_utilisation",
                       "Moving average of the share of the pool that is used, 0 to 1.", {},
                       [this] { return static_cast<double>(utilisation_milli.load()) / 1000; })) {}

redis_inbox::redis_inbox(std::size_t commands_max, std::size_t bytes_max,
                         telemetry::registry& metrics)
  : commands_max_(commands_max), bytes_max_(bytes_max), meters_(metrics),
    wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  SKEP_ASSERT(wake_fd_ >= 0);
}

redis_inbox::~redis_inbox() {
  ::close(wake_fd_);
}

expected<void> redis_inbox::offer(redis_batch_ptr batch) {
  const std::lock_guard lock{mutex_};
  if (stopping_)
    return fail(errc::shutting_down, "the Redis client is being closed");
  if (open_ >= commands_max_ || batch->bytes > bytes_max_ - open_bytes_) {
    meters_.refused.inc();
    return fail(errc::overloaded,
                fmt::format("the Redis client has {} of {} commands and {} of {} bytes in flight",
                            open_, commands_max_, open_bytes_, bytes_max_),
                full_retry_after);
  }
  ++open_;
  open_bytes_ += batch->bytes;
  meters_.in_flight.set(static_cast<std::int64_t>(open_));
  meters_.in_flight_bytes.set(static_cast<std::int64_t>(open_bytes_));
  batches_.push_back(std::move(batch));
  if (batches_.size() == 1)
    wake();
  return {};
}

void redis_inbox::release(std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  SKEP_ASSERT(open_ > 0 && open_bytes_ >= bytes);
  --open_;
  open_bytes_ -= bytes;
  meters_.in_flight.set(static_cast<std::int64_t>(open_));
  meters_.in_flight_bytes.set(static_cast<std::int64_t>(open_bytes_));
}

void redis_inbox::resolved(redis_addresses addresses) {
  const std::lock_guard lock{mutex_};
  addresses_ = std::move(addresses);
  wake();
}

void redis_inbox::stop() {
  const std::lock_guard lock{mutex_};
  stopping_ = true;
  wake();
}

redis_intake redis_inbox::take() {
  std::uint64_t count = 0;
  // EAGAIN when nobody rang: the loop also looks after its sockets moved.
  [[maybe_unused]] const auto n = ::read(wake_fd_, &count, sizeof count);
  redis_intake out;
  const std::lock_guard lock{mutex_};
  out.batches.swap(batches_);
  out.addresses.swap(addresses_);
  out.stopping = stopping_;
  return out;
}

void redis_inbox::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the reader is awake anyway.
  [[maybe_unused]] const auto n = ::write(wake_fd_, &one, sizeof one);
}

} // namespace skep::io
