#include "actors/gateway/observer.hpp"

#include "runtime/base/log.hpp"

namespace skep::actors {

namespace {

// OpenTelemetry's boundaries for first tokens, in seconds.
const std::vector<double> first_token_boundaries{.001, .005, .01, .02, .04, .06, .08, .1,
                                                 .25,  .5,   .75, 1,   2.5, 5,   7.5, 10};
const std::vector<double> token_boundaries{
  1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};

/// The routes there are; anything else a client asks for is "other".
std::string route_of(const std::string& path) {
  if (path.starts_with("/v1/models/"))
    return "/v1/models/{id}";
  for (const auto* known :
       {"/v1/chat/completions", "/v1/models", "/health", "/ready", "/metrics", "/debug/kill", "/"})
    if (path == known)
      return path;
  return "other";
}

std::string cache_word(std::uint8_t status) {
  switch (static_cast<msg::cache_status>(status)) {
    case msg::cache_status::hit: return "hit";
    case msg::cache_status::miss: return "miss";
    case msg::cache_status::bypass: return "bypass";
    case msg::cache_status::none: break;
  }
  return "-";
}

double in_ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

} // namespace

gateway_observer::gateway_observer(telemetry::registry& metrics)
  : active(metrics.gauge("skep_http_active", "Requests between arrival and end.")),
    metrics_(metrics) {}

void gateway_observer::operator()(const request_summary& done) {
  active.dec();
  const auto route = route_of(done.path);
  metrics_
    .counter("skep_http_requests_total", "Requests by route and status.",
             {{"route", route}, {"status", std::to_string(done.status)}})
    .inc();
  if (route == "/v1/chat/completions") {
    telemetry::label_set labels{{"gen_ai_operation_name", "chat"},
                                {"gen_ai_request_model", done.model}};
    if (!done.error.empty())
      labels.emplace_back("error_type", done.error);
    metrics_
      .histogram("gen_ai_server_request_duration_seconds", "From arrival to the end of the answer.",
                 labels)
      .record(done.total);
    if (done.first_token > duration::zero())
      metrics_
        .histogram("gen_ai_server_time_to_first_token_seconds", "From arrival to the first token.",
                   {{"gen_ai_operation_name", "chat"}, {"gen_ai_request_model", done.model}},
                   {first_token_boundaries})
        .record(done.first_token);
    count_tokens(done);
  }
  log::info(log::request{done.request_id},
            "{} {} {} {:.1f} ms model={} provider={} attempts={} cache={} tokens={}+{}{}{}",
            done.method, done.path, done.status, in_ms(done.total), done.model,
            done.origin.provider.empty() ? "-" : done.origin.provider, done.origin.attempts,
            cache_word(done.origin.cache), done.usage.prompt, done.usage.completion,
            done.error.empty() ? "" : " error=", done.error);
}

void gateway_observer::count_tokens(const request_summary& done) {
  const auto record = [&](const char* type, std::uint64_t tokens) {
    telemetry::histogram_options options{token_boundaries, 1.0};
    metrics_
      .histogram("gen_ai_client_token_usage", "Tokens per request, as the provider counted them.",
                 {{"gen_ai_request_model", done.model}, {"gen_ai_token_type", type}}, options)
      .record_value(tokens);
  };
  if (done.usage.prompt + done.usage.completion == 0)
    return;
  record("input", done.usage.prompt);
  record("output", done.usage.completion);
}

} // namespace skep::actors
