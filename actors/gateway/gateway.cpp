#include "actors/gateway/gateway.hpp"

#include "actors/gateway/http_errors.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/base/log.hpp"
#include "runtime/telemetry/exposition.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

namespace skep::actors {

namespace {

constexpr duration models_deadline = 5s;
constexpr std::string_view chat_path = "/v1/chat/completions";
constexpr std::string_view models_path = "/v1/models";

net::http_response text(int status, std::string_view type, std::string body) {
  net::http_response response;
  response.status = status;
  response.headers.add("content-type", type);
  response.headers.add("cache-control", "no-store");
  response.body = std::move(body);
  return response;
}

net::http_response json_text(const session& client, int status, std::string body) {
  auto response = text(status, "application/json", std::move(body));
  response.headers.add("x-request-id", to_string(client.id()));
  return response;
}

std::string_view phase_word(rt::node_phase phase) {
  switch (phase) {
    case rt::node_phase::starting: return "starting";
    case rt::node_phase::ready: return "ready";
    case rt::node_phase::draining: return "draining";
    case rt::node_phase::failed: return "failed";
  }
  return "unknown";
}

/// Takes as long whatever the first differing byte is.
bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// The value of NAME in "a=b&NAME=value", percent-decoded.
std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=')
      continue;
    std::string value;
    for (auto rest = pair.substr(name.size() + 1); !rest.empty(); rest.remove_prefix(1)) {
      unsigned byte = 0;
      const bool escaped
        = rest[0] == '%' && rest.size() >= 3
          && std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr == rest.data() + 3;
      value += escaped ? static_cast<char>(byte) : rest[0] == '+' ? ' ' : rest[0];
      if (escaped)
        rest.remove_prefix(2);
    }
    return value;
  }
  return {};
}

std::uint32_t seconds_of(std::string_view number) {
  std::uint32_t value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  return value;
}

} // namespace

cache_wish read_cache_control(std::string_view header) {
  cache_wish wish;
  while (!header.empty()) {
    auto directive = header.substr(0, header.find(','));
    header.remove_prefix(std::min(header.size(), directive.size() + 1));
    directive.remove_prefix(std::min(directive.find_first_not_of(" \t"), directive.size()));
    directive = directive.substr(0, directive.find_last_not_of(" \t") + 1);
    if (net::equal_ignoring_case(directive, "no-store"))
      wish.mode = msg::cache_mode::off;
    else if (net::equal_ignoring_case(directive, "no-cache") && wish.mode == msg::cache_mode::use)
      wish.mode = msg::cache_mode::refresh;
    else if (directive.size() > 8 && net::equal_ignoring_case(directive.substr(0, 8), "max-age=")) {
      wish.age_max_s = seconds_of(directive.substr(8));
      // Nothing cached is that young.
      if (wish.age_max_s == 0 && wish.mode == msg::cache_mode::use)
        wish.mode = msg::cache_mode::refresh;
    }
  }
  return wish;
}

gateway::gateway(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 std::shared_ptr<const gateway_config> options, rt::node_status& status)
  : bounded_actor(config, env, kind), options_(std::move(options)), status_(status) {}

caf::behavior gateway::make_behavior() {
  return {[this](const rt::call& c, const http_arrival& arrival) { arrived(c, arrival); }};
}

void gateway::arrived(const rt::call& c, const http_arrival& arrival) {
  // From here on the session answers by itself or through the agent it is passed to.
  const auto& path = arrival.request->path;
  auto& client = *arrival.client;
  if (path == "/health") {
    client.respond(json_text(client, 200, R"({"status":"alive"})"));
  } else if (path == "/ready") {
    ready(arrival);
  } else if (path == "/metrics") {
    metrics(arrival);
  } else if (path == chat_path) {
    chat(c, arrival);
    return;
  } else if (path == models_path || path.starts_with("/v1/models/")) {
    models(c, arrival, path == models_path ? std::string{} : path.substr(models_path.size() + 1));
    return;
  } else if (path == "/debug/kill" && status_.debug_kill) {
    debug_kill(arrival);
  } else if (path == "/") {
    client.respond(json_text(client, 200, R"({"name":"skep","docs":"POST /v1/chat/completions"})"));
  } else {
    client.respond(json_text(client, 404,
                             write_error("unknown URL: " + arrival.request->method + " " + path,
                                         "invalid_request_error", {}, "not_found")));
  }
  if (c.lease)
    c.lease->cancel(); // Answered without it.
}

