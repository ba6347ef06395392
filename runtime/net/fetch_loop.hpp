#pragma once

#include "runtime/net/fetch_deadlines.hpp"
#include "runtime/net/fetch_inbox.hpp"
#include "runtime/net/fetch_pools.hpp"
#include "runtime/net/fetch_transfer.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

// libcurl's own names; the header itself stays in the sources.
using CURLM = void;
using CURLSH = void;

namespace skep::net {

/// The fetch thread's work: libcurl's multi interface driven by epoll, so that a round costs what
/// happened in it and not what is open. Lives and dies on one thread; only the inbox is shared.
class fetch_loop {
public:
  fetch_loop(const fetch_config& config, fetch_inbox& inbox, fetch_pool_book& book);
  fetch_loop(const fetch_loop&) = delete;
  fetch_loop& operator=(const fetch_loop&) = delete;
  ~fetch_loop();

  /// Works until the inbox says stop, then ends every transfer.
  void run();

private:
  struct entry {
    std::unique_ptr<fetch_transfer> transfer;
    fetch_seat seat;
  };

  static int socket_entry(CURL* easy, int fd, int what, void* self, void* known);
  static int timer_entry(CURLM* multi, long timeout_ms, void* self);

  void open_multi();
  void on_socket(int fd, int what, bool known);
  void wait_for_events();
  int wait_ms() const;
  void act(int fd, int flags);
  void run_due_timer();
  void obey(fetch_commands commands);
  void begin(std::unique_ptr<fetch_transfer> transfer);
  void send_out(fetch_transfer& transfer);
  void seat_waiting();
  /// Libcurl closes idle connections only when another transfer looks for one. When there is none
  /// for the idle time, this closes them all.
  void close_idle();
  void control(const fetch_control& command);
  void collect_ended();
  void check_deadlines();
  void end_all();
  /// Takes the transfer out of libcurl, frees its slot and tells its handler.
  void end(fetch_id id, fetch_result result);

  const fetch_config& config_;
  fetch_inbox& inbox_;
  int epoll_fd_;
  CURLSH* share_;
  CURLM* multi_;
  fetch_deadlines deadlines_;
  /// When libcurl wants to be called even if no socket moves.
  std::optional<time_point> curl_due_;
  fetch_pools pools_;
  std::unordered_map<fetch_id, entry> transfers_;
  /// When the connections that nobody uses have been idle for long enough; none: they are in use,
  /// or closed.
  std::optional<time_point> close_idle_at_;
};

} // namespace skep::net
