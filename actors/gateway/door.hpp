#pragma once

#include "actors/gateway/config.hpp"
#include "actors/gateway/observer.hpp"
#include "actors/gateway/performance_monitor.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/net/http_server.hpp"

#include <caf/actor.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace skep::actors {

/// The HTTP server and the way from its threads to the gateways. On the connection's thread it
/// makes the session and the lease of a request and hands both to the gateway of that thread, so
/// that whatever becomes of the gateway, the client gets an answer. Thread-safe once open.
class door {
public:
  /// `gateways` by HTTP thread; `monitor` is told of every request that ended.
  door(rt::environment& env, std::shared_ptr<const gateway_config> options,
       std::vector<caf::actor> gateways, std::shared_ptr<performance_monitor> monitor);
  /// Calls close().
  ~door();

  /// Binds and starts to serve; errc::transport_failed names the address.
  expected<void> open();
  /// Takes no new connections; what runs is finished.
  void drain();
  /// After drain(): every answer has left and every connection is closed.
  bool drained() const;
  /// Cuts what is left and ends the threads.
  void close();
  /// "127.0.0.1:8080".
  std::string endpoint() const;

private:
  void arrive(net::http_request&& request, std::shared_ptr<net::http_exchange> exchange);
  duration timeout_of(const net::http_request& request) const;
  net::http_server_config server_config() const;
  void export_stats();

  rt::environment& env_;
  const std::shared_ptr<const gateway_config> options_;
  const std::shared_ptr<gateway_observer> observer_;
  const std::shared_ptr<performance_monitor> monitor_;
  std::vector<caf::actor> gateways_;
  std::atomic<std::uint64_t> last_mid_{0};
  std::unique_ptr<net::http_server> server_;
  std::vector<telemetry::registration> exported_;
};

} // namespace skep::actors
