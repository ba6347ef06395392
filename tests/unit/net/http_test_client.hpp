#pragma once

#include "runtime/net/http_server.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace skep::net::testing {

using namespace std::chrono_literals;

/// Generous: sanitizers on a busy machine are slow, and a passing test never waits for it.
inline constexpr auto patience = 20s;

/// Polls until the condition holds; false when the deadline passes first.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// A client on a plain socket: it sends exactly the bytes it is told to. Every wait ends at the
/// deadline; what was not there by then is missing from the result.
class raw_client {
public:
  /// `receive_buffer_bytes` > 0 makes it a client that cannot take much unread.
  explicit raw_client(std::uint16_t port, int receive_buffer_bytes = 0);
  ~raw_client();
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  /// False when the server has closed the connection.
  bool send(std::string_view bytes);
  /// Reads until `mark` has come; returns everything up to and with it, "" at the deadline or end.
  std::string read_until(std::string_view mark);
  /// One response with a content-length, head and body.
  std::string read_response();
  /// Everything until the server closes; `ended` tells whether it did (a reset counts).
  std::string read_to_end();
  /// One recv() of what is there, at most `count` bytes; waits for the first byte.
  std::string read_some(std::size_t count = 65536);
  [[nodiscard]] bool ended() const noexcept {
    return ended_;
  }
  [[nodiscard]] bool was_reset() const noexcept {
    return reset_;
  }
  void close_sending();
  void close();
  /// Closes so that the server sees a reset.
  void reset();

private:
  bool fill();

  int fd_ = -1;
  std::string buffer_;
  bool ended_ = false;
  bool reset_ = false;
};

/// A handler that keeps every request for the test to answer.
class request_box {
public:
  using item = std::pair<http_request, std::shared_ptr<http_exchange>>;

  http_handler handler();
  /// The next request; fails the test when none comes.
  item next();

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<item> items_; // GUARDED_BY(mutex_)
};

/// Starts a server or fails the test.
std::unique_ptr<http_server> serve(http_handler handler, http_server_config config = {});

/// Answers "<method> <path>?<query> <body>" at once.
void echo(http_request&& request, std::shared_ptr<http_exchange> exchange);

std::string get(std::string_view path);

} // namespace skep::net::testing
