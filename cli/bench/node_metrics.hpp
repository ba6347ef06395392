#pragma once

#include "runtime/net/http_client.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace skep::cli::bench {

/// Metrics by their names, each the sum over its series and over the nodes; histograms are left
/// out.
struct metric_sums {
  std::map<std::string, double> counters;
  std::map<std::string, double> gauges;

  /// Adds what one node answered to GET /metrics as JSON; text that is none adds nothing.
  void add(std::string_view json);
  /// By how much each counter rose since then; gauges as they are.
  std::map<std::string, double> since(const metric_sums& before) const;
};

/// Asks all of these nodes; one that does not answer adds nothing. For a few seconds at most.
metric_sums read_metrics(net::http_client& client, const std::vector<std::string>& targets);

} // namespace skep::cli::bench
