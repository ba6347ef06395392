// The gateway's POST /v1/messages and /v1/messages/count_tokens.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/native_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/prompt_estimate.hpp"
#include "apis/anthropic/server_request.hpp"
#include "runtime/json/object.hpp"

#include <utility>

namespace skep::actors {

void gateway::messages(const rt::call& c, const http_arrival& arrival) {
  auto body = read_messages_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  add_native(*arrival.request, msg::native_api::messages, body->request);
  messages_wish wish{to_string(arrival.client->id()), body->thinking,
                     std::move(body->stop_sequences),
                     body->request.stream ? estimated_prompt_tokens(body->request) : 0};
  pass_chat(c, arrival, std::move(body->request), messages_format(std::move(wish)));
}

void gateway::count_tokens(const rt::call& c, const http_arrival& arrival) {
  auto body = read_messages_body(arrival.request->body, messages_task::count);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  if (!find_way(c, arrival, body->request))
    return;
  json::object_writer count;
  count.number("input_tokens", estimated_prompt_tokens(body->request));
  answer(c, stable_response(200, count.object()));
}

} // namespace skep::actors
