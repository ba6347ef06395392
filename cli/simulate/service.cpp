#include "cli/simulate/service.hpp"

#include "apis/openai/embeddings_json.hpp"
#include "cli/simulate/dialects.hpp"
#include "runtime/store/lexical_embedder.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skep::cli::simulate {

namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t recent_max = 32;
constexpr std::size_t recent_body_max = 64 * 1024;
// However far a lognormal's tail reaches.
constexpr double delay_max_s = 3'600;
constexpr std::string_view models_path = "/v1/models/";

flow::token_bucket_config limit_of(const upstream_config& config) {
  return {std::max(config.requests_per_s, 1e-6), config.requests_burst};
}

const flavour& kind_of(const upstream_config& config) {
  static const flavour plain;
  const auto* const named = find_flavour(config.flavour);
  return named == nullptr ? plain : *named;
}

bool has_key(const net::http_request& request) {
  return !request.header("x-api-key").empty()
         || request.header("authorization").starts_with("Bearer ");
}

std::string not_found_type(dialect spoken) {
  return spoken == dialect::openai ? "invalid_request_error" : "not_found_error";
}

error_text wrong(dialect spoken, const call_error& why) {
  return {why.status,
          why.message,
          "invalid_request_error",
          {},
          spoken == dialect::openai ? why.param : std::string{}};
}

script nothing_here(const net::http_request& request) {
  return error_script(dialect::openai, {404,
                                        "Invalid URL (" + request.method + " " + request.path + ")",
                                        "invalid_request_error",
                                        "unknown_url",
                                        {}});
}

} // namespace

service::service(plan from, double scale)
  : plan_(std::move(from)), kind_(kind_of(plan_.upstream)),
    faults_(plan_.phases, plan_.upstream.seed, scale),
    limit_(limit_of(plan_.upstream), time_point{}), random_(plan_.upstream.seed + 1) {}

service_reply service::answer(const net::http_request& request, time_point now) {
  auto reply = route(request, now);
  reply.what.headers.add(reply.spoken == dialect::openai ? "x-request-id" : "request-id",
                         "req_simulated_" + std::to_string(++requests_));
  return reply;
}

service_reply service::route(const net::http_request& request, time_point now) {
  const auto& path = request.path;
  const bool post = request.method == "POST";
  if (post && path == "/v1/chat/completions")
    return chat(request, dialect::openai, now);
  if (post && path == "/v1/messages")
    return chat(request, dialect::anthropic, now);
  if (post && path == "/v1/embeddings")
    return embeddings(request, now);
  if (post && path == "/v1/messages/count_tokens")
    return {count_tokens(request)};
  if (request.method == "GET" && path == "/v1/models")
    return {list_models(request, {})};
  if (request.method == "GET" && path.starts_with(models_path))
    return {list_models(request, path.substr(models_path.size()))};
  if (path == "/simulate/faults")
    return {control_faults(request, now)};
  if (request.method == "GET" && path == "/simulate/calls")
    return {show_calls()};
  return {nothing_here(request)};
}

script service::overloaded(dialect spoken) {
  ++by_mode_[static_cast<std::size_t>(fault_mode::overloaded)];
  return failed_in(kind_, spoken, overload_script(spoken));
}

void service::show_load(std::size_t working, std::size_t waiting) {
  working_ = working;
  waiting_ = waiting;
}

// -- calls ----------------------------------------------------------------------------------------

std::optional<error_text> service::complaint(const net::http_request& request,
                                             dialect spoken) const {
  const bool is_openai = spoken == dialect::openai;
  if (plan_.upstream.key_required && !has_key(request)) {
    if (is_openai)
      return error_text{
        401, "You didn't provide an API key.", "invalid_request_error", "invalid_api_key", {}};
    return error_text{401, "x-api-key header is required", "authentication_error", {}, {}};
  }
  if (!is_openai && request.header("anthropic-version").empty())
    return error_text{
      400, "anthropic-version: header is required", "invalid_request_error", {}, {}};
  return std::nullopt;
}

bool service::knows(const std::string& model) const {
  const auto& all = plan_.upstream.models;
  return !plan_.upstream.models_only || std::find(all.begin(), all.end(), model) != all.end();
}

/// Counts the call, and says what it meets: a rule's misfortune, or the rate limit.
misfortune service::fate_of(const net::http_request& request, dialect spoken, time_point now) {
  ++calls_[static_cast<std::size_t>(spoken)];
  auto fate = faults_.next(now);
  const bool limited = plan_.upstream.requests_per_s > 0 && !limit_.try_take(1, now);
  if (fate.mode == fault_mode::none && limited)
    fate = {fault_mode::rate_limited,
            std::chrono::ceil<std::chrono::milliseconds>(limit_.wait_for(1, now))};
  ++by_mode_[static_cast<std::size_t>(fate.mode)];
  recent_.push_back(
    {request.path, fate.mode, has_key(request), std::string{request.header("anthropic-version")},
     std::string{request.header("traceparent")}, request.body.substr(0, recent_body_max)});
  if (recent_.size() > recent_max)
    recent_.pop_front();
  return fate;
}

duration service::delay() {
  const auto& config = plan_.upstream;
  auto seconds = std::chrono::duration<double>{config.first_token}.count();
  if (config.spread > 0) {
    // Box and Muller.
    const double u = std::max(random_.uniform(), 1e-12);
    const double normal
      = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * random_.uniform());
    seconds *= std::exp(config.spread * normal);
  }
  return std::chrono::duration_cast<duration>(
    std::chrono::duration<double>{std::min(seconds, delay_max_s)});
}

service_reply service::chat(const net::http_request& request, dialect spoken, time_point now) {
  auto reply = plain_chat(request, spoken, now);
  reply.what = failed_in(kind_, spoken, std::move(reply.what));
  return reply;
}

