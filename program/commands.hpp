#pragma once

#include "program/node_main.hpp"

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

// The commands that every program with a node has.
namespace skep::program {

/// Exit codes: 0 well, 1 it did not work, 2 the command line or the configuration is wrong.
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// `run`.
struct run_options {
  std::string config;
  /// "ADDR:PORT"; empty: as the configuration says.
  std::string listen;
  std::vector<std::string> sets;
  /// The bound address is written here once clients may come.
  std::string ready_file;
};
int run(const node_program& program, const run_options& options);

/// `check`.
struct check_options {
  std::string config;
  std::vector<std::string> sets;
  /// Print the configuration in force.
  bool dump = false;
  /// Print every option there is: as a TOML file, or as a Markdown page.
  bool all_options = false;
  bool markdown = false;
};
int check(const node_program& program, const check_options& options);

/// What the command line asks for, to be called once it is read.
using chosen_command = std::function<int()>;

/// Adds run, check, version and help. `app`, `chosen` and `program` must live until the command
/// ended.
void add_commands(CLI::App& app, chosen_command& chosen, const node_program& program);
/// Reads the command line and does what it asks for; returns the exit code.
int parse_and_run(CLI::App& app, const chosen_command& chosen, int argc, char** argv);

} // namespace skep::program
