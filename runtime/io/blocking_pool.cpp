#include "runtime/io/blocking_pool.hpp"

#include "runtime/telemetry/registry.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace skep::io {

namespace {

/// A queue that is full frees places as fast as a disk serves.
constexpr std::chrono::milliseconds full_retry_after{50};

} // namespace

/// What the threads hold: it outlives the pool where one of them hangs.
struct blocking_pool::shared {
  shared(blocking_pool_config c, telemetry::registry& m)
    : config(std::move(c)), queued(m.gauge("skep_blocking_queue", "Jobs that wait for a thread.",
                                           {{"pool", config.name}})),
      queued_bytes(
        m.gauge("skep_blocking_queue_bytes", "Bytes of these jobs.", {{"pool", config.name}})),
      refused(m.counter("skep_blocking_refused_total", "Jobs over queue_max or queue_bytes_max.",
                        {{"pool", config.name}})),
      expired(m.counter("skep_blocking_expired_total", "Jobs whose deadline passed in the queue.",
                        {{"pool", config.name}})) {}

  /// Nothing: the pool is closed and the thread's work done.
  std::optional<blocking_job> take() {
    std::unique_lock hold{mutex};
    changed.wait(hold, [this] { return closed || !queue.empty(); });
    if (queue.empty())
      return std::nullopt;
    auto job = std::move(queue.front());
    queue.pop_front();
    bytes -= job.bytes;
    show();
    return job;
  }

  /// With the mutex held.
  void show() {
    if (closed)
      return; // The registry may be gone before a thread that hangs.
    queued.set(static_cast<std::int64_t>(queue.size()));
    queued_bytes.set(static_cast<std::int64_t>(bytes));
  }

  void work() {
    while (auto job = take()) {
      if (job->deadline <= clock::now())
        expire(*job);
      else
        job->run(job->deadline);
    }
    std::lock_guard hold{mutex};
    --running;
    changed.notify_all();
  }

  void expire(const blocking_job& job) {
    {
      std::lock_guard hold{mutex};
      if (!closed)
        expired.inc();
    }
    job.refuse(failure{errc::deadline_exceeded,
                       fmt::format("the call waited too long for a thread of {}", config.name)});
  }

  const blocking_pool_config config;
  telemetry::gauge& queued;
  telemetry::gauge& queued_bytes;
  telemetry::counter& refused;
  telemetry::counter& expired;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<blocking_job> queue; // GUARDED_BY(mutex)
  std::size_t bytes = 0;          // GUARDED_BY(mutex)
  std::uint32_t running = 0;      // GUARDED_BY(mutex)
  bool closed = false;            // GUARDED_BY(mutex)
};

blocking_pool::blocking_pool(blocking_pool_config config, telemetry::registry& metrics)
  : shared_(std::make_shared<shared>(std::move(config), metrics)) {
  for (std::uint32_t n = 0; n < shared_->config.threads; ++n) {
    {
      std::lock_guard hold{shared_->mutex};
      ++shared_->running;
    }
    std::thread thread{[all = shared_] { all->work(); }};
    pthread_setname_np(thread.native_handle(), shared_->config.name.c_str());
    thread.detach(); // close() waits for it, but not for ever.
  }
}

blocking_pool::~blocking_pool() {
  close();
}

void blocking_pool::submit(blocking_job job) {
  std::optional<failure> why;
  {
    std::lock_guard hold{shared_->mutex};
    const auto& bounds = shared_->config;
    const bool full = shared_->queue.size() >= bounds.queue_max
                      || shared_->bytes + job.bytes > bounds.queue_bytes_max;
    if (shared_->closed) {
      why = failure{errc::shutting_down, bounds.name + " is closed"};
    } else if (full) {
      shared_->refused.inc();
      why = failure{errc::overloaded, bounds.name + " has as much to do as its bounds allow",
                    full_retry_after};
    } else {
      shared_->bytes += job.bytes;
      shared_->queue.push_back(std::move(job));
      shared_->show();
    }
  }
  if (why)
    job.refuse(std::move(*why));
  else
    shared_->changed.notify_one();
}

bool blocking_pool::close(duration patience) {
  std::deque<blocking_job> left;
  {
    std::lock_guard hold{shared_->mutex};
    left.swap(shared_->queue);
    shared_->bytes = 0;
    shared_->show();
    shared_->closed = true;
  }
  shared_->changed.notify_all();
  for (const auto& job : left)
    job.refuse(failure{errc::shutting_down, shared_->config.name + " is closed"});
  std::unique_lock hold{shared_->mutex};
  return shared_->changed.wait_for(hold, patience, [this] { return shared_->running == 0; });
}

} // namespace skep::io
