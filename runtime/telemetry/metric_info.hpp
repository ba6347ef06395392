#pragma once

#include <string_view>

namespace skep::telemetry {

/// One metric as a constant, for those that code of ours also reads: the exporter and the reader
/// name the constant, so that a renamed metric cannot leave a reader with nothing.
struct metric_info {
  const char* name;
  const char* help;
  /// The label by which its readers tell the series apart; empty when they add them up.
  const char* label = "";

  constexpr bool is(std::string_view other) const {
    return other == name;
  }
};

} // namespace skep::telemetry
