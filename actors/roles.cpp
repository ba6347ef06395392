#include "actors/roles.hpp"

#include "actors/agent/role.hpp"
#include "actors/cache/role.hpp"
#include "actors/gateway/role.hpp"
#include "actors/provider/role.hpp"

namespace skep::actors {

std::vector<rt::role> all_roles() {
  return {provider_role(), cache_role(), agent_role(), gateway_role()};
}

} // namespace skep::actors
