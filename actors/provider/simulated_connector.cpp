#include "actors/provider/simulated_connector.hpp"

#include "actors/provider/answer_stream.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "runtime/base/wall_clock.hpp"
#include "runtime/store/lexical_embedder.hpp"

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace skep::actors {

namespace {

// Tokens are sent in steps no finer than this, so that a fast rate costs no timer per token.
constexpr duration step_min = 5ms;
// However far a lognormal's tail reaches.
constexpr duration first_token_max = 24h;

constexpr std::array words{
  "the",   "hive",   "keeps",  "its",   "honey", "where", "every",  "worker", "knows", "a",
  "way",   "back",   "and",    "each",  "cell",  "holds", "what",   "was",    "paid",  "for",
  "once",  "so",     "nobody", "pays",  "twice", "while", "guards", "watch",  "the",   "door",
  "count", "losses", "open",   "again", "when",  "rain",  "has",    "passed", "over",  "fields",
};

std::uint64_t hash_of(std::uint64_t seed, const msg::chat_request& request) {
  auto hash = XXH3_64bits_withSeed(request.model.data(), request.model.size(), seed);
  for (const auto& message : request.messages) {
    hash = XXH3_64bits_withSeed(message.role.data(), message.role.size(), hash);
    hash = XXH3_64bits_withSeed(message.content.data(), message.content.size(), hash);
    hash = XXH3_64bits_withSeed(message.rest.data(), message.rest.size(), hash);
    for (const auto& call : message.tool_calls)
      for (const auto* field : {&call.id, &call.type, &call.name, &call.arguments, &call.extra})
        hash = XXH3_64bits_withSeed(field->data(), field->size(), hash);
  }
  return hash;
}

/// max_tokens, under either of its names.
std::optional<std::uint64_t> tokens_asked(const std::string& parameters) {
  if (parameters.empty())
    return std::nullopt;
  const auto object = nlohmann::json::parse(parameters, nullptr, false);
  for (const auto* name : {"max_completion_tokens", "max_tokens"})
    if (object.is_object() && object.contains(name) && object[name].is_number_unsigned())
      return object[name].get<std::uint64_t>();
  return std::nullopt;
}

std::string completion_id(std::uint64_t job) {
  return "chatcmpl-simulated-" + std::to_string(job);
}

/// Box and Muller.
double normal(flow::rng& random) {
  const double u = std::max(random.uniform(), 1e-12);
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * random.uniform());
}

} // namespace

simulated_answer simulate(const simulated_config& config, const msg::chat_request& request) {
  const auto hash = hash_of(config.seed, request);
  flow::rng random{hash};
  const auto span = config.tokens_max - config.tokens_min + 1;
  std::uint64_t count = std::max<std::uint64_t>(2, config.tokens_min + random.below(span));
  simulated_answer answer;
  if (const auto asked = tokens_asked(request.parameters); asked && *asked < count) {
    count = std::max<std::uint64_t>(1, *asked);
    answer.finish_reason = "length";
  }
  answer.tokens.reserve(count);
  answer.tokens.emplace_back("[simulated]");
  while (answer.tokens.size() < count)
    answer.tokens.push_back(std::string{" "} + words[random.below(words.size())]);
  answer.prompt_tokens = estimated_usage(prompt_bytes_of(request), 0).prompt;
  return answer;
}

msg::embed_reply simulate(const msg::embed_request& request) {
  auto texts = request.texts;
  if (!request.tokens.empty()) {
    // Lists of tokens are as good as any text to one that understands neither.
    const auto input = nlohmann::json::parse(request.tokens, nullptr, false);
    const bool several = input.is_array() && !input.empty() && input.front().is_array();
    for (const auto& each : several ? input : nlohmann::json::array({input}))
      texts.push_back(each.dump());
  }
  msg::embed_reply reply;
  reply.model = "[simulated] " + request.model;
  for (const auto& text : texts) {
    reply.embeddings.push_back({bytes_of_floats(store::lexical_embedder::embed(text))});
    reply.prompt_tokens += estimated_usage(text.size(), 0).prompt;
  }
  return reply;
}

simulated_connector::simulated_connector(caf::actor_config& config, rt::environment& env,
                                         const rt::actor_kind& kind, std::string provider,
                                         std::shared_ptr<const provider_config> options)
  : bounded_actor(config, env, kind), provider_(std::move(provider)), options_(std::move(options)),
    meters_(env.metrics(), provider_), random_(options_->simulated.seed) {}

