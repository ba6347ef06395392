#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[cache]`: the response cache. Publishes its shards as "cache/0", "cache/1", …, the front for
/// this node's agents as "cache", and what other nodes reach as "cache/store". Uses what a role
/// built before it published as "cache/redis" as its second level.
rt::role cache_role();

} // namespace skep::actors
