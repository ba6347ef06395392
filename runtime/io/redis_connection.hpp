#pragma once

#include "runtime/io/redis_inbox.hpp"
#include "runtime/io/redis_reader.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

struct redisAsyncContext;

namespace skep::io {

class redis_connection;

/// Who owns connections and hears what becomes of them. A call may come in the middle of any call
/// to the connection, so it must not call back into it.
class redis_connection_owner {
public:
  virtual void ready(redis_connection& which) = 0;
  /// The answer to probe() came: it is ready again.
  virtual void proved(redis_connection& which) = 0;
  /// The connection is closed; `sent` are the batches that will not be answered any more.
  virtual void lost(redis_connection& which, failure why, std::deque<redis_batch_ptr> sent) = 0;
  virtual void answered(redis_batch_ptr batch) = 0;

protected:
  ~redis_connection_owner() = default;
};

/// One connection of the pool over hiredis' asynchronous API, whose hooks set what the socket is
/// watched for in `epoll_fd`. Opens with AUTH, SELECT and PING, so that it is ready only when the
/// server really answers. One thread.
class redis_connection {
public:
  enum class phase : std::uint8_t { closed, opening, ready, checking };

  /// `number` stands for it in the events of `epoll_fd`.
  redis_connection(const redis_client_config& config, int epoll_fd, std::uint64_t number,
                   redis_connection_owner& owner);
  redis_connection(const redis_connection&) = delete;
  redis_connection& operator=(const redis_connection&) = delete;
  /// Must be closed by then.
  ~redis_connection();

  phase state() const {
    return phase_;
  }
  std::uint64_t number() const {
    return number_;
  }
  /// When the server's last reply came; that of the greeting at first.
  time_point heard_at() const {
    return heard_at_;
  }
  /// Commands sent and not answered.
  std::size_t awaited() const {
    return reading_.awaited;
  }

  /// Begins to connect; ends in ready() or lost(), maybe at once. `address` is numeric, or unused
  /// for a Unix socket.
  void open(const std::string& address, time_point now);
  /// Asks PING; ends in proved() or lost(). Ready connections without commands in flight only.
  void probe(time_point now);
  /// Appends to the pipeline; flush() writes it. Ready connections only.
  void send(redis_batch_ptr batch);
  /// Writes what is there to write and tells epoll what to watch for.
  void flush();
  /// What epoll saw.
  void on_events(std::uint32_t events);
  /// When check() has to be called at the latest.
  std::optional<time_point> due() const;
  /// Gives up a connection that does not open, or stalls.
  void check(time_point now);
  /// Closes it; lost() is called unless it was closed already.
  void close(failure why);

private:
  /// hiredis' view of this object: plain functions.
  struct hooks;

  void greet();
  void ask(const redis_args& words);
  void reply_came(redis_reply reply);
  void greeting_answered(const redis_reply& reply);
  void connected();
  void gone();
  void watch();

  const redis_client_config& config_;
  const int epoll_fd_;
  const std::uint64_t number_;
  redis_connection_owner& owner_;
  phase phase_ = phase::closed;
  redisAsyncContext* context_ = nullptr;
  redis_reading reading_;
  std::deque<redis_batch_ptr> sent_;
  std::size_t greetings_ = 0; // Replies of the greeting still to come, before those of sent_.
  bool connected_ = false;
  std::uint32_t wanted_ = 0;
  std::uint32_t watched_ = 0;
  failure closing_;         // Why we close it ourselves.
  time_point open_until_{}; // Or until when the answer to probe() must have come.
  time_point heard_at_{};
};

} // namespace skep::io
