#include "actors/gateway/observer.hpp"

#include "actors/metric_names.hpp"
#include "runtime/base/log.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

namespace skep::actors {

namespace {

// OpenTelemetry's boundaries.
const std::vector<double> first_token_boundaries{.001, .005, .01, .02, .04, .06, .08, .1,
                                                 .25,  .5,   .75, 1,   2.5, 5,   7.5, 10};
const std::vector<double> token_boundaries{
  1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
// 10 us, doubling up to 82 ms.
std::vector<double> overhead_boundaries() {
  std::vector<double> bounds;
  for (double bound = 1e-5; bound < .1; bound *= 2)
    bounds.push_back(bound);
  return bounds;
}

telemetry::label_set chat_labels(const std::string& model) {
  return {{"gen_ai_operation_name", "chat"}, {"gen_ai_request_model", model}};
}

telemetry::histogram& token_histogram(telemetry::registry& metrics, const std::string& model,
                                      const char* type) {
  auto labels = chat_labels(model);
  labels.emplace_back("gen_ai_token_type", type);
  return metrics.histogram("gen_ai_client_token_usage",
                           "Tokens per request, as the provider counted them.", std::move(labels),
                           {token_boundaries, 1.0});
}

/// What ends in a chat with a model, however the client's API words it.
bool is_conversation(endpoint what) {
  switch (what) {
    case endpoint::chat:
    case endpoint::completions:
    case endpoint::messages:
    case endpoint::responses:
    case endpoint::agent_prompt: return true;
    default: return false;
  }
}

/// Probes come every second; only those that fail are news. What ended badly through us, or through
/// a provider, is an operator's business; a client's own fault is not.
log::level level_of(const request_summary& done) {
  if (done.operational)
    return done.status < 400 ? log::level::debug : log::level::info;
  const bool cut = done.status == 200 && done.error != errc::none;
  return done.status >= 500 || cut ? log::level::warn : log::level::info;
}

double in_ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

} // namespace

std::string_view cache_word(msg::cache_status status) {
  switch (status) {
    case msg::cache_status::hit: return "hit";
    case msg::cache_status::miss: return "miss";
    case msg::cache_status::bypass: return "bypass";
    case msg::cache_status::shared: return "shared";
    case msg::cache_status::stale: return "stale";
    case msg::cache_status::semantic: return "semantic";
    case msg::cache_status::none: break;
  }
  return "none";
}

gateway_observer::gateway_observer(telemetry::registry& metrics, std::size_t model_labels_max)
  : active(metrics.gauge(metric::http_active.name, metric::http_active.help)),
    refused(metrics.counter("skep_http_requests_refused_total", "Requests over requests_max.")),
    metrics_(metrics), model_labels_max_(model_labels_max),
    model_labels_(metrics.gauge("skep_gateway_model_labels",
                                "Models of providers that have series of their own.")),
    model_labels_refused_(metrics.counter("skep_gateway_model_labels_refused_total",
                                          "Chats counted as \"other\" for want of a label.")),
    overhead_(metrics.histogram("skep_gateway_overhead_seconds",
                                "The gateway's own share of a chat request.", {},
                                {overhead_boundaries(), 1e-9})) {
  for (std::uint8_t status = 0; status < cache_results_.size(); ++status)
    cache_results_[status]
      = &metrics.counter(metric::gateway_cache.name, metric::gateway_cache.help,
                         {{metric::gateway_cache.label,
                           std::string{cache_word(static_cast<msg::cache_status>(status))}}});
}

void gateway_observer::operator()(const request_summary& done) {
  count_request(done);
  if (is_conversation(done.what))
    count_chat(done);
  if (log::enabled(level_of(done)))
    write_line(done);
  // Last, so that whoever sees none at work sees what became of all of them.
  active.dec();
}

void gateway_observer::count_request(const request_summary& done) {
  const auto status = static_cast<std::size_t>(std::clamp(done.status, 0, statuses - 1));
  const auto look_up = [&]() -> telemetry::counter& {
    return metrics_.counter("skep_http_requests_total", "Requests by route and status.",
                            {{"route", done.route}, {"status", std::to_string(status)}});
  };
  if (done.what == endpoint::registered) // Several routes are this one.
    return look_up().inc();
  auto& known = requests_[static_cast<std::size_t>(done.what)][status];
  auto* series = known.load(std::memory_order_acquire);
  if (series == nullptr) {
    // Two threads may look it up at once: both get the same.
    series = &look_up();
    known.store(series, std::memory_order_release);
  }
  series->inc();
}

/// Whether the model has, or gets now, series under its own name. An answer shows that it exists.
bool gateway_observer::may_name(const request_summary& done) {
  std::lock_guard hold{lock_};
  if (models_.find(done.full) != models_.end())
    return true;
  if (done.error != errc::none || learned_ >= model_labels_max_)
    return false;
  model_labels_.set(static_cast<std::int64_t>(++learned_));
  return true;
}

gateway_observer::model_meters& gateway_observer::meters_of(const request_summary& done) {
  // An agent's name is the configuration's.
  if (done.full.empty() || done.full == done.model)
    return meters_named(done.model);
  if (may_name(done))
    return meters_named(done.full);
  if (done.error != errc::none)
    return meters_named(done.model);
  model_labels_refused_.inc();
  return meters_named("other");
}

gateway_observer::model_meters& gateway_observer::meters_named(const std::string& model) {
  {
    std::lock_guard hold{lock_};
    if (const auto known = models_.find(model); known != models_.end())
      return *known->second;
  }
  // Outside of the lock: the registry takes a mutex. A second thread's are the same series.
  auto fresh = std::unique_ptr<model_meters>(new model_meters{
    model,
    {},
    metrics_.histogram("gen_ai_server_time_to_first_token_seconds",
                       "From arrival to the first token.", chat_labels(model),
                       {first_token_boundaries}),
    token_histogram(metrics_, model, "input"),
    token_histogram(metrics_, model, "output"),
  });
  std::lock_guard hold{lock_};
  return *models_.try_emplace(model, std::move(fresh)).first->second;
}

telemetry::histogram& gateway_observer::duration_of(model_meters& meters,
                                                    const request_summary& done) {
  const auto how = std::min<std::size_t>(static_cast<std::size_t>(done.error), errc_count - 1);
  auto* series = meters.durations[how].load(std::memory_order_acquire);
  if (series == nullptr) {
    auto labels = chat_labels(meters.name);
    if (done.error != errc::none)
      labels.emplace_back("error_type", to_string(done.error));
    series = &metrics_.histogram("gen_ai_server_request_duration_seconds",
                                 "From arrival to the end of the answer.", std::move(labels));
    meters.durations[how].store(series, std::memory_order_release);
  }
  return *series;
}

void gateway_observer::count_chat(const request_summary& done) {
  auto& meters = meters_of(done);
  duration_of(meters, done).record(done.total);
  if (done.first_token > duration::zero())
    meters.first_token.record(done.first_token);
  if (done.error != errc::none)
    return;
  overhead_.record(done.overhead);
  cache_results_[std::min<std::size_t>(done.origin.cache, cache_results_.size() - 1)]->inc();
  if (done.usage.prompt + done.usage.completion == 0)
    return; // The provider did not say.
  meters.input.record_value(done.usage.prompt);
  meters.output.record_value(done.usage.completion);
}

void gateway_observer::write_line(const request_summary& done) const {
  std::vector<log::field> fields{{"method", done.method, true},
                                 {"path", done.path, true},
                                 {"status", done.status, true},
                                 {"ms", in_ms(done.total)}};
  // What says nothing is left out.
  const auto text = [&](std::string_view name, std::string_view value) {
    if (!value.empty())
      fields.emplace_back(name, value);
  };
  if (done.streamed && done.first_token > duration::zero())
    fields.emplace_back("first_token_ms", in_ms(done.first_token));
  text("model", done.asked);
  text("provider", done.origin.provider);
  if (done.origin.attempts > 0)
    fields.emplace_back("attempts", done.origin.attempts);
  if (done.origin.cache != static_cast<std::uint8_t>(msg::cache_status::none))
    fields.emplace_back("cache", cache_word(static_cast<msg::cache_status>(done.origin.cache)));
  if (done.usage.prompt + done.usage.completion > 0) {
    fields.emplace_back("tokens_in", done.usage.prompt);
    fields.emplace_back("tokens_out", done.usage.completion);
  }
  if (done.error != errc::none)
    fields.emplace_back("error", to_string(done.error));
  if (done.upstream_status != 0)
    fields.emplace_back("upstream_status", done.upstream_status);
  text("reason", done.reason);
  log::tell(level_of(done), log::request{done.request_id}, "request", fields);
}

} // namespace skep::actors
