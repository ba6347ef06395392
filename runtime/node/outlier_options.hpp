#pragma once

#include "runtime/config/option.hpp"
#include "runtime/flow/outlier_detector.hpp"
#include "runtime/flow/slow_start.hpp"

#include <chrono>
#include <cstdint>

namespace skep::actors {

/// The options of outlier ejection, as a table in the section of who has several members.
struct outlier_options {
  bool enabled = true;
  std::uint32_t consecutive_failures_max = 5;
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds ejection{30'000};
  std::chrono::milliseconds ejection_max{300'000};
  double ejected_share_max = 0.1;
  std::uint32_t members_min = 3;
  double healthy_share_min = 0.5;
  std::uint32_t rate_members_min = 5;
  std::uint32_t rate_calls_min = 100;
  double rate_sigmas = 1.9;
};

/// The options of slow start, likewise.
struct slow_start_options {
  std::chrono::milliseconds window{10'000};
  double aggression = 1.0;
  double weight_min = 0.1;
};

const config::table<outlier_options>& outlier_table();
const config::table<slow_start_options>& slow_start_table();

flow::outlier_config rules_of(const outlier_options& from);
flow::slow_start_config rules_of(const slow_start_options& from);

} // namespace skep::actors
