#include "actors/provider/meters.hpp"

#include "actors/metric_names.hpp"

namespace skep::actors {

provider_meters::provider_meters(telemetry::registry& m, const std::string& provider)
  : retries(m.counter("skep_provider_retries_total", "Attempts after the first.",
                      {{"provider", provider}})),
    retries_refused(m.counter("skep_provider_retries_refused_total",
                              "Attempts that the retry budget did not allow.",
                              {{"provider", provider}})),
    refused(m.counter("skep_provider_refused_total", "Calls over in_flight_max or a rate limit.",
                      {{"provider", provider}})),
    in_flight(m.gauge(metric::provider_in_flight.name, metric::provider_in_flight.help,
                      {{metric::provider_in_flight.label, provider}})),
    first_token(m.histogram("skep_provider_first_token_seconds",
                            "From the call to the first piece of a streamed answer.",
                            {{"provider", provider}})),
    metrics_(m), provider_(provider),
    latency_(m.histogram("skep_provider_latency_seconds", "From the call to the end of the answer.",
                         {{"provider", provider}})),
    tokens_in_(m.counter("skep_provider_tokens_total", "Tokens as the provider counted them.",
                         {{"provider", provider}, {"type", "input"}})),
    tokens_out_(m.counter("skep_provider_tokens_total", "Tokens as the provider counted them.",
                          {{"provider", provider}, {"type", "output"}})) {}

void provider_meters::ended(errc why, duration took) {
  auto*& outcome = outcomes_[static_cast<std::size_t>(why)];
  if (outcome == nullptr) {
    const std::string word{metric::outcome_word(why)};
    outcome = &metrics_.counter(
      metric::provider_requests.name, metric::provider_requests.help,
      {{metric::provider_requests.label, provider_}, {metric::provider_outcome, word}});
  }
  outcome->inc();
  latency_.record(took);
}

void provider_meters::tokens(const msg::token_usage& usage) {
  tokens_in_.add(usage.prompt);
  tokens_out_.add(usage.completion);
}

} // namespace skep::actors