// -- small endpoints ------------------------------------------------------------------------------

void gateway::ready(const http_arrival& arrival) {
  const auto phase = status_.phase.load();
  nlohmann::json body{{"status", phase_word(phase)}, {"node", status_.name}};
  for (const auto& name : env().directory().names("")) {
    const auto who = env().directory().find(name);
    if (const auto* guarded
        = dynamic_cast<const rt::guard*>(caf::actor_cast<caf::abstract_actor*>(who)))
      body["actors"][name] = guarded->would_admit() ? "ready" : "unavailable";
  }
  const int status = phase == rt::node_phase::ready ? 200 : 503;
  arrival.client->respond(json_text(*arrival.client, status, body.dump()));
}

void gateway::metrics(const http_arrival& arrival) {
  const auto accept = arrival.request->header("accept");
  if (accept.find("application/json") != std::string_view::npos)
    arrival.client->respond(
      text(200, telemetry::json_content_type, telemetry::json_text(env().metrics())));
  else
    arrival.client->respond(
      text(200, telemetry::prometheus_content_type, telemetry::prometheus_text(env().metrics())));
}

void gateway::debug_kill(const http_arrival& arrival) {
  const auto name = query_value(arrival.request->query, "name");
  const auto who = env().directory().find(name);
  if (!who) {
    arrival.client->respond(json_text(*arrival.client, 404,
                                      write_error("no actor is called \"" + name + "\"",
                                                  "invalid_request_error", "name", "not_found")));
    return;
  }
  log::warn("debug: killing {}", name);
  caf::anon_send_exit(who, caf::exit_reason::kill);
  arrival.client->respond(json_text(*arrival.client, 200, R"({"killed":)" + json_text(name) + "}"));
}

bool gateway::wrong_method(const http_arrival& arrival, std::string_view allowed) const {
  if (arrival.request->method == allowed)
    return false;
  auto response = json_text(*arrival.client, 405,
                            write_error(arrival.request->method + " is not allowed here",
                                        "invalid_request_error", {}, "method_not_allowed"));
  response.headers.add("allow", allowed);
  arrival.client->respond(std::move(response));
  return true;
}

bool gateway::authorised(const http_arrival& arrival, std::string& tenant) const {
  if (options_->keys.empty())
    return true;
  const auto header = arrival.request->header("authorization");
  constexpr std::string_view scheme = "Bearer ";
  bool known = false;
  if (header.size() > scheme.size()
      && net::equal_ignoring_case(header.substr(0, scheme.size()), scheme))
    for (const auto& each : options_->keys)
      if (same_secret(each.key.reveal(), header.substr(scheme.size()))) {
        known = true;
        tenant = each.tenant;
      }
  if (!known)
    arrival.client->fail(
      failure{errc::unauthenticated, "a valid API key is needed: Authorization: Bearer KEY"});
  return known;
}

// -- models ---------------------------------------------------------------------------------------

caf::actor gateway::find(const std::string& name) {
  auto& handle = known_[name];
  if (!handle)
    handle = env().find(name);
  return handle;
}

gateway::route gateway::find_route(const std::string& model) {
  if (auto agent = find("agent/" + model))
    return {agent, model, model};
  if (const auto slash = model.find('/'); slash != std::string::npos)
    if (auto pool = find("model/" + model.substr(0, slash)))
      return {pool, model.substr(slash + 1), model.substr(0, slash)};
  if (!options_->default_provider.empty())
    if (auto pool = find("model/" + options_->default_provider))
      return {pool, model, options_->default_provider};
  return {};
}

