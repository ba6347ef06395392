// The gateway's POST /v1/completions.
#include "actors/gateway/gateway.hpp"

namespace skep::actors {

void gateway::completions(const rt::call& c, const http_arrival&, std::string) {
  refuse(c, failure{errc::not_found, "not served yet"});
}

} // namespace skep::actors
