#include "actors/gateway/gateway.hpp"

#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/http_fields.hpp"
#include "actors/gateway/native_request.hpp"
#include "actors/gateway/unknown_model.hpp"
#include "apis/openai/chat_json.hpp"
#include "runtime/base/log.hpp"
#include "runtime/json/string.hpp"
#include "runtime/telemetry/exposition.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <nlohmann/json.hpp>

#include <utility>

namespace skep::actors {

namespace {

// A session's name is an id of the client's; longer ones are cut.
constexpr std::size_t session_name_max = 128;

} // namespace

gateway::gateway(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 std::shared_ptr<const gateway_config> options, rt::node_status& status,
                 rt::cluster_port& cluster, std::shared_ptr<performance_monitor> monitor)
  : bounded_actor(config, env, kind), options_(std::move(options)), status_(status),
    cluster_(cluster), monitor_(std::move(monitor)), router_(env, options_->default_provider),
    responses_(*this, cluster, *options_) {}

caf::behavior gateway::make_behavior() {
  watch();
  return {[this](const rt::call& c, const http_arrival& arrival) { arrived(c, arrival); }};
}

void gateway::watch() {
  monitor_->sample(now());
  after(performance_monitor::sample_interval, [this] { watch(); });
}

void gateway::answer(const rt::call& c, net::http_response response) {
  if (c.lease)
    c.lease->reply(http_answer{std::move(response)});
}

void gateway::arrived(const rt::call& c, const http_arrival& arrival) {
  const auto& request = *arrival.request;
  switch (arrival.what) {
    case endpoint::chat: return chat(c, arrival);
    case endpoint::completions: return completions(c, arrival);
    case endpoint::messages: return messages(c, arrival);
    case endpoint::message_tokens: return count_tokens(c, arrival);
    case endpoint::responses: return create_response(c, arrival);
    case endpoint::response:
    case endpoint::response_items: return stored_response(c, arrival);
    case endpoint::agent_prompt: return agent_prompt(c, arrival);
    case endpoint::embeddings: return embeddings(c, arrival);
    case endpoint::models: return all_models(c, arrival);
    case endpoint::model: return one_model(c, arrival);
    case endpoint::metrics: return answer(c, metrics(request));
    case endpoint::cluster: return answer(c, cluster_view());
    case endpoint::cluster_drain: return answer(c, drain_node(request));
    case endpoint::cache_stats: return answer(c, cache_stats());
    case endpoint::cache_clear: return clear_cache(c, request);
    case endpoint::performance_metrics: return answer(c, performance_metrics());
    case endpoint::agent_pool: return answer(c, agent_pool());
    case endpoint::health_detailed: return answer(c, health_detailed());
    case endpoint::debug_kill: return answer(c, debug_kill(request));
    case endpoint::root:
    case endpoint::health:
    case endpoint::ready:
    case endpoint::registered:
    case endpoint::unknown: break; // The listener answers these, or another role.
  }
  refuse(c, failure{errc::unexpected_message, "the gateway does not serve " + request.path});
}

// -- operations -----------------------------------------------------------------------------------

net::http_response gateway::metrics(const net::http_request& request) {
  const bool as_json
    = request.header("accept").find(telemetry::json_content_type) != std::string_view::npos;
  net::http_response response;
  response.headers.add("content-type",
                       as_json ? telemetry::json_content_type : telemetry::prometheus_content_type);
  response.body
    = as_json ? telemetry::json_text(env().metrics()) : telemetry::prometheus_text(env().metrics());
  return response;
}

net::http_response gateway::cluster_view() const {
  if (!cluster_.clustered())
    return refusal(404, "this node is in no cluster: [cluster] name is not set", "not_found");
  return json_response(200, cluster_.describe());
}

net::http_response gateway::drain_node(const net::http_request& request) {
  auto node = query_value(request.query, "node");
  if (node.empty())
    node = cluster_.self();
  if (const auto asked = cluster_.drain(node); !asked)
    return refusal(404, asked.error().detail, "not_found", "node");
  return json_response(200, R"({"draining":)" + json::quoted(node) + "}");
}

net::http_response gateway::debug_kill(const net::http_request& request) {
  if (!status_.debug_kill)
    return refusal(404, "killing by name is off: [node] debug_kill is false", "not_found");
  const auto name = query_value(request.query, "name");
  const auto who = env().directory().find(name);
  if (!who)
    return refusal(404, "no actor is called \"" + name + "\"", "not_found", "name");
  log::warn("debug: killing {}", name);
  // The guard hands it on to the child; the name stays valid.
  caf::anon_send_exit(who, caf::exit_reason::kill);
  return json_response(200, R"({"killed":)" + json::quoted(name) + "}");
}

// -- chat -----------------------------------------------------------------------------------------

void gateway::chat(const rt::call& c, const http_arrival& arrival) {
  auto body = read_chat_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  add_native(native_request_from(*arrival.request, msg::native_api::chat), body->request);
  pass_chat(c, arrival, std::move(body->request), chat_format(body->include_usage));
}

failure gateway::no_such_model(const std::string& model, const model_scope_ptr& scope) {
  // Whoever may use some models only is not told which providers there are.
  return unknown_model(model, router_.agents(scope),
                       scope ? std::vector<std::string>{} : router_.providers());
}

std::optional<gateway::chat_way> gateway::find_way(const rt::call& c, const http_arrival& arrival,
                                                   msg::chat_request& wanted) {
  const auto& request = *arrival.request;
  auto to = router_.find(wanted.model);
  arrival.client->asks_for(wanted.model, to.full);
  if (!to.handle) {
    arrival.client->blame("model");
    refuse(c, no_such_model(wanted.model, arrival.models));
    return std::nullopt;
  }
  if (!router_.in_scope(to, arrival.models)) {
    arrival.client->blame("model");
    refuse(c, out_of_scope(wanted.model));
    return std::nullopt;
  }
  const auto wish = read_cache_control(request.header("cache-control"));
  wanted.cache = static_cast<std::uint8_t>(wish.mode);
  wanted.cache_max_age_s = wish.age_max_s;
  arrival.client->asked_for(std::exchange(wanted.model, to.model));
  auto context = c.context;
  context.session = request.header("x-session-id").substr(0, session_name_max);
  const auto trace = parse_traceparent(request.header("traceparent"));
  context.trace = child_span(trace.value_or(trace_context{}));
  return chat_way{std::move(to), std::move(context)};
}

void gateway::pass_chat(const rt::call& c, const http_arrival& arrival, msg::chat_request wanted,
                        std::unique_ptr<answer_format> format) {
  auto way = find_way(c, arrival, wanted);
  if (!way)
    return;
  arrival.client->passed_on(std::move(way->to.label), wanted.stream, std::move(format));
  pass_on(c, std::move(way->context), way->to.handle, std::move(wanted));
}

} // namespace skep::actors
