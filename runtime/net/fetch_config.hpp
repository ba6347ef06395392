#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace skep::net {

/// Bounds and TLS of one client. All counts must be positive.
struct fetch_config {
  /// Open connections in total; further transfers wait for one, under their total time-out.
  std::size_t connections_max = 512;
  /// Connections at work to one host and port: the pool's size moves between these two as
  /// flow::pool_sizer decides; further transfers wait, under their total time-out. A minimum above
  /// the maximum counts as the maximum.
  std::size_t connections_per_host_min = 8;
  std::size_t connections_per_host_max = 256;
  /// How the size moves. shrink_below * growth_factor must stay below grow_above.
  double growth_factor = 2.0;
  double grow_above = 0.8;
  double shrink_below = 0.3;
  std::chrono::milliseconds utilisation_window{50};
  std::chrono::milliseconds shrink_after{30'000};
  /// Transfers accepted and not yet ended, waiting ones included; start() refuses beyond it.
  std::size_t queue_max = 65'536;
  /// A connection idle for longer is closed instead of used again, rounded up to seconds. 60 s
  /// stays below the idle time-out of common load balancers.
  std::chrono::milliseconds connection_idle_ttl{60'000};
  /// TCP probes on silent connections, so that one whose peer went away without a word is found
  /// dead before it is used again.
  std::chrono::milliseconds keepalive_interval{30'000};
  /// HTTP/2 where TLS and ALPN agree on it; plain URLs always speak HTTP/1.1.
  bool http2 = true;
  /// Transfers sharing one HTTP/2 connection at a time. With 1, a paused stream's bytes stay with
  /// the provider. Above 1, a live neighbour makes libcurl read on, and each paused stream may then
  /// hold up to 32 MB in this process: the stream window of libcurl 7.88 is fixed.
  std::size_t http2_streams_max = 1;
  /// Off only for tests and closed networks: certificates are then not checked at all.
  bool verify_tls = true;
  /// PEM file of trusted authorities; empty means the system's.
  std::string ca_file;
  /// Obey http_proxy and friends; off by default so that a node does what its config says.
  bool proxy_from_environment = false;
};

} // namespace skep::net
