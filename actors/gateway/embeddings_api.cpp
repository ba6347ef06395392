// The gateway's POST /v1/embeddings.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/unknown_model.hpp"
#include "apis/openai/embeddings_json.hpp"

#include <utility>

namespace skep::actors {

namespace {

struct embedding_source {
  caf::actor handle;
  std::string model;
  std::string provider;
};

/// "provider/model", or the default provider's model; agents embed nothing.
embedding_source find_embedder(model_router& router, const std::string& model) {
  const auto slash = model.find('/');
  if (slash != std::string::npos && slash > 0 && slash + 1 < model.size()) {
    auto name = model.substr(0, slash);
    if (auto handle = router.embedder(name))
      return {std::move(handle), model.substr(slash + 1), std::move(name)};
  }
  const auto& name = router.default_provider();
  return {name.empty() ? caf::actor{} : router.embedder(name), model, name};
}

} // namespace

void gateway::embeddings(const rt::call& c, const http_arrival& arrival) {
  if (!c.lease)
    return;
  const auto& request = *arrival.request;
  auto body = read_embeddings_body(request.body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  auto to = find_embedder(router_, body->request.model);
  arrival.client->asks_for(body->request.model, to.provider + "/" + to.model);
  if (!to.handle || router_.has_agent(body->request.model)) {
    arrival.client->blame("model");
    return refuse(c, failure{errc::not_found, "no provider gives embeddings of the model \""
                                                + body->request.model + "\""});
  }
  if (!allows_model(arrival.models, to.provider, to.model, router_.default_provider())) {
    arrival.client->blame("model");
    return refuse(c, out_of_scope(body->request.model));
  }
  body->request.model = std::move(to.model);
  auto context = c.context;
  const auto trace = parse_traceparent(request.header("traceparent"));
  context.trace = child_span(trace.value_or(trace_context{}));
  arrival.client->passed_on(std::move(to.provider));
  // A gateway that ends fails the call through the responder.
  auto open_call = std::make_shared<rt::responder>(take(c));
  const auto asked
    = ask(to.handle, std::move(context), std::move(body->request),
          [open_call, token = c.lease, base64 = body->base64](const rt::answer& got) {
            if (const auto* reply = got.get<msg::embed_reply>())
              token->reply(http_answer{json_response(200, write_embeddings_reply(*reply, base64))});
            else
              token->fail(got.what == rt::answer::kind::failed
                            ? got.why
                            : failure{errc::unexpected_message, "the answer is no embeddings"});
          });
  open_call->on_cancel([this, asked] { give_up(asked); });
}

} // namespace skep::actors
