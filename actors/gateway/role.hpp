#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[gateway]`: the HTTP server and one gateway actor per thread, published as "gateway/0", ….
/// Clients come in when all roles are built.
rt::role gateway_role();

} // namespace skep::actors
