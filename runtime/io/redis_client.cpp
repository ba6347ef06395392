#include "runtime/io/redis_client.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/io/redis_inbox.hpp"
#include "runtime/io/redis_loop.hpp"

#include <pthread.h>
#include <signal.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>
#include <utility>

namespace skep::io {

namespace {

/// What a word costs around its bytes, in our hands and in hiredis' buffer.
constexpr std::size_t word_overhead = 64;
constexpr std::size_t batch_overhead = 256;

/// These turn a connection into something else than questions and answers in turn, or hold up
/// everybody else's commands behind them.
bool fits_a_pipeline(const redis_args& words) {
  static constexpr std::array<const char*, 10> others{
    "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
    "MONITOR",   "HELLO",      "RESET",      "QUIT",        "SELECT"};
  return !words.empty() && std::none_of(others.begin(), others.end(), [&words](const char* other) {
    return ::strcasecmp(other, words.front().c_str()) == 0;
  });
}

std::size_t bytes_of(const std::vector<redis_args>& requests) {
  std::size_t sum = batch_overhead;
  for (const auto& words : requests)
    for (const auto& word : words)
      sum += word.size() + word_overhead;
  return sum;
}

} // namespace

class redis_client::impl {
public:
  impl(redis_client_config config, telemetry::registry& metrics)
    : config_(std::move(config)),
      inbox_(std::make_shared<redis_inbox>(config_.commands_max, config_.bytes_max, metrics)) {
    SKEP_ASSERT(config_.connections > 0 && config_.commands_max > 0);
    // Signals belong to the node's own threads, and a write to a closed socket must not raise
    // SIGPIPE here. The mask is inherited, also by the thread that looks up names.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[this] {
      pthread_setname_np(pthread_self(), "redis");
      redis_loop{config_, inbox_}.run();
    }};
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  redis_inbox& inbox() {
    return *inbox_;
  }

  void close() {
    inbox_->stop();
    const std::lock_guard lock{mutex_};
    if (!thread_.joinable())
      return;
    SKEP_ASSERT(std::this_thread::get_id() != thread_.get_id());
    thread_.join();
  }

private:
  const redis_client_config config_;
  const std::shared_ptr<redis_inbox> inbox_; // Lookups of names keep it, too.
  std::mutex mutex_;
  std::thread thread_; // GUARDED_BY(mutex_)
};

redis_client::redis_client(redis_client_config config, telemetry::registry& metrics)
  : impl_(std::make_unique<impl>(std::move(config), metrics)) {}

redis_client::~redis_client() {
  close();
}

expected<void> redis_client::submit_all(std::vector<redis_args> batch, duration timeout,
                                        redis_callback done) {
  SKEP_ASSERT(done != nullptr);
  if (batch.empty() || !std::all_of(batch.begin(), batch.end(), fits_a_pipeline))
    return fail(errc::bad_request,
                "nothing to send to Redis, or a command that does not belong into a pipeline");
  auto made = std::make_unique<redis_batch>();
  made->bytes = bytes_of(batch);
  made->requests = std::move(batch);
  made->done = std::move(done);
  made->deadline = clock::now() + timeout;
  return impl_->inbox().offer(std::move(made));
}

void redis_client::close() {
  impl_->close();
}

} // namespace skep::io
