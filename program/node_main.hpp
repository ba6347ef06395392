#pragma once

#include "runtime/node/role.hpp"

#include <string>
#include <vector>

namespace skep {

/// A program that is a node, and what it says of itself.
struct node_program {
  /// The name it is called by, and that begins what it prints: "skep".
  std::string name;
  /// "1.2.0", for --version and the log.
  std::string version;
  /// One line above the help.
  std::string about;
  /// The kinds of actor its nodes have: actors::all_roles(), and its own.
  std::vector<rt::role> roles;
};

/// The whole main() of such a program: `run CONFIG` serves until SIGTERM or SIGINT and drains, as
/// docs/operations.md says; `check CONFIG` looks at a configuration; `--version` and `--help`.
/// Returns the exit code: 0 well, 1 it did not work, 2 the command line or the configuration is
/// wrong. To be called before the program starts a thread: signals are the main thread's.
int node_main(int argc, char** argv, const node_program& program);

} // namespace skep
