// The gateway's performance API.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"

namespace skep::actors {

net::http_response gateway::performance_metrics() {
  return refusal(404, "not served yet", "not_found");
}

net::http_response gateway::agent_pool() {
  return refusal(404, "not served yet", "not_found");
}

net::http_response gateway::health_detailed() {
  return refusal(404, "not served yet", "not_found");
}

} // namespace skep::actors
