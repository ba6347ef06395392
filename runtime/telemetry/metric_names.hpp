#pragma once

#include "runtime/telemetry/metric_info.hpp"

// The metrics of this room that others read.
namespace skep::telemetry::metric {

inline constexpr metric_info build_info{"skep_build_info",
                                        "Always 1; the labels say what was built.", "version"};

} // namespace skep::telemetry::metric
