#pragma once

// tidy: allow size, inline helpers of several tests

#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace skep::testing {

/// Nothing in these tests takes longer on a machine that is not stuck.
inline constexpr std::chrono::seconds patience{10};

/// Keeps what a transfer brought; tests wait on it with a deadline.
class fetch_recorder : public net::fetch_handler {
public:
  void on_headers(int status, const net::fetch_headers& headers) noexcept override {
    const std::lock_guard lock{mutex_};
    status_ = status;
    headers_ = headers;
    changed_.notify_all();
  }

  void on_data(std::string_view bytes) noexcept override {
    const std::lock_guard lock{mutex_};
    data_ += bytes;
    changed_.notify_all();
  }

  void on_done(net::fetch_result result) noexcept override {
    const std::lock_guard lock{mutex_};
    result_ = std::move(result);
    ++done_count_;
    changed_.notify_all();
  }

  /// The end of the transfer; fails the test when it does not come.
  net::fetch_result wait_done() {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, patience, [&] { return done_count_ > 0; }));
    return *result_;
  }

  bool wait_data(std::string_view wanted) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return data_ == wanted; });
  }

  bool wait_data_size(std::size_t bytes) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return data_.size() >= bytes; });
  }

  int status() const {
    const std::lock_guard lock{mutex_};
    return status_;
  }

  std::string data() const {
    const std::lock_guard lock{mutex_};
    return data_;
  }

  std::string header(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    return std::string{net::find_header(headers_, name).value_or("")};
  }

  int done_count() const {
    const std::lock_guard lock{mutex_};
    return done_count_;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int status_ = 0;
  net::fetch_headers headers_;
  std::string data_;
  std::optional<net::fetch_result> result_;
  int done_count_ = 0;
};

/// A GET with the default bounds.
inline net::fetch_request get(std::string url) {
  net::fetch_request request;
  request.url = std::move(url);
  return request;
}

/// A streamed GET with this much credit.
inline net::fetch_request stream(std::string url, std::int64_t window = 1 << 20) {
  net::fetch_request request = get(std::move(url));
  request.streaming = true;
  request.window_bytes = window;
  return request;
}

/// Starts a transfer that must be accepted.
inline std::pair<net::fetch_id, std::shared_ptr<fetch_recorder>>
begin_fetch(net::http_client& client, net::fetch_request request) {
  auto events = std::make_shared<fetch_recorder>();
  const auto id = client.start(std::move(request), events);
  REQUIRE(id);
  return {*id, events};
}

/// Starts a transfer and waits for its end.
inline net::fetch_result fetch(net::http_client& client, net::fetch_request request) {
  return begin_fetch(client, std::move(request)).second->wait_done();
}

/// Asks again and again, until a deadline.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// One value handed from the test to a script of the upstream, or back. take() throws when nothing
/// comes in time, because assertions belong to the test's own thread.
template <class T>
class box {
public:
  void put(T value) {
    promise_.set_value(std::move(value));
  }
  T take() {
    auto future = promise_.get_future();
    if (future.wait_for(patience) != std::future_status::ready)
      throw std::runtime_error{"nothing was put into the box in time"};
    return future.get();
  }

private:
  std::promise<T> promise_;
};

/// Bytes that show loss, repetition and reordering.
inline std::string pattern(std::size_t size) {
  std::string out;
  for (std::size_t i = 0; out.size() < size; ++i)
    out += std::to_string(i) + ",";
  out.resize(size);
  return out;
}

} // namespace skep::testing
