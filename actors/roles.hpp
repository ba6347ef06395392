#pragma once

#include "runtime/node/role.hpp"

#include <vector>

namespace skep::actors {

/// Every kind of actor skep ships, in the order a node builds them: what is asked before who asks.
std::vector<rt::role> all_roles();

} // namespace skep::actors
