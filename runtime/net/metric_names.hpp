#pragma once

#include "runtime/telemetry/metric_info.hpp"

// The metrics of this room that others read.
namespace skep::net::metric {

inline constexpr telemetry::metric_info fetch_pool_size{"skep_fetch_pool_size",
                                                        "Connections that may be at work.", "host"};
inline constexpr telemetry::metric_info fetch_pool_in_use{"skep_fetch_pool_in_use",
                                                          "Connections at work.", "host"};
inline constexpr telemetry::metric_info fetch_pool_waiting{
  "skep_fetch_pool_waiting", "Transfers that wait for a connection.", "host"};

} // namespace skep::net::metric
