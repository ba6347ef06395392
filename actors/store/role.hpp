#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[store]`: the node's durable store, published as "store" behind a guard with a circuit breaker.
/// Without a path it is kept in memory.
rt::role store_role();

} // namespace skep::actors
