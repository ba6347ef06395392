#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[flight]`: gets answers, each once. Publishes its actors as "flight/0", "flight/1", …, and what
/// agents and other nodes reach as "flight".
rt::role flight_role();

} // namespace skep::actors
