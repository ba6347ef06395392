#pragma once

#include "runtime/config/document.hpp"
#include "runtime/config/schema.hpp"

#include <string>

namespace skep::config {

/// The configuration in force as TOML, which loads again to the same. Secrets and all other text
/// that came from environment variables are printed as `env.NAME`: a URL may hold a password.
std::string dump(const document& doc);

/// A TOML file with every option, its help, range and default (configs/all-options.toml). Lines
/// that begin with `## ` explain; lines that begin with `# ` show what has no default and can be
/// uncommented. Loading it gives the defaults.
std::string all_options_toml(const schema& accepted);

/// The same for reading (docs/configuration.md): one Markdown table per section.
std::string markdown(const schema& accepted);

} // namespace skep::config
