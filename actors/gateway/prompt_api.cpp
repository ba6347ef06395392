// The gateway's POST /api/v1/agent/prompt.
#include "actors/gateway/gateway.hpp"

namespace skep::actors {

void gateway::agent_prompt(const rt::call& c, const http_arrival&, std::string) {
  refuse(c, failure{errc::not_found, "not served yet"});
}

} // namespace skep::actors
