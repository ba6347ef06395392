#pragma once

#include "runtime/io/redis_client.hpp"
#include "runtime/telemetry/registry.hpp"
#include "tests/support/redis_server.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

/// Nothing here takes longer on a machine that is not stuck.
inline constexpr duration patience = 20s;

/// How one batch ended, as another thread tells it.
class outcome_box {
public:
  using result = expected<std::vector<io::redis_reply>>;

  void put(result got) {
    const std::lock_guard lock{mutex_};
    ++times_;
    result_ = std::move(got);
    changed_.notify_all();
  }
  /// Waits for it.
  result get() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, patience, [this] { return result_.has_value(); }))
      return fail(errc::none, "nothing was heard");
    return *result_;
  }
  int times() {
    const std::lock_guard lock{mutex_};
    return times_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<result> result_;
  int times_ = 0;
};
using outcome_ptr = std::shared_ptr<outcome_box>;

/// A client and what it counts.
struct redis_fixture {
  explicit redis_fixture(io::redis_client_config config) : client(std::move(config), metrics) {}
  explicit redis_fixture(std::uint16_t port) : redis_fixture(at(port)) {}

  /// A config with short times.
  static io::redis_client_config at(std::uint16_t port) {
    io::redis_client_config config;
    config.endpoint.port = port;
    config.connections = 2;
    config.connect_timeout = 300ms;
    config.stall_max = 200ms;
    config.backoff.initial = 5ms;
    config.backoff.wait_max = 50ms;
    return config;
  }

  outcome_ptr send(std::vector<io::redis_args> batch, duration timeout = patience) {
    auto box = std::make_shared<outcome_box>();
    const auto taken = client.submit_all(std::move(batch), timeout,
                                         [box](outcome_box::result got) { box->put(got); });
    if (!taken)
      box->put(fail(taken.error()));
    return box;
  }
  outcome_ptr send(io::redis_args words, duration timeout = patience) {
    return send(std::vector<io::redis_args>{std::move(words)}, timeout);
  }
  /// The one reply, or what went wrong as text.
  std::string ask(io::redis_args words, duration timeout = patience) {
    return shown(send(std::move(words), timeout)->get());
  }
  /// Until the command works.
  bool works_again() {
    const auto deadline = clock::now() + patience;
    while (clock::now() < deadline) {
      if (ask({"PING"}, 200ms) == "+PONG")
        return true;
      ::poll(nullptr, 0, 2);
    }
    return false;
  }

  static std::string shown(const outcome_box::result& got) {
    return got ? shown(got->front()) : "! " + to_string(got.error());
  }
  static std::string shown(const io::redis_reply& reply) {
    using kind = io::redis_reply::kind;
    switch (reply.what) {
      case kind::nil: return "nil";
      case kind::status: return "+" + reply.text;
      case kind::integer: return ":" + std::to_string(reply.integer);
      case kind::bulk: return "$" + reply.text;
      case kind::error: return "-" + reply.text;
      case kind::array: break;
    }
    std::string out = "[";
    for (const auto& each : reply.elements)
      out += (out.size() > 1 ? " " : "") + shown(each);
    return out + "]";
  }

  std::uint64_t counter(const std::string& name, telemetry::label_set labels = {}) {
    return metrics.counter(name, "", std::move(labels)).value();
  }
  bool counter_becomes_positive(const std::string& name, const telemetry::label_set& labels = {}) {
    const auto deadline = clock::now() + patience;
    while (counter(name, labels) == 0 && clock::now() < deadline)
      ::poll(nullptr, 0, 1);
    return counter(name, labels) > 0;
  }
  std::int64_t gauge(const std::string& name) {
    return metrics.gauge(name, "").value();
  }
  bool gauge_becomes(const std::string& name, std::int64_t value) {
    const auto deadline = clock::now() + patience;
    while (gauge(name) != value && clock::now() < deadline)
      ::poll(nullptr, 0, 1);
    return gauge(name) == value;
  }

  telemetry::registry metrics; // Before the client, which uses it to its end.
  io::redis_client client;
};

} // namespace skep::test
