#pragma once

#include "runtime/flow/backoff.hpp"
#include "runtime/flow/pool_sizer.hpp"
#include "runtime/flow/rng.hpp"
#include "runtime/io/redis_connection.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace skep::io {

/// The client's thread: every connection to the server, driven by epoll. Lives and dies on one
/// thread; only the inbox is shared.
class redis_loop final : public redis_connection_owner {
public:
  redis_loop(const redis_client_config& config, std::shared_ptr<redis_inbox> inbox);
  redis_loop(const redis_loop&) = delete;
  redis_loop& operator=(const redis_loop&) = delete;
  ~redis_loop();

  /// Works until the inbox says stop, then ends every batch.
  void run();

private:
  struct place {
    std::unique_ptr<redis_connection> connection;
    flow::backoff backoff;
    time_point attempt_at{};
    time_point ready_at{};
    bool ready = false;
    bool checking = false; // It was asked PING.
    bool retiring = false; // Closed because it is not wanted any more.
  };

  void ready(redis_connection& which) override;
  void proved(redis_connection& which) override;
  void lost(redis_connection& which, failure why, std::deque<redis_batch_ptr> sent) override;
  void answered(redis_batch_ptr batch) override;

  void round();
  void assign(redis_batch_ptr batch);
  /// The connection for the next batch; none: one may come. Has silent ones asked PING first.
  place* usable(time_point now);
  bool wanted(const place& at) const;
  bool silent(const place& at, duration than, time_point now) const;
  void probe(place& at, time_point now);
  void adapt_size(time_point now);
  void retire_spare();
  void ping_silent(time_point now);
  /// A connection may stand soon, so that it makes sense to wait for it.
  bool hopeful(time_point now) const;
  void open_due(time_point now);
  bool know_address(time_point now);
  void resolved(redis_addresses addresses, time_point now);
  void tell_down(const failure& why, time_point now);
  void retry_later(place& at, time_point now);
  void send_waiting(time_point now);
  void fail_waiting();
  void expire(time_point now);
  void finish(redis_batch_ptr batch, expected<std::vector<redis_reply>> result);
  void wait_for_events();
  int wait_ms() const;
  void end_all();

  const redis_client_config& config_;
  const std::shared_ptr<redis_inbox> inbox_;
  redis_client_meters& meters_;
  const int epoll_fd_;
  const bool named_; // The host has to be looked up.
  flow::rng random_;
  timer_wheel<redis_batch*> deadlines_;
  std::vector<place> places_; // As many as there may be at most; the first size() are wanted.
  flow::pool_sizer sizer_;
  std::deque<redis_batch_ptr> waiting_; // For the first connection that opens.
  std::vector<std::string> addresses_;
  std::size_t next_address_ = 0;
  time_point addresses_until_{};
  bool resolving_ = false;
  time_point resolve_until_{};
  std::size_t up_ = 0;
  bool gave_up_ = false;   // The last attempt failed and nothing is up: nobody waits for the next.
  bool told_down_ = false; // The log says that there is no connection.
  time_point quiet_until_{};
  failure last_failure_;
};

} // namespace skep::io
