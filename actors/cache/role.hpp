#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[cache]`: the response cache. Publishes its shards as "cache/0", "cache/1", …, the front for
/// this node's agents as "cache", and what other nodes reach as "cache/store".
rt::role cache_role();

} // namespace skep::actors
