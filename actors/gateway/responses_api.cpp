// The gateway's /v1/responses.
#include "actors/gateway/gateway.hpp"

namespace skep::actors {

void gateway::create_response(const rt::call& c, const http_arrival&, std::string) {
  refuse(c, failure{errc::not_found, "not served yet"});
}

void gateway::stored_response(const rt::call& c, const http_arrival&, std::string) {
  refuse(c, failure{errc::not_found, "not served yet"});
}

} // namespace skep::actors
