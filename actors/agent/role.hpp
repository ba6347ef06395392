#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[agent.NAME]`: a pool of agents per entry, published as "agent/NAME", and one pass-through pool
/// per provider, published as "model/PROVIDER".
rt::role agent_role();

} // namespace skep::actors
