#include "runtime/node/fetch_options.hpp"

#include "runtime/config/option.hpp"

#include <unistd.h>

#include <optional>

namespace skep::rt {

namespace {

using config::option;
using std::chrono::milliseconds;
using c = net::fetch_config;

std::optional<config::violation> check_fetch(const c& from) {
  if (from.connections_per_host_min > from.connections_per_host_max)
    return config::violation{"connections_per_host_min",
                             "must not be above connections_per_host_max"};
  if (from.connections_per_host_max > from.connections_max)
    return config::violation{"connections_per_host_max", "must not be above connections_max"};
  if (from.shrink_below * from.growth_factor >= from.grow_above)
    return config::violation{"shrink_below", "times growth_factor must stay below grow_above: a "
                                             "step down would call for the step up again"};
  if (!from.ca_file.empty() && ::access(from.ca_file.c_str(), R_OK) != 0)
    return config::violation{"ca_file", "cannot be read"};
  return std::nullopt;
}

const config::table<c>& fetch_table() {
  constexpr milliseconds hour{3'600'000};
  constexpr std::size_t one = 1;
  static const config::table<c> rows
    = config::table<c>{
        option{"connections_max", &c::connections_max, one, std::size_t{65'536},
               "Open connections to all hosts together; further calls wait."},
        option{"connections_per_host_min", &c::connections_per_host_min, one, std::size_t{65'536},
               "What the pool of a host begins with and never shrinks below: so many connections "
               "may be at work at once. They are opened when they are needed."},
        option{"connections_per_host_max", &c::connections_per_host_max, one, std::size_t{65'536},
               "What the pool of a host may grow to; further calls wait."},
        option{"growth_factor", &c::growth_factor, 1.05, 10.0,
               "A step up multiplies a pool's size by this, a step down divides by it."},
        option{"grow_above", &c::grow_above, 0.1, 1.0,
               "A moving average of utilisation above this makes a pool grow: at once while calls "
               "wait, else one step per window."},
        option{"shrink_below", &c::shrink_below, 0.0, 0.95,
               "An average that stays below this for shrink_after_ms makes a pool shrink."},
        option{"utilisation_window_ms", &c::utilisation_window, milliseconds{1}, hour,
               "The time constant of the moving average."},
        option{"shrink_after_ms", &c::shrink_after, milliseconds{10}, milliseconds{86'400'000},
               "How long the average must stay low before each step down."},
        option{"connection_idle_ttl_ms", &c::connection_idle_ttl, milliseconds{1000}, hour,
               "A connection idle for longer is closed; stay below the idle time-out of the "
               "provider's load balancer. Rounded up to seconds."},
        option{"keepalive_ms", &c::keepalive_interval, milliseconds{1000}, hour,
               "How often the kernel probes a silent connection, so that a peer that vanished is "
               "noticed. Rounded up to seconds."},
        option{"queue_max", &c::queue_max, one, std::size_t{10'000'000},
               "Calls at work and waiting at all hosts together; further ones are refused."},
        option{"http2", &c::http2, "Speak HTTP/2 with https:// hosts that offer it."},
        option{"http2_streams_max", &c::http2_streams_max, one, std::size_t{1000},
               "Calls that share an HTTP/2 connection. With 1 a stream that its client reads "
               "slowly stops at the provider; above 1 up to 32 MB of it may pile up here."},
        option{"ca_file", &c::ca_file,
               "PEM file of the authorities that https:// hosts are checked against; empty: the "
               "system's."},
        option{"verify_tls", &c::verify_tls,
               "Off accepts any certificate: for tests and closed networks only."},
        option{"proxy_from_environment", &c::proxy_from_environment,
               "Obey http_proxy, https_proxy and no_proxy."},
      }
        .check(check_fetch);
  return rows;
}

} // namespace

void declare_fetch(config::schema& accepted) {
  accepted.section("fetch", config::cardinality::one, fetch_table(),
                   "Connections to the providers' HTTP APIs: one pool per host and port.");
}

} // namespace skep::rt