caf::behavior simulated_connector::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& request) { begin(c, request); },
    [this](const rt::call& c, const msg::embed_request& request) { embed(c, request); },
    [this](const rt::call& c, const msg::models_request&) { list_models(c); },
  };
}

void simulated_connector::on_stop() {
  for (std::size_t n = 0; n < jobs_.size(); ++n)
    meters_.in_flight.dec();
}

std::optional<failure> simulated_connector::misfortune() {
  const auto& s = options_->simulated;
  const double luck = random_.uniform();
  if (luck < s.rate_limited_rate)
    return failure{errc::rate_limited, "simulated: slow down", s.retry_after};
  if (luck < s.rate_limited_rate + s.failure_rate)
    return failure{errc::provider_failed, "simulated: the provider fails"};
  return std::nullopt;
}

/// It is one try, whatever comes of it.
failure simulated_connector::from_here(failure why) const {
  why.provider = provider_;
  why.tries = 1;
  return why;
}

duration simulated_connector::first_token_delay() {
  const auto& s = options_->simulated;
  const auto median = static_cast<double>(duration{s.first_token}.count());
  double factor = 1;
  switch (s.shape) {
    case latency_shape::constant: break;
    case latency_shape::uniform: factor = 1 + s.spread * (2 * random_.uniform() - 1); break;
    case latency_shape::lognormal: factor = std::exp(s.spread * normal(random_)); break;
  }
  const auto longest = static_cast<double>(first_token_max.count());
  return duration{static_cast<duration::rep>(std::clamp(median * factor, 0.0, longest))};
}

duration simulated_connector::token_time(std::size_t tokens) const {
  const auto rate = options_->simulated.tokens_per_s;
  if (rate <= 0)
    return {};
  return std::chrono::duration_cast<duration>(
    std::chrono::duration<double>{static_cast<double>(tokens) / rate});
}

/// Takes the call on; null when it is refused or nobody waits for the answer any more.
simulated_connector::job* simulated_connector::open_job(const rt::call& c) {
  if (jobs_.size() >= options_->in_flight_max) {
    meters_.refused.inc();
    refuse(c,
           failure{errc::overloaded, "provider " + provider_ + " has in_flight_max calls at work",
                   kind().bounds.retry_after});
    return nullptr;
  }
  if (const auto why = misfortune()) {
    meters_.ended(why->code, {});
    refuse(c, from_here(*why));
    return nullptr;
  }
  auto out = take(c);
  if (!out)
    return nullptr;
  const auto id = ++last_job_;
  out.on_cancel([this, id] {
    cancel_timer(jobs_.at(id).timer);
    finish(id, errc::cancelled);
  });
  auto& j = jobs_[id];
  j.id = id;
  j.out = std::move(out);
  j.began = now();
  j.first_due = j.began + first_token_delay();
  meters_.in_flight.inc();
  return &j;
}

void simulated_connector::begin(const rt::call& c, const msg::chat_request& request) {
  if (const auto readable = may_be_read(request.native, msg::native_api::none); !readable)
    return refuse(c, readable.error());
  auto* j = open_job(c);
  if (j == nullptr)
    return;
  j->model = request.model;
  j->answer = simulate(options_->simulated, request);
  if (random_.uniform() < options_->simulated.cut_rate)
    j->cut_after = 1 + random_.below(static_cast<std::uint32_t>(j->answer.tokens.size()));
  const auto id = j->id;
  if (request.stream) {
    j->out.on_credit([this, id](std::uint64_t) { stream(id); });
    stream(id);
    return;
  }
  const auto whole = j->first_due - j->began + token_time(j->answer.tokens.size());
  if (whole <= duration::zero())
    answer_whole(id);
  else
    j->timer = after(whole, [this, id] { answer_whole(id); });
}

void simulated_connector::embed(const rt::call& c, const msg::embed_request& request) {
  auto vectors = simulate(request);
  if (vectors.embeddings.empty())
    return refuse(c, failure{errc::bad_request, "there is no text to embed"});
  auto* j = open_job(c);
  if (j == nullptr)
    return;
  j->vectors = std::move(vectors);
  const auto id = j->id;
  if (j->first_due <= j->began)
    answer_whole(id);
  else
    j->timer = after(j->first_due - j->began, [this, id] { answer_whole(id); });
}

