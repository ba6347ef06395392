#pragma once

#include <string>
#include <vector>

namespace skep::cli {

/// Exit codes: 0 well, 1 it did not work, 2 the command line or the configuration is wrong.
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// `skep run`.
struct run_options {
  std::string config;
  /// "ADDR:PORT"; empty: as the configuration says.
  std::string listen;
  std::vector<std::string> sets;
  /// The bound address is written here once clients may come.
  std::string ready_file;
};
int run(const run_options& options);

/// `skep check`.
struct check_options {
  std::string config;
  std::vector<std::string> sets;
  /// Print the configuration in force.
  bool dump = false;
  /// Print every option there is: as a TOML file, or as the page docs/configuration.md.
  bool all_options = false;
  bool markdown = false;
};
int check(const check_options& options);

/// `skep bench`.
struct bench_options {
  std::string workload;
  /// A running node; empty: the workload's own is started.
  std::string target;
  /// The figures go here, too.
  std::string json;
  /// Durations are multiplied by this.
  double scale = 1;
};
int run_bench(const bench_options& options);

/// `skep status`.
int status(const std::string& url);

} // namespace skep::cli
