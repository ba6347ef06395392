#pragma once

#include "actors/gateway/config.hpp"
#include "actors/gateway/endpoints.hpp"
#include "actors/gateway/health.hpp"
#include "actors/gateway/model_router.hpp"
#include "actors/gateway/model_scope.hpp"
#include "actors/gateway/performance_monitor.hpp"
#include "actors/gateway/response_repository.hpp"
#include "actors/gateway/session.hpp"
#include "apis/openai/responses_json.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/net/http_message.hpp"
#include "runtime/node/status.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::actors {

/// One HTTP request on its way from its connection's thread to a gateway; in-process only. Its
/// call's caller is the client's session.
struct http_arrival {
  std::shared_ptr<net::http_request> request;
  /// Keeps the session.
  caf::strong_actor_ptr session_handle;
  session* client = nullptr;
  endpoint what = endpoint::unknown;
  /// What the caller's key is good for.
  model_scope_ptr models;
};

/// Reads the requests that the listener let in, finds who answers for a model name and passes the
/// call on with the client's session as caller, so that answers go past it. Serves the small
/// endpoints itself. One per HTTP thread, spawned by its supervisor; it keeps no state of a
/// request, so a restart costs only the requests that wait in its mailbox.
class gateway : public rt::bounded_actor {
public:
  gateway(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
          std::shared_ptr<const gateway_config> options, rt::node_status& status,
          rt::cluster_port& cluster, std::shared_ptr<performance_monitor> monitor);

protected:
  caf::behavior make_behavior() override;

private:
  void arrived(const rt::call& c, const http_arrival& arrival);
  void chat(const rt::call& c, const http_arrival& arrival);
  /// Who answers a chat, and what goes along with the question.
  struct chat_way {
    model_route to;
    skep::context context;
  };
  /// Finds who answers for the request's model and puts the model's name there into the request;
  /// nothing when nobody does: the call is refused then.
  std::optional<chat_way> find_way(const rt::call& c, const http_arrival& arrival,
                                   msg::chat_request& wanted);
  failure no_such_model(const std::string& model, const model_scope_ptr& scope);
  /// Finds who answers for the request's model and passes the call on; `format` writes the answer.
  void pass_chat(const rt::call& c, const http_arrival& arrival, msg::chat_request request,
                 std::unique_ptr<answer_format> format);
  void completions(const rt::call& c, const http_arrival& arrival);
  void messages(const rt::call& c, const http_arrival& arrival);
  void count_tokens(const rt::call& c, const http_arrival& arrival);
  void create_response(const rt::call& c, const http_arrival& arrival);
  void continue_response(const rt::call& c, const http_arrival& arrival, response_order order,
                         const std::shared_ptr<rt::responder>& waiting);
  /// Goes on from the response `before`, if there is one.
  void answer_response(const rt::call& c, const http_arrival& arrival, response_order order,
                       const std::optional<kept_response>& before, rt::responder out);
  void stored_response(const rt::call& c, const http_arrival& arrival);
  void agent_prompt(const rt::call& c, const http_arrival& arrival);
  void embeddings(const rt::call& c, const http_arrival& arrival);
  void all_models(const rt::call& c, const http_arrival& arrival);
  void one_model(const rt::call& c, const http_arrival& arrival);
  net::http_response metrics(const net::http_request& request);
  net::http_response cluster_view() const;
  net::http_response drain_node(const net::http_request& request);
  net::http_response cache_stats();
  net::http_response performance_metrics();
  net::http_response agent_pool();
  net::http_response health_detailed();
  std::vector<component_health> component_states();
  /// Samples what the performance API watches, again and again.
  void watch();
  void clear_cache(const rt::call& c, const net::http_request& request);
  net::http_response debug_kill(const net::http_request& request);
  static void answer(const rt::call& c, net::http_response response);

  const std::shared_ptr<const gateway_config> options_;
  rt::node_status& status_;
  rt::cluster_port& cluster_;
  const std::shared_ptr<performance_monitor> monitor_;
  model_router router_;
  response_repository responses_;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::http_arrival)
