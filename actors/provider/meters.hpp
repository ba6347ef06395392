#pragma once

#include "messages/chat.hpp"
#include "messages/errc.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/telemetry/registry.hpp"

#include <array>
#include <string>

namespace skep::actors {

/// What every connector counts, by provider.
class provider_meters {
public:
  provider_meters(telemetry::registry& metrics, const std::string& provider);

  /// One call ended; `why` is errc::none when well.
  void ended(errc why, duration took);
  void tokens(const msg::token_usage& usage);

  telemetry::counter& retries;
  telemetry::counter& retries_refused;
  telemetry::counter& refused;
  telemetry::gauge& in_flight;
  telemetry::histogram& first_token;

private:
  telemetry::registry& metrics_;
  const std::string provider_;
  // By errc; made when first needed, so that only outcomes that happened are shown.
  std::array<telemetry::counter*, errc_count> outcomes_{};
  telemetry::histogram& latency_;
  telemetry::counter& tokens_in_;
  telemetry::counter& tokens_out_;
};

} // namespace skep::actors
