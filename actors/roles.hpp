#pragma once

#include "runtime/node/role.hpp"

#include <vector>

namespace skep::actors {

/// Every kind of actor skep ships, in the order in which their options are documented. A node
/// computes the order in which it builds them from what they need.
std::vector<rt::role> all_roles();

} // namespace skep::actors
