#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[gateway]`: the HTTP server and one gateway actor per thread, published as "gateway/0", ….
/// Needs everything else to be built.
rt::role gateway_role();

} // namespace skep::actors