namespace {

/// Gathers what several providers say of their models and answers when the last one has.
struct model_list {
  std::vector<msg::model_entry> models;
  std::size_t waiting = 0;
  std::string wanted;
  caf::strong_actor_ptr keep;
  session* client = nullptr;
  rt::lease_ptr token;

  void finish() {
    if (wanted.empty())
      answer_all();
    else
      answer_one();
    if (token)
      token->cancel();
  }
  void answer_all() {
    std::string body = R"({"object":"list","data":[)";
    for (std::size_t n = 0; n < models.size(); ++n)
      body += (n == 0 ? "" : ",") + write_model(models[n]);
    client->respond(json_text(*client, 200, body + "]}"));
  }
  void answer_one() {
    const auto found = std::find_if(models.begin(), models.end(),
                                    [this](const auto& each) { return each.id == wanted; });
    if (found != models.end())
      client->respond(json_text(*client, 200, write_model(*found)));
    else
      client->fail(failure{errc::not_found, "the model \"" + wanted + "\" does not exist"});
  }
};

} // namespace

void gateway::models(const rt::call& c, const http_arrival& arrival, const std::string& wanted) {
  std::string tenant;
  auto list = std::make_shared<model_list>();
  list->token = c.lease;
  list->wanted = wanted;
  list->keep = arrival.session_handle;
  list->client = arrival.client;
  if (wrong_method(arrival, "GET") || !authorised(arrival, tenant)) {
    if (c.lease)
      c.lease->cancel();
    return;
  }
  for (const auto& name : env().directory().names("agent/"))
    list->models.push_back({name.substr(6), 0, "skep"});
  const auto providers = env().directory().names("model/");
  list->waiting = providers.size();
  leave_open();
  if (providers.empty()) {
    list->finish();
    return;
  }
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + models_deadline);
  for (const auto& pool : providers) {
    const auto provider = pool.substr(6);
    const bool plain = provider == options_->default_provider;
    ask(find("provider/" + provider), context, msg::models_request{},
        [list, provider, plain](const rt::answer& got) {
          if (const auto* reply = got.get<msg::models_reply>())
            for (auto entry : reply->models) {
              if (!plain)
                entry.id = provider + "/" + entry.id;
              list->models.push_back(std::move(entry));
            }
          if (--list->waiting == 0)
            list->finish();
        });
  }
}

// -- chat -----------------------------------------------------------------------------------------

void gateway::chat(const rt::call& c, const http_arrival& arrival) {
  auto context = c.context;
  auto& client = *arrival.client;
  const auto& request = *arrival.request;
  if (wrong_method(arrival, "POST") || !authorised(arrival, context.tenant)) {
    if (c.lease)
      c.lease->cancel();
    return;
  }
  auto body = read_chat_body(request.body);
  if (!body) {
    client.set_param(body.error().param);
    refuse(c, body.error().why);
    return;
  }
  const auto to = find_route(body->request.model);
  if (!to.handle) {
    client.set_param("model");
    refuse(c, failure{errc::not_found, "the model \"" + body->request.model + "\" does not exist"});
    return;
  }
  const auto wish = read_cache_control(request.header("cache-control"));
  body->request.cache = static_cast<std::uint8_t>(wish.mode);
  body->request.cache_max_age_s = wish.age_max_s;
  body->request.model = to.model;
  client.set_model(to.label);
  if (body->include_usage)
    client.want_usage();
  if (const auto trace = parse_traceparent(request.header("traceparent")))
    context.trace = *trace;
  context.trace = child_span(context.trace);
  context.session = std::string{request.header("x-session-id").substr(0, 128)};
  pass_on(c, std::move(context), to.handle, std::move(body->request));
}

} // namespace skep::actors
