#pragma once

#include "runtime/telemetry/metric_info.hpp"

// The metrics of this room that others read.
namespace skep::rt::metric {

inline constexpr telemetry::metric_info mailbox_depth{
  "skep_mailbox_depth", "Data messages waiting, over all actors of the kind.", "actor"};
inline constexpr telemetry::metric_info breaker_state{"skep_breaker_state",
                                                      "0 closed, 1 open, 2 half-open.", "name"};

} // namespace skep::rt::metric
