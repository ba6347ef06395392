#pragma once

#include "runtime/telemetry/metric_info.hpp"

// The metrics of this room that others read.
namespace skep::io::metric {

inline constexpr telemetry::metric_info redis_connections{"skep_redis_connections",
                                                          "Connections that take commands."};
inline constexpr telemetry::metric_info redis_pool_size{"skep_redis_pool_size",
                                                        "Connections wanted."};
inline constexpr telemetry::metric_info redis_client_refused{
  "skep_redis_client_refused_total", "Batches over commands_max or bytes_max."};
inline constexpr telemetry::metric_info redis_connections_lost{
  "skep_redis_connections_lost_total",
  "Connections that broke or were reset after they had worked."};

} // namespace skep::io::metric
