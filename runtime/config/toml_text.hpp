#pragma once

#include "runtime/config/value.hpp"

#include <string>

namespace skep::config {

/// A value as it stands after the equals sign. Private to this folder, like the next.
std::string toml_inline(const value& v);

/// A table as a TOML file: scalars first, then `[tables]` and `[[lists of tables]]`. Members that
/// are not given are left out.
std::string toml_document(const value& root);

} // namespace skep::config
