#pragma once

#include "runtime/config/diagnostic.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace skep::cli::bench {

/// Which prompts a phase sends.
enum class prompt_mix : std::uint8_t { unique, list, zipf };

/// `[[phase]]`: load of one kind for a while.
struct phase_config {
  std::string name = "load";
  /// Warm-ups are run and not counted.
  bool measured = true;
  /// Closed loop: this many clients, each asking again when answered.
  std::uint32_t concurrency = 8;
  /// Above zero: open loop, this many requests a second whatever the answers do.
  double rate_per_s = 0;
  /// Open loop: requests beyond this many unanswered ones are not sent and count as errors.
  std::uint32_t in_flight_max = 10'000;
  std::chrono::milliseconds duration{2'000};
  /// Above zero: ends after this many requests, too.
  std::uint64_t requests_max = 0;
  std::chrono::milliseconds think{0};
  std::string model = "assistant";
  double stream_share = 0;
  prompt_mix prompts = prompt_mix::unique;
  std::vector<std::string> prompt_list;
  std::uint32_t zipf_keys = 1'000;
  double zipf_exponent = 1.0;
  std::uint32_t max_tokens = 0;
  std::chrono::milliseconds timeout{30'000};
  /// Above 0: what each request asks the node for; answers well behind it are late.
  std::chrono::milliseconds deadline{0};
  std::vector<std::string> expect;
};

/// `[[action]]`: something done to the node while it is under load.
struct action_config {
  std::chrono::milliseconds at{0};
  std::string post;
};

/// `[[upstream]]`: a simulated provider, started before the node.
struct upstream_config {
  std::string name;
  /// From the workload's folder; empty: everything goes well.
  std::string plan;
  std::vector<std::string> sets;
};

/// `[workload]`.
struct workload_config {
  std::string config;
  std::vector<std::string> sets;
  std::uint64_t seed = 1;
  std::vector<std::string> expect;
};

/// One workload file.
struct workload {
  workload_config head;
  std::vector<phase_config> phases;
  std::vector<action_config> actions;
  std::vector<upstream_config> upstreams;
};

/// Reads a file; every problem comes as file:line:col: message.
tl::expected<workload, config::diagnostics> load_workload(const std::string& path);

/// The texts with the URL of an upstream for each "${upstream.NAME}". Pure.
std::vector<std::string> with_upstreams(std::vector<std::string> texts,
                                        const std::map<std::string, std::string>& urls);

} // namespace skep::cli::bench
