// The gateway's POST /v1/messages and /v1/messages/count_tokens.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/native_request.hpp"
#include "apis/anthropic/messages_format.hpp"
#include "apis/anthropic/prompt_estimate.hpp"
#include "apis/anthropic/server_request.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

/// Clients ask before each turn, and an estimate is better than a long wait.
constexpr duration count_deadline = std::chrono::seconds{5};

} // namespace

void gateway::messages(const rt::call& c, const http_arrival& arrival) {
  auto body = read_messages_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  add_native(native_request_from(*arrival.request, msg::native_api::messages), body->request);
  messages_wish wish{to_string(arrival.client->id()), body->thinking,
                     std::move(body->stop_sequences),
                     body->request.stream ? estimated_prompt_tokens(body->request) : 0};
  pass_chat(c, arrival, std::move(body->request), messages_format(std::move(wish)));
}

/// A provider of the API counts; for others, and when it does not answer, it is an estimate.
void gateway::count_tokens(const rt::call& c, const http_arrival& arrival) {
  auto body = read_messages_body(arrival.request->body, messages_task::count);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  auto& request = body->request;
  auto way = find_way(c, arrival, request);
  if (!way)
    return;
  const auto about = estimated_prompt_tokens(request);
  const auto estimate = json::object_writer{}.number("input_tokens", about).object();
  auto native = native_request_from(*arrival.request, msg::native_api::messages);
  if (!native)
    return answer(c, stable_response(200, estimate));
  native->task = static_cast<std::uint8_t>(msg::native_task::count_tokens);
  native->untyped = "only a provider of Anthropic's API counts tokens";
  add_native(std::move(native), request);
  request.stream = false;
  arrival.client->passed_on(std::move(way->to.label));
  const auto waiting = std::make_shared<rt::responder>(take(c));
  auto context = std::move(way->context);
  context.deadline = std::min(context.deadline, now() + count_deadline);
  ask(way->to.handle, std::move(context), std::move(request),
      [c, waiting, estimate](const rt::answer& got) {
        if (!*waiting)
          return; // The client has gone.
        const auto* reply = got.get<msg::chat_reply>();
        const bool counted = reply != nullptr && reply->native.is(msg::native_api::messages);
        // What the provider finds wrong with the request itself is for the client to know.
        const bool wrong = got.why.code == errc::bad_request || got.why.code == errc::too_large;
        if (reply == nullptr && wrong && got.why.provider_api == msg::native_api::messages)
          return waiting->fail(got.why);
        answer(c, stable_response(200, counted ? reply->native.text : estimate));
      });
}

} // namespace skep::actors
