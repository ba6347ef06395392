#pragma once

#include "actors/gateway/session.hpp"
#include "runtime/telemetry/registry.hpp"

#include <memory>

namespace skep::actors {

/// What finished requests become: one line in the log and the metrics. Thread-safe.
class gateway_observer {
public:
  explicit gateway_observer(telemetry::registry& metrics);
  void operator()(const request_summary& done);

  /// Requests between arrival and end.
  telemetry::gauge& active;

private:
  void count_tokens(const request_summary& done);

  telemetry::registry& metrics_;
};

} // namespace skep::actors
