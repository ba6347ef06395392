#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[cache]`: the shards of the response cache, published as "cache/0", "cache/1", ….
rt::role cache_role();

} // namespace skep::actors
