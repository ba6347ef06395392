#include "actors/roles.hpp"

#include "actors/agent/role.hpp"
#include "actors/cache/role.hpp"
#include "actors/embedder/role.hpp"
#include "actors/flight/role.hpp"
#include "actors/gateway/role.hpp"
#include "actors/provider/role.hpp"
#include "actors/redis/role.hpp"
#include "actors/semantic/role.hpp"
#include "actors/store/role.hpp"

namespace skep::actors {

std::vector<rt::role> all_roles() {
  return {store_role(),    provider_role(), embedder_role(), redis_role(),  cache_role(),
          semantic_role(), flight_role(),   agent_role(),    gateway_role()};
}

} // namespace skep::actors
