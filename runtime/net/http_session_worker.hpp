#pragma once

#include "runtime/net/http_server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace skep::net {

class http_session;

/// The calls of http_exchange as values, so that they can cross threads.
namespace http_op {
struct respond {
  http_response response;
};
struct begin_stream {
  int status;
  http_headers headers;
};
struct write {
  std::string frame;
};
struct end {};
struct abort {};
/// The exchange was dropped before it was answered to the end.
struct drop {};
struct watch_closed {
  std::function<void()> fn;
};
struct watch_drained {
  std::function<void(std::size_t)> fn;
};
} // namespace http_op

using http_operation
  = std::variant<http_op::respond, http_op::begin_stream, http_op::write, http_op::end,
                 http_op::abort, http_op::drop, http_op::watch_closed, http_op::watch_drained>;

/// The counters behind http_server_stats; relaxed, any thread.
struct http_counters {
  std::atomic<std::uint64_t> accepted{0}, refused{0}, accept_failures{0}, requests{0}, malformed{0},
    heads_refused{0}, timeouts{0}, lost{0}, frames_refused{0}, bodies_refused{0}, bytes_in{0},
    bytes_out{0};
  std::atomic<std::size_t> connections{0}, active{0}, bodies_bytes{0};
};

/// What all workers of one server share; config and handler do not change after start.
struct http_shared {
  http_server_config config;
  http_handler handler;
  http_counters counters;
  compression_counters compressed;
};

/// One thread with its io_context and the sessions bound to it. Everything but submit(), post() and
/// on_thread() runs on that thread.
class http_worker : public std::enable_shared_from_this<http_worker> {
public:
  http_worker(std::shared_ptr<http_shared> shared, int index);
  ~http_worker();

  /// The thread's body: serves until shut_down() has run and nothing is pending.
  void run();
  /// Applies the operation at once when the caller is on this thread and nothing queued is older,
  /// else queues it; one wake-up serves the whole queue. False when the worker has ended, in which
  /// case the operation is left untouched.
  bool submit(const std::shared_ptr<http_session>& session, std::uint64_t number,
              http_operation&& operation);
  [[nodiscard]] bool on_thread() const noexcept;

  /// Takes over a connection; `refused` ones are told 503.
  void adopt(boost::asio::ip::tcp::socket socket, bool refused);
  void remove(http_session& session);
  /// Runs the session's callbacks soon, outside of whatever is on the stack now.
  void notify(std::shared_ptr<http_session> session);
  /// Closes idle connections; those at work close after their response.
  void drain();
  void shut_down();

  [[nodiscard]] bool draining() const noexcept {
    return draining_;
  }
  [[nodiscard]] boost::asio::io_context& context() noexcept {
    return context_;
  }
  [[nodiscard]] const http_server_config& config() const noexcept {
    return shared_->config;
  }
  [[nodiscard]] http_shared& shared() noexcept {
    return *shared_;
  }
  [[nodiscard]] int index() const noexcept {
    return index_;
  }
  /// The value of the `date` field, at most one sweep old.
  [[nodiscard]] const std::string& date() const noexcept {
    return date_;
  }

private:
  struct queued {
    std::shared_ptr<http_session> session;
    std::uint64_t number;
    http_operation operation;
  };

  void serve_inbox();
  void apply_batch();
  void run_notifications();
  void sweep();
  void schedule_sweep();
  void finish();
  [[nodiscard]] std::chrono::milliseconds sweep_interval() const noexcept;

  std::shared_ptr<http_shared> shared_;
  int index_;
  boost::asio::io_context context_{1};
  boost::asio::steady_timer sweep_timer_{context_};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::string date_;
  std::time_t date_second_ = 0;
  bool draining_ = false;
  bool ended_ = false;
  bool notifying_ = false;
  std::vector<std::shared_ptr<http_session>> sessions_;
  std::vector<std::shared_ptr<http_session>> to_notify_;
  std::vector<queued> batch_;

  std::mutex inbox_mutex_;
  std::vector<queued> inbox_; // GUARDED_BY(inbox_mutex_)
  bool inbox_closed_ = false; // GUARDED_BY(inbox_mutex_)
  /// True while something is queued or being applied: direct calls must then queue too. Written
  /// under inbox_mutex_.
  std::atomic<bool> inbox_busy_{false};
};

} // namespace skep::net
