#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[redis]`: the second level of the response cache in a Redis server, published as "cache/redis"
/// behind a guard with a circuit breaker. Nothing without a url or host.
rt::role redis_role();

} // namespace skep::actors
