#pragma once

#include "program/commands.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace skep::cli {

using program::exit_failed;
using program::exit_ok;
using program::exit_usage;

/// `skep bench`.
struct bench_options {
  std::string workload;
  /// Running nodes; none: the workload's own is started.
  std::vector<std::string> targets;
  /// The figures go here, too.
  std::string json;
  /// Durations are multiplied by this.
  double scale = 1;
};
int run_bench(const bench_options& options);

/// `skep simulate`.
struct simulate_options {
  /// TOML; empty: everything goes well.
  std::string plan;
  std::string listen = "127.0.0.1:0";
  /// Instead of the plan's.
  std::optional<std::uint64_t> seed;
  /// "upstream.tokens_per_s=50", stronger than the plan.
  std::vector<std::string> sets;
  /// The times of the plan's phases are multiplied by this.
  double scale = 1;
  /// The bound address is written here once clients may come.
  std::string ready_file;
};
/// Serves until a signal comes.
int run_simulate(const simulate_options& options);

/// Where commands look for a node that nobody names; "http://" may be left out.
inline constexpr const char* default_target = "http://127.0.0.1:8080";

/// `skep status`. Fails when the node is not ready, or does not tell its figures.
int status(const std::string& target);

/// `skep cluster up`.
struct cluster_up_options {
  /// Configuration files; a folder means its *.toml, sorted by name.
  std::vector<std::string> configs;
  std::vector<std::string> sets;
  /// Where `skep cluster keygen` put NAME.env: a node's variables, if there are any.
  std::string keys = "keys";
  /// Start again what ended badly.
  bool restart = false;
};
/// Fails when one of the nodes ended badly, last.
int cluster_up(const cluster_up_options& options);

/// `skep cluster status`. Fails when the node has no quorum, or cannot be asked.
int cluster_status(const std::string& target);

/// `skep cluster drain`.
struct cluster_drain_options {
  std::string node;
  /// Any node of the cluster.
  std::string target = default_target;
  double timeout_s = 60;
};
/// Succeeds once the node has left the view.
int cluster_drain(const cluster_drain_options& options);

/// `skep cluster keygen`.
struct cluster_keygen_options {
  std::vector<std::string> names;
  std::string folder = "keys";
  /// Replace the secrets there are.
  bool force = false;
};
int cluster_keygen(const cluster_keygen_options& options);

/// `skep cache stats`.
int cache_stats(const std::string& target);

/// `skep cache clear`: everything, or what one of the two names.
struct cache_clear_options {
  std::string target = default_target;
  std::string agent;
  /// As x-skep-cache-key has it.
  std::string key;
};
int cache_clear(const cache_clear_options& options);

/// `skep cache warm`.
struct cache_warm_options {
  /// One prompt a line: JSON lines or plain text.
  std::string file;
  std::string target = default_target;
  /// For prompts that name none.
  std::string model;
  std::uint32_t concurrency = 8;
  /// Requests a second; 0: as fast as answers come.
  double rate_per_s = 0;
};
/// Fails when one of the prompts got no answer.
int cache_warm(const cache_warm_options& options);

/// `skep cache train`.
struct cache_train_options {
  /// Files and folders of answers.
  std::vector<std::string> samples;
  std::string out;
  std::uint64_t bytes = 65'536;
};
int cache_train(const cache_train_options& options);

} // namespace skep::cli
