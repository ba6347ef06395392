#pragma once

#include "runtime/net/http_operation.hpp"
#include "runtime/net/http_session.hpp"
#include "runtime/net/http_shared.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skep::net {

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

  /// Takes over a connection. One over a bound takes the place of an idle one or is told 503.
  void adopt(boost::asio::ip::tcp::socket socket, http_place place);
  void remove(http_session& session);
  /// The session has become idle: it may be closed to make room.
  void rest(http_session& session) noexcept {
    idle_.push_back(session);
  }
  /// Runs the session's callbacks soon, outside of whatever is on the stack now.
  void notify(std::shared_ptr<http_session> session) noexcept;
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

  bool give_up_idle(const http_place& for_whom);
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
  /// The longest idle first.
  boost::intrusive::list<http_session, boost::intrusive::base_hook<http_worker_entry>,
                         boost::intrusive::constant_time_size<false>>
    idle_;
  std::vector<queued> batch_;

  std::mutex inbox_mutex_;
  std::vector<queued> inbox_; // GUARDED_BY(inbox_mutex_)
  bool inbox_closed_ = false; // GUARDED_BY(inbox_mutex_)
  /// True while something is queued or being applied: direct calls must then queue too. Written
  /// under inbox_mutex_.
  std::atomic<bool> inbox_busy_{false};
};

} // namespace skep::net