msg::token_usage simulated_connector::usage_of(const job& j) const {
  msg::token_usage usage;
  usage.prompt = j.answer.prompt_tokens;
  usage.completion = j.answer.tokens.size();
  usage.estimated = true;
  return usage;
}

void simulated_connector::cut(job_id id) {
  jobs_.at(id).out.fail(from_here(failure{errc::stream_cut, "simulated: the answer broke off"}));
  finish(id, errc::stream_cut);
}

void simulated_connector::answer_whole(job_id id) {
  auto& j = jobs_.at(id);
  if (j.cut_after != 0) {
    cut(id);
    return;
  }
  if (j.vectors) {
    msg::token_usage usage;
    usage.prompt = j.vectors->prompt_tokens;
    meters_.tokens(usage);
    j.out.reply(std::move(*j.vectors));
    finish(id, errc::none);
    return;
  }
  auto reply = whole_reply(j);
  meters_.tokens(reply.usage);
  j.out.reply(std::move(reply));
  finish(id, errc::none);
}

msg::chat_reply simulated_connector::whole_reply(const job& j) const {
  msg::chat_reply reply;
  reply.id = completion_id(j.id);
  reply.created = unix_seconds();
  reply.model = j.model;
  auto& choice = reply.choices.emplace_back();
  for (const auto& token : j.answer.tokens)
    choice.content += token;
  choice.finish_reason = j.answer.finish_reason;
  reply.usage = usage_of(j);
  return reply;
}

// -- streams --------------------------------------------------------------------------------------

/// Sends what is due and paid for, then waits: for time by a timer, for credit by the next grant.
void simulated_connector::stream(job_id id) {
  const auto entry = jobs_.find(id);
  if (entry == jobs_.end())
    return;
  auto& j = entry->second;
  cancel_timer(std::exchange(j.timer, 0));
  send_due(j);
  if (j.cut_after != 0 && j.sent == j.cut_after) {
    cut(id);
  } else if (j.sent > j.answer.tokens.size()) {
    msg::chat_end end;
    end.usage = usage_of(j);
    meters_.tokens(end.usage);
    j.out.end(std::move(end));
    finish(id, errc::none);
  } else if (!j.opened || j.out.credit() > 0) {
    const auto due = j.first_due + token_time(j.sent) - now();
    j.timer = after(std::max(due, j.sent == 0 ? duration{1} : step_min), [this, id] {
      jobs_.at(id).timer = 0;
      stream(id);
    });
  }
}

bool simulated_connector::may_send(const job& j) const {
  const bool left = j.sent <= j.answer.tokens.size() && (j.cut_after == 0 || j.sent < j.cut_after);
  return left && j.out.credit() > 0;
}

void simulated_connector::send_due(job& j) {
  const auto at = now();
  if (at < j.first_due)
    return;
  open(j);
  while (may_send(j)
         && at >= j.first_due + token_time(std::min(j.sent, j.answer.tokens.size() - 1)))
    send_next(j);
}

void simulated_connector::open(job& j) {
  if (std::exchange(j.opened, true))
    return;
  meters_.first_token.record(now() - j.began);
  j.out.open(msg::chat_open{completion_id(j.id), unix_seconds(), j.model, {}, {}});
}

/// The next token, or, after the last one, the chunk with the finish reason.
void simulated_connector::send_next(job& j) {
  msg::chat_chunk piece;
  if (j.sent < j.answer.tokens.size())
    piece.content = j.answer.tokens[j.sent];
  else
    piece.finish_reason = j.answer.finish_reason;
  ++j.sent;
  j.out.chunk(std::move(piece));
}

void simulated_connector::finish(job_id id, errc how) {
  const auto entry = jobs_.find(id);
  meters_.ended(how, now() - entry->second.began);
  meters_.in_flight.dec();
  jobs_.erase(entry);
}

void simulated_connector::list_models(const rt::call& c) {
  msg::models_reply models;
  for (const auto& name : options_->models)
    models.models.push_back({name, 0, provider_});
  if (models.models.empty())
    models.models.push_back({"simulated", 0, provider_});
  reply(c, std::move(models));
}

} // namespace skep::actors
