#pragma once

#include "runtime/config/document.hpp"
#include "runtime/node/role.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace skep::program {

/// Reads a configuration for these roles, in this process' environment and what `variables` put in
/// its place. On failure every problem is printed to stderr, one a line
/// as file:line:col: message, and nothing is returned.
std::optional<config::document>
load_config(const std::string& path, const std::vector<std::string>& sets,
            std::span<const rt::role> roles,
            const std::map<std::string, std::string>& variables = {});

} // namespace skep::program
