#pragma once

#include "actors/gateway/admission.hpp"
#include "actors/gateway/config.hpp"
#include "actors/gateway/observer.hpp"
#include "actors/gateway/performance_monitor.hpp"
#include "actors/gateway/probes.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/net/http_server.hpp"

#include <caf/actor.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::actors {

/// The HTTP listeners and the way from their threads to the gateways. On the connection's thread it
/// decides at a request's head who comes in, answers the probes, and for everything else makes the
/// session and the lease and hands both to the gateway of that thread, so that whatever becomes of
/// the gateway, the client gets an answer. Thread-safe once open.
class http_listener {
public:
  /// What the listener tells of and whom it tells; all of it outlives the listener.
  struct house {
    rt::environment& env;
    const rt::node_status& status;
    const rt::cluster_port& cluster;
    /// What is served.
    std::shared_ptr<const endpoint_table> endpoints = std::make_shared<const endpoint_table>();
  };

  /// `gateways` by HTTP thread; `monitor` is told of every request that ended.
  http_listener(const house& around, std::shared_ptr<const gateway_config> options,
                const admin_config& operations, std::vector<caf::actor> gateways,
                std::shared_ptr<performance_monitor> monitor);
  /// Calls close().
  ~http_listener();

  /// Binds and starts to serve; errc::transport_failed names the address.
  expected<void> open();
  /// Takes no new connections of clients; what runs is finished. A socket for operations goes on
  /// until close(), so that a drain can be watched.
  void drain();
  /// After drain(): every answer has left and every connection is closed.
  bool drained() const;
  /// Cuts what is left and ends the threads.
  void close();
  /// "127.0.0.1:8080".
  std::string endpoint() const;
  /// The same of `[admin] listen`; empty without one.
  std::string operations_endpoint() const;

private:
  struct server_socket {
    admission rules;
    net::http_server_config config;
    std::unique_ptr<net::http_server> server;
  };
  using socket_ptr = std::unique_ptr<server_socket>;

  expected<void> open(server_socket& at);
  std::optional<net::http_response> check_head(const server_socket& at,
                                               const net::http_request& head);
  void settled_by_head(const net::http_request& head, const served_endpoint& asked,
                       std::string path, std::string request_id, int status, errc why);
  void arrive(const server_socket& at, net::http_request&& request,
              std::shared_ptr<net::http_exchange> exchange);
  void hand_over(const session::made& client, net::http_request&& request,
                 const served_endpoint& asked, caller who);
  duration timeout_of(const net::http_request& request) const;
  std::size_t body_max_of(const server_socket& at, const net::http_request& head) const;
  net::http_server_config client_config() const;
  net::http_server_config operations_config(const admin_config& operations) const;
  void export_stats();

  rt::environment& env_;
  const std::shared_ptr<const gateway_config> options_;
  const std::shared_ptr<gateway_observer> observer_;
  // Tells observer_ and the monitor; sessions that outlive the listener keep both.
  const request_observer observe_;
  const probes probes_;
  std::array<telemetry::counter*, denial_reason_count> denied_;
  std::vector<caf::actor> gateways_;
  std::atomic<std::uint64_t> last_mid_{0};
  socket_ptr clients_;
  // Null: operations share the clients' socket.
  socket_ptr operations_;
  std::vector<telemetry::registration> exported_;
};

} // namespace skep::actors
