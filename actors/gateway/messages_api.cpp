// The gateway's POST /v1/messages.
#include "actors/gateway/gateway.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/server_request.hpp"

#include <utility>

namespace skep::actors {

void gateway::messages(const rt::call& c, const http_arrival& arrival) {
  auto body = read_messages_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  messages_wish wish{to_string(arrival.client->id()), body->thinking,
                     std::move(body->stop_sequences)};
  pass_chat(c, arrival, std::move(body->request), messages_format(std::move(wish)));
}

} // namespace skep::actors
