#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[semantic.NAME]`: the policies of the semantic cache. Publishes this node's as "semantic" when
/// there is any; off without one.
rt::role semantic_role();

} // namespace skep::actors
