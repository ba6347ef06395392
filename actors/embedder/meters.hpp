#pragma once

#include "runtime/telemetry/registry.hpp"

#include <string>

namespace skep::actors {

/// What an embedder shows, per provider.
struct embedder_meters {
  embedder_meters(telemetry::registry& metrics, const std::string& provider);

  telemetry::counter& requests;
  telemetry::counter& texts;
  /// Texts that an equal one in the same batch answered.
  telemetry::counter& spared;
  telemetry::counter& passed_on;
  telemetry::counter& refused;
  telemetry::counter& batches;
  telemetry::counter& halved;
  telemetry::counter& abandoned;
  telemetry::counter& hedges;
  telemetry::counter& hedges_won;
  telemetry::counter& hedges_denied;
  telemetry::gauge& queued;
  telemetry::gauge& held_bytes;
  telemetry::gauge& in_flight;
  telemetry::gauge& lines;
  telemetry::histogram& batch_texts;
  telemetry::histogram& wait;
};

} // namespace skep::actors
