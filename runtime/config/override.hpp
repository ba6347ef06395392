#pragma once

#include "runtime/config/diagnostic.hpp"
#include "runtime/config/environment.hpp"
#include "runtime/config/value.hpp"

#include <string>

namespace skep::config {

/// Puts the SKEP_ variables into the tree. Private to this folder.
void apply_environment(value& root, const environment& env, diagnostics& problems);

/// Puts one `path=value` argument into the tree. Private to this folder.
void apply_argument(value& root, const std::string& argument, diagnostics& problems);

} // namespace skep::config
