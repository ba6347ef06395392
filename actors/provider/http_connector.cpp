#include "actors/provider/http_connector.hpp"

#include "apis/chat/native.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "runtime/json/members.hpp"
#include "runtime/net/fetch_pools.hpp"

#include <algorithm>
#include <numeric>
#include <random>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

flow::retry_policy_config retries_of(const provider_config& from) {
  flow::retry_policy_config config;
  config.attempts_max = from.attempts_max;
  config.wait_max = from.retry_wait_max;
  config.paced_attempts_max = from.retry_paced_attempts_max;
  config.backoff.initial = from.retry_backoff_min;
  config.backoff.wait_max = from.retry_backoff_max;
  config.budget.retry_ratio = from.retry_ratio;
  config.invited.retry_ratio = from.retry_paced_ratio;
  config.budget.reserve_per_second = from.retry_reserve_per_s;
  return config;
}

/// How many vectors a request's input stands for; 0 for an input that is none.
std::size_t vectors_of(const msg::embed_request& request) {
  if (request.tokens.empty())
    return request.texts.size();
  const auto input = json::elements_of(request.tokens);
  if (!input || input->empty())
    return 0;
  return input->front().starts_with('[') ? input->size() : 1;
}

std::size_t input_bytes_of(const msg::embed_request& request) {
  return std::accumulate(
    request.texts.begin(), request.texts.end(), request.tokens.size(),
    [](std::size_t sum, const std::string& text) { return sum + text.size(); });
}

} // namespace

http_connector::http_connector(caf::actor_config& config, rt::environment& env,
                               const rt::actor_kind& kind, std::string provider,
                               std::string base_url, std::shared_ptr<const provider_config> options,
                               net::http_client& fetch)
  : bounded_actor(config, env, kind), provider_(std::move(provider)),
    base_url_(std::move(base_url)), options_(std::move(options)),
    dialect_(dialect_of(options_, provider_, base_url_)), fetch_(fetch),
    meters_(env.metrics(), provider_), retries_(retries_of(*options_)),
    rates_(options_->requests_per_minute, options_->tokens_per_minute, now()),
    random_(std::random_device{}()), journal_(provider_, net::host_of(base_url_)) {}

caf::behavior http_connector::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& request) { begin(c, request); },
    [this](const rt::call& c, const msg::embed_request& request) { embed(c, request); },
    [this](const rt::call& c, const msg::models_request&) { list_models(c); },
    [this](const fetch_event& event) { fetched(event); },
  };
}

void http_connector::on_stop() {
  for (const auto& [id, j] : jobs_) {
    if (j.fetch != 0)
      fetch_.cancel(j.fetch);
    meters_.in_flight.dec();
  }
  for (const auto& [id, t] : tails_)
    fetch_.cancel(t.fetch);
  if (models_fetch_ != 0)
    fetch_.cancel(models_fetch_);
}

// -- calls ----------------------------------------------------------------------------------------

/// Refuses the call when there is no room for it.
bool http_connector::full(const rt::call& c) {
  if (jobs_.size() < options_->in_flight_max)
    return false;
  meters_.refused.inc();
  refuse(c, failure{errc::overloaded, "provider " + provider_ + " has in_flight_max calls at work",
                    kind().bounds.retry_after});
  return true;
}

/// Takes the call on and enters it in the books; 0 when it was refused or nobody waits any more.
http_connector::job_id http_connector::open_job(const rt::call& c, double tokens) {
  const auto at = now();
  if (const auto wait = rates_.admit(tokens, at); wait > duration::zero()) {
    meters_.refused.inc();
    if (c.lease)
      c.lease->note_not_asked(); // The limit is ours: it must not open the provider's circuit.
    refuse(c, failure{errc::rate_limited,
                      "requests_per_minute or tokens_per_minute of provider " + provider_
                        + " is reached",
                      std::chrono::ceil<milliseconds>(wait)});
    return 0;
  }
  auto out = take(c);
  if (!out) {
    rates_.settle(tokens, 0, at);
    return 0;
  }
  const auto id = ++last_job_;
  out.on_cancel([this, id] { cancelled(id); });
  out.on_credit([this, id](std::uint64_t) {
    if (const auto entry = jobs_.find(id); entry != jobs_.end() && entry->second.answer)
      deliver(id);
  });
  auto& j = jobs_[id];
  j.out = std::move(out);
  j.context = c.context;
  j.tokens_charged = tokens;
  j.began = at;
  j.tries = retries_.begin(at);
  meters_.in_flight.inc();
  return id;
}

void http_connector::begin(const rt::call& c, const msg::chat_request& request) {
  if (full(c))
    return;
  const auto& codec = dialect_->codec_for(request);
  auto body
    = may_be_read(request.native, codec.api()).and_then([&] { return codec.write(request); });
  if (!body) {
    meters_.ended(body.error().code, {});
    return refuse(c, body.error());
  }
  const auto prompt_bytes = prompt_bytes_of(request);
  const bool counts = rates_.counts_tokens() && codec.is_metered();
  const auto id = open_job(c, counts ? tokens_asked(request, prompt_bytes) : 0.0);
  if (id == 0)
    return;
  auto& j = jobs_.at(id);
  j.stream = request.stream;
  j.body = std::move(*body);
  j.codec = &codec;
  j.headers = dialect_->headers_of(request);
  // Also where an agent changed what is asked: the answer is the client's.
  if (speaks(request.native, codec.api()))
    j.native = codec.api();
  j.prompt_bytes = prompt_bytes;
  start_attempt(id);
}

void http_connector::embed(const rt::call& c, const msg::embed_request& request) {
  if (const auto able = dialect_->embeds(); !able)
    return refuse(c, able.error());
  const auto vectors = vectors_of(request);
  if (vectors == 0)
    return refuse(c, failure{errc::bad_request, "there is no text to embed"});
  if (full(c))
    return;
  const auto prompt_bytes = input_bytes_of(request);
  const auto id = open_job(c, static_cast<double>(estimated_usage(prompt_bytes, 0).prompt));
  if (id == 0)
    return;
  auto& j = jobs_.at(id);
  j.vectors = vectors;
  j.body = write_embeddings_request(request, !numbers_only_);
  j.prompt_bytes = prompt_bytes;
  start_attempt(id);
}

void http_connector::cancelled(job_id id) {
  const auto entry = jobs_.find(id);
  if (entry == jobs_.end())
    return;
  const auto& j = entry->second;
  if (j.fetch != 0)
    fetch_.cancel(j.fetch);
  end(id, errc::cancelled, j.opened ? j.answer->usage(j.prompt_bytes) : msg::token_usage{});
}

void http_connector::end(job_id id, errc how, const msg::token_usage& usage) {
  const auto entry = jobs_.find(id);
  auto& j = entry->second;
  const auto at = now();
  cancel_timer(j.timer);
  rates_.settle(j.tokens_charged, static_cast<double>(usage.prompt + usage.completion), at);
  meters_.ended(how, at - j.began);
  meters_.tokens(usage);
  meters_.in_flight.dec();
  jobs_.erase(entry);
}

} // namespace skep::actors
