#pragma once

#include "cli/bench/result.hpp"

#include <string>
#include <vector>

namespace skep::cli::bench {

/// The figures as an aligned table, one row a phase.
std::string table_of(const std::vector<phase_result>& phases);
/// The same as JSON, times in milliseconds.
std::string json_of(const std::vector<phase_result>& phases);

/// What `skep bench` prints while a phase runs on a terminal: a bar of 30 characters.
std::string bar_of(double share);

} // namespace skep::cli::bench