service_reply service::plain_chat(const net::http_request& request, dialect spoken,
                                  time_point now) {
  const auto fate = fate_of(request, spoken, now);
  if (const auto why = complaint(request, spoken))
    return {error_script(spoken, *why), spoken};
  if (const auto why = kind_.strict ? unknown_member(spoken, request.body) : std::nullopt)
    return {error_script(spoken, *why), spoken};
  const auto call = spoken == dialect::openai ? read_openai_call(request.body)
                                              : read_anthropic_call(request.body);
  if (!call)
    return {error_script(spoken, wrong(spoken, call.error())), spoken};
  if (!knows(call->model))
    return {error_script(spoken, {404, "The model `" + call->model + "` does not exist",
                                  not_found_type(spoken), "model_not_found", "model"}),
            spoken};
  auto answer = fate.mode == fault_mode::huge_chunk ? huge_answer_to(*call, plan_.upstream.huge)
                                                    : answer_to(*call, plan_.upstream);
  answer.number = ++answers_;
  auto good = answered_in(kind_, spoken, script_of(spoken, asked_in(kind_, *call), answer), answer);
  good.delay = delay();
  return {with_fault(spoken, call->model, std::move(good), fate, plan_.upstream), spoken, true};
}

service_reply service::embeddings(const net::http_request& request, time_point now) {
  constexpr auto spoken = dialect::openai;
  const auto fate = fate_of(request, spoken, now);
  if (const auto why = complaint(request, spoken))
    return {error_script(spoken, *why), spoken};
  const auto body = actors::read_embeddings_body(request.body);
  if (!body)
    return {error_script(spoken, wrong(spoken, {400, body.error().why.detail, body.error().param})),
            spoken};
  auto texts = body->request.texts;
  if (!body->request.tokens.empty()) {
    // Lists of tokens are as good as any text to one that understands neither.
    const auto input = json::parse(body->request.tokens, nullptr, false);
    const bool several = input.is_array() && !input.empty() && input.front().is_array();
    for (const auto& each : several ? input : json::array({input}))
      texts.push_back(each.dump());
  }
  msg::embed_reply reply;
  reply.model = body->request.model;
  for (const auto& text : texts) {
    reply.embeddings.push_back({actors::bytes_of_floats(store::lexical_embedder::embed(text))});
    reply.prompt_tokens += tokens_in(text.size());
  }
  auto good = json_script(200, actors::write_embeddings_reply(reply, body->base64));
  if (fate.mode == fault_mode::huge_chunk)
    good.pieces.front().bytes.append(plan_.upstream.huge, ' ');
  good.delay = delay();
  return {with_fault(spoken, reply.model, std::move(good), fate, plan_.upstream), spoken, true};
}

script service::count_tokens(const net::http_request& request) const {
  if (const auto why = complaint(request, dialect::anthropic))
    return error_script(dialect::anthropic, *why);
  return json_script(200, json{{"input_tokens", tokens_in(request.body.size())}}.dump());
}

script service::list_models(const net::http_request& request, const std::string& name) const {
  const auto spoken
    = request.header("anthropic-version").empty() ? dialect::openai : dialect::anthropic;
  const auto& all = plan_.upstream.models;
  if (!name.empty() && std::find(all.begin(), all.end(), name) == all.end())
    return error_script(spoken, {404, "The model '" + name + "' does not exist",
                                 not_found_type(spoken), "model_not_found", "model"});
  return json_script(200, spoken == dialect::openai ? openai::models(all, name)
                                                    : anthropic::models(all, name));
}

// -- control --------------------------------------------------------------------------------------

script service::control_faults(const net::http_request& request, time_point now) {
  if (request.method == "POST")
    return set_faults(request, now);
  if (request.method == "DELETE")
    faults_.set({}, now);
  else if (request.method != "GET")
    return error_script(dialect::openai,
                        {405, "use GET, POST or DELETE", "invalid_request_error", {}, {}});
  return json_script(200, counters());
}

script service::set_faults(const net::http_request& request, time_point now) {
  auto rules = read_rules(request.body);
  auto complaint = rules ? std::string{} : rules.error();
  if (rules)
    for (const auto& rule : *rules)
      if (rule.mode == fault_mode::down && rule.to.count() == 0)
        complaint = "down needs a to_ms: nobody could end it, as nobody would be listening";
  if (!complaint.empty())
    return error_script(dialect::openai,
                        {400, std::move(complaint), "invalid_request_error", {}, {}});
  faults_.set(std::move(*rules), now);
  return json_script(200, counters());
}

std::string service::counters() const {
  auto modes = json::object();
  for (std::size_t n = 0; n < fault_mode_count; ++n)
    modes[std::string{to_string(static_cast<fault_mode>(n))}] = by_mode_[n];
  return json{{"calls", calls_[0] + calls_[1]},
              {"by_dialect", {{"openai", calls_[0]}, {"anthropic", calls_[1]}}},
              {"by_mode", std::move(modes)},
              {"working", working_},
              {"waiting", waiting_},
              {"rules", faults_.rules_set()}}
    .dump();
}

script service::show_calls() const {
  auto calls = json::array();
  for (const auto& each : recent_) {
    auto body = json::parse(each.body, nullptr, false);
    if (body.is_discarded())
      body = nullptr;
    calls.push_back({{"path", each.path},
                     {"mode", std::string{to_string(each.mode)}},
                     {"key", each.key},
                     {"anthropic_version", each.version},
                     {"traceparent", each.traceparent},
                     {"body", std::move(body)}});
  }
  return json_script(200, json{{"calls", std::move(calls)}}.dump());
}

} // namespace skep::cli::simulate
