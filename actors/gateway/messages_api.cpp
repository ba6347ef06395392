// The gateway's POST /v1/messages.
#include "actors/gateway/gateway.hpp"

namespace skep::actors {

void gateway::messages(const rt::call& c, const http_arrival&, std::string) {
  refuse(c, failure{errc::not_found, "not served yet"});
}

} // namespace skep::actors
