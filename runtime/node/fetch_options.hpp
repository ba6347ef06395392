#pragma once

#include "runtime/config/schema.hpp"
#include "runtime/net/fetch_types.hpp"

namespace skep::rt {

/// Adds `[fetch]`, the connections to providers, to what a configuration may have. Its struct is
/// net::fetch_config.
void declare_fetch(config::schema& accepted);

} // namespace skep::rt
