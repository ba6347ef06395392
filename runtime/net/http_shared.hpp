#pragma once

#include "runtime/net/answer_shape.hpp"
#include "runtime/net/http_server.hpp"
#include "runtime/net/http_shared_body.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list_hook.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

namespace skep::net {

/// The counters behind http_server_stats; relaxed, any thread.
struct http_counters {
  std::atomic<std::uint64_t> accepted{0}, refused{0}, address_refused{0}, idle_closed{0},
    accept_failures{0}, requests{0}, malformed{0}, heads_refused{0}, timeouts{0}, lost{0},
    frames_refused{0}, bodies_refused{0}, answers_refused{0}, bytes_in{0}, bytes_out{0};
  std::atomic<std::size_t> connections{0}, active{0}, bodies_bytes{0}, answers_bytes{0};
};

/// How many connections each address has. Any thread.
class http_address_book {
public:
  /// Enters a connection; returns how many the address has with it.
  std::size_t enter(const boost::asio::ip::address& address);
  void leave(const boost::asio::ip::address& address) noexcept;
  /// Of the address that has the most.
  [[nodiscard]] std::size_t largest() const;

private:
  mutable std::mutex mutex_;
  std::map<boost::asio::ip::address, std::size_t> counts_; // GUARDED_BY(mutex_)
};

/// What all workers of one server share; config and handler do not change after start.
struct http_shared {
  http_server_config config;
  http_handler handler;
  http_counters counters;
  http_address_book addresses;
  compression_counters compressed;
  http_body_store bodies;
};

/// Adds to a counter.
inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.fetch_add(by, std::memory_order_relaxed);
}

/// The owner's words for a request the server cannot serve, else plain ones.
http_response error_response(const http_server_config& config, int status, std::string_view message,
                             const refused_request& asked);
/// 503 with a retry-after.
http_response busy_response(const http_server_config& config, std::string_view message,
                            const refused_request& asked);

/// Runs a step of a session. What fails in it has no memory, and whoever is left half-way would
/// wait for ever: the connection is closed.
template <class Session, class Step>
void guarded(Session& session, Step step) noexcept {
  try {
    step();
  } catch (...) {
    session.close();
  }
}

/// A session's places in the lists of its worker.
struct http_worker_entry
  : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  std::size_t slot = 0;
};

/// Which bound a new connection is over.
enum class crowding { none, server, address };

/// One connection's place among all and among those of its address, given up at the latest when it
/// is destroyed.
class http_place {
public:
  http_place() = default;
  /// Takes a place, whether there is room or not.
  http_place(std::shared_ptr<http_shared> shared, const boost::asio::ip::tcp::endpoint& from);
  http_place(http_place&& other) noexcept = default;
  http_place& operator=(http_place&&) = delete;
  ~http_place() {
    give_up();
  }

  void give_up() noexcept;
  [[nodiscard]] const boost::asio::ip::address& address() const noexcept {
    return address_;
  }
  /// As it was when the place was taken.
  [[nodiscard]] crowding over() const noexcept {
    return over_;
  }
  /// So many are over the bound that this one is not even told.
  [[nodiscard]] bool in_flood() const noexcept {
    return in_flood_;
  }

private:
  std::shared_ptr<http_shared> shared_;
  /// As it counts: of IPv6 the network, because a client may have all of a /64.
  boost::asio::ip::address address_;
  crowding over_ = crowding::none;
  bool in_flood_ = false;
};

} // namespace skep::net
