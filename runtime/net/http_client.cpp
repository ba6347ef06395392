#include "runtime/net/http_client.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/net/fetch_inbox.hpp"
#include "runtime/net/fetch_loop.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <utility>

namespace skep::net {

void fetch_handler::on_headers(int, const fetch_headers&) noexcept {}

void fetch_handler::on_data(std::string_view) noexcept {}

/// The shared part: the way in, the counters and the thread.
class http_client::impl {
public:
  impl(fetch_config config, telemetry::registry* metrics)
    : config_(std::move(config)),
      own_metrics_(metrics == nullptr ? new telemetry::registry : nullptr),
      book_(metrics == nullptr ? *own_metrics_ : *metrics), inbox_(config_.queue_max) {
    SKEP_ASSERT(config_.connections_max > 0 && config_.connections_per_host_max > 0
                && config_.connections_per_host_min > 0 && config_.http2_streams_max > 0);
    // Signals belong to the node's own threads, and TLS must not raise SIGPIPE here. The mask is
    // inherited, also by libcurl's resolver threads.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[this] { fetch_loop{config_, inbox_, book_}.run(); }};
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), "skep-fetch");
  }

  ~impl() {
    stop();
  }

  void stop() {
    SKEP_ASSERT(std::this_thread::get_id() != thread_.get_id());
    inbox_.stop();
    if (thread_.joinable())
      thread_.join();
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  expected<fetch_id> start(fetch_request request, std::shared_ptr<fetch_handler> handler) {
    SKEP_ASSERT(handler != nullptr);
    const fetch_id id = ++last_id_;
    expected<void> accepted = check_request(request);
    if (accepted) {
      // Counted first: the transfer may end before offer() returns.
      ++counters_.active;
      ++counters_.queued;
      accepted = inbox_.offer(std::make_unique<fetch_transfer>(
        id, std::move(request), std::move(handler), counters_, clock::now()));
      if (!accepted) {
        --counters_.active;
        --counters_.queued;
      }
    }
    ++(accepted ? counters_.started : counters_.refused);
    if (!accepted)
      return fail(std::move(accepted.error()));
    return id;
  }

  fetch_inbox& inbox() {
    return inbox_;
  }
  fetch_pool_book& book() {
    return book_;
  }

  fetch_stats stats() const {
    const auto read = [](const std::atomic<std::uint64_t>& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    return {.active = read(counters_.active),
            .queued = read(counters_.queued),
            .paused = read(counters_.paused),
            .started = read(counters_.started),
            .refused = read(counters_.refused),
            .completed = read(counters_.completed),
            .failed = read(counters_.failed),
            .connections_opened = read(counters_.connections_opened),
            .connections_reused = read(counters_.connections_reused),
            .waiting = book_.waiting()};
  }

private:
  const fetch_config config_;
  const std::unique_ptr<telemetry::registry> own_metrics_;
  fetch_pool_book book_;
  fetch_counters counters_;
  fetch_inbox inbox_;
  std::atomic<fetch_id> last_id_{0};
  std::thread thread_;
};

http_client::http_client(fetch_config config)
  : impl_(std::make_unique<impl>(std::move(config), nullptr)) {}

http_client::http_client(fetch_config config, telemetry::registry& metrics)
  : impl_(std::make_unique<impl>(std::move(config), &metrics)) {}

http_client::~http_client() = default;

void http_client::stop() {
  impl_->stop();
}

expected<fetch_id> http_client::start(fetch_request request,
                                      std::shared_ptr<fetch_handler> handler) {
  return impl_->start(std::move(request), std::move(handler));
}

void http_client::cancel(fetch_id id) {
  impl_->inbox().cancel(id);
}

void http_client::grant(fetch_id id, std::int64_t bytes) {
  impl_->inbox().grant(id, bytes);
}

fetch_stats http_client::stats() const {
  return impl_->stats();
}

void http_client::name_pool(std::string_view base_url) {
  impl_->book().name(host_of(base_url));
}

std::vector<fetch_pool_state> http_client::pools() const {
  return impl_->book().states();
}

std::vector<fetch_pool_resize> http_client::pool_resizes() const {
  return impl_->book().resizes();
}

} // namespace skep::net
