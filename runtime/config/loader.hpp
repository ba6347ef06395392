#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/config/diagnostic.hpp"
#include "runtime/config/schema.hpp"

#include <string>
#include <vector>

namespace skep::config {

/// What a configuration is made of. Later ones win: the defaults in code, the text, alias variables
/// (option::alias_env), SKEP_ variables, arguments.
struct sources {
  /// The name of the text in messages.
  std::string file;
  /// TOML.
  std::string text;
  /// `SKEP_CACHE__TTL_MS=5` sets `ttl_ms` in `[cache]`: two underscores stand between levels, names
  /// match an existing key whatever its case, with `-` as `_`. A SKEP_ variable without two
  /// underscores is not for us. Also what `env.NAME` refers to.
  environment env;
  /// "cache.ttl_ms=5", as --set takes them. The value is TOML; what is not TOML is a string.
  /// Entries of a list are counted from 0: "provider.0.model=x".
  std::vector<std::string> arguments;
};

using load_result = tl::expected<document, diagnostics>;

/// Reads and checks a configuration. All problems are returned, not only the first; those of the
/// text in the order of its lines, then those of variables and arguments.
load_result load(const schema& accepted, const sources& from);

/// The same for a file; one that cannot be read is a diagnostic too.
load_result load_file(const schema& accepted, const std::string& path, environment env,
                      std::vector<std::string> arguments = {});

} // namespace skep::config
