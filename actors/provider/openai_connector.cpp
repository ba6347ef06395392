#include "actors/provider/openai_connector.hpp"

#include "actors/provider/outcome.hpp"

#include <algorithm>
#include <random>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

// What may follow an answer's end, and how long it may take, for its connection to be used again.
constexpr std::int64_t tail_bytes_max = 4096;
constexpr duration tail_wait = 1s;

flow::backoff_config backoff_of(const provider_config& from) {
  flow::backoff_config config;
  config.initial = from.retry_backoff_min;
  config.wait_max = from.retry_backoff_max;
  return config;
}

flow::retry_budget_config budget_of(const provider_config& from) {
  flow::retry_budget_config config;
  config.retry_ratio = from.retry_ratio;
  config.reserve_per_second = from.retry_reserve_per_s;
  return config;
}

milliseconds left_of(const skep::context& context, time_point now, milliseconds at_most) {
  if (context.deadline == time_point::max())
    return at_most;
  const auto left = std::chrono::ceil<milliseconds>(context.deadline - now);
  return std::clamp(left, milliseconds{1}, at_most);
}

/// A provider may quote the key it was given; nobody else is to see it.
void hide(std::string& text, const std::string& key) {
  if (key.empty())
    return;
  for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "***");
}

} // namespace

openai_connector::openai_connector(caf::actor_config& config, rt::environment& env,
                                   const rt::actor_kind& kind, std::string provider,
                                   std::string base_url,
                                   std::shared_ptr<const provider_config> options,
                                   net::http_client& fetch)
  : bounded_actor(config, env, kind), provider_(std::move(provider)),
    base_url_(std::move(base_url)), options_(std::move(options)), fetch_(fetch),
    meters_(env.metrics(), provider_), budget_(budget_of(*options_)),
    random_(std::random_device{}()) {
  if (options_->requests_per_minute > 0) {
    flow::token_bucket_config rate;
    rate.rate_per_second = options_->requests_per_minute / 60.0;
    rate.burst_max = std::max(1.0, rate.rate_per_second);
    rate_.emplace(rate, now());
  }
}

caf::behavior openai_connector::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& request) { begin(c, request); },
    [this](const rt::call& c, const msg::embed_request& request) { embed(c, request); },
    [this](const rt::call& c, const msg::models_request&) { list_models(c); },
    [this](const fetch_event& event) { fetched(event); },
  };
}

void openai_connector::on_stop() {
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

// -- attempts -------------------------------------------------------------------------------------

bool openai_connector::admit(const rt::call& c) {
  if (jobs_.size() >= options_->in_flight_max) {
    meters_.refused.inc();
    refuse(c,
           failure{errc::overloaded, "provider " + provider_ + " has in_flight_max calls at work",
                   kind().bounds.retry_after});
    return false;
  }
  if (rate_ && !rate_->try_take(1, now())) {
    meters_.refused.inc();
    refuse(c, failure{errc::rate_limited,
                      "requests_per_minute of provider " + provider_ + " is reached",
                      std::chrono::ceil<milliseconds>(rate_->wait_for(1, now()))});
    return false;
  }
  return true;
}

/// Takes the call on and enters it in the books; 0 when it was refused or nobody waits any more.
openai_connector::job_id openai_connector::open_job(const rt::call& c) {
  if (!admit(c))
    return 0;
  auto out = take(c);
  if (!out)
    return 0;
  const auto id = ++last_job_;
  out.on_cancel([this, id] { cancelled(id); });
  out.on_credit([this, id](std::uint64_t) {
    if (const auto entry = jobs_.find(id); entry != jobs_.end() && entry->second.answer)
      deliver(id);
  });
  auto& j = jobs_[id];
  j.out = std::move(out);
  j.context = c.context;
  j.began = now();
  j.backoff = flow::backoff{backoff_of(*options_)};
  meters_.in_flight.inc();
  budget_.on_request(j.began);
  return id;
}

void openai_connector::begin(const rt::call& c, const msg::chat_request& request) {
  const auto id = open_job(c);
  if (id == 0)
    return;
  auto& j = jobs_.at(id);
  j.stream = request.stream;
  j.body = write_chat_request(request);
  j.prompt_bytes = prompt_bytes_of(request);
  start_attempt(id);
}

net::fetch_headers openai_connector::headers_for(const skep::context& context) const {
  net::fetch_headers headers{{"X-Request-Id", to_string(context.id)}};
  if (!options_->api_key.empty())
    headers.emplace_back("Authorization", "Bearer " + options_->api_key.reveal());
  if (!options_->organization.empty())
    headers.emplace_back("OpenAI-Organization", options_->organization);
  if (!options_->project.empty())
    headers.emplace_back("OpenAI-Project", options_->project);
  if (context.trace.valid())
    headers.emplace_back("traceparent", to_traceparent(child_span(context.trace)));
  return headers;
}

net::fetch_request openai_connector::fetch_request_for(const job& j) const {
  const auto at = now();
  net::fetch_request request;
  request.method = "POST";
  request.url = base_url_ + (j.vectors > 0 ? "/embeddings" : "/chat/completions");
  request.headers = headers_for(j.context);
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("Accept", j.stream ? "text/event-stream" : "application/json");
  request.body = j.body;
  request.connect_timeout = left_of(j.context, at, options_->connect_timeout);
  request.first_byte_timeout = left_of(j.context, at, options_->first_byte_timeout);
  request.idle_timeout = left_of(j.context, at, options_->idle_timeout);
  request.total_timeout = left_of(j.context, at, options_->total_timeout);
  request.body_max = options_->answer_max;
  request.streaming = j.stream;
  request.window_bytes
    = static_cast<std::int64_t>(std::clamp<std::uint64_t>(j.out.window(), 1, options_->window_max));
  return request;
}

void openai_connector::start_attempt(job_id id) {
  auto& j = jobs_.at(id);
  j.timer = 0;
  if (++j.attempt > 1)
    meters_.retries.inc();
  j.retry_after = milliseconds{0};
  j.owed = 0;
  if (j.stream)
    j.answer.emplace();
  const auto started = fetch_.start(fetch_request_for(j),
                                    post_events_to(caf::strong_actor_ptr{ctrl()}, id, ++j.epoch));
  if (started) {
    j.fetch = *started;
    return;
  }
  auto why = started.error();
  if (why.code == errc::bad_request)
    why.code = errc::bad_config; // URL, headers and time-outs are the configuration's.
  attempt_failed(id, std::move(why));
}

/// How long to wait before the call is tried again; nothing when it must not be.
std::optional<duration> openai_connector::wait_before_retry(job& j, const failure& why) {
  if (j.opened || !may_retry(why) || j.attempt >= options_->attempts_max)
    return std::nullopt;
  // The provider's own word on when, spread a little so that callers do not come back all at once.
  const auto back_off = j.backoff.next(random_);
  const auto spread = std::min<duration>(back_off, options_->retry_backoff_min);
  const auto wait = why.retry_after > milliseconds{0} ? why.retry_after + spread : back_off;
  const auto at = now();
  if (j.waited + wait > options_->retry_wait_max)
    return std::nullopt;
  if (j.context.deadline != time_point::max() && at + wait >= j.context.deadline)
    return std::nullopt;
  if (!budget_.try_retry(at))
    return std::nullopt;
  j.waited += wait;
  return wait;
}

void openai_connector::attempt_failed(job_id id, failure why) {
  auto& j = jobs_.at(id);
  if (j.fetch != 0) {
    fetch_.cancel(std::exchange(j.fetch, 0));
    ++j.epoch; // What that transfer still brings is of no interest.
  }
  if (const auto wait = wait_before_retry(j, why)) {
    j.answer.reset();
    j.timer = after(*wait, [this, id] { start_attempt(id); });
    return;
  }
  hide(why.detail, options_->api_key.reveal());
  const auto usage = j.opened ? j.answer->usage(j.prompt_bytes) : msg::token_usage{};
  j.out.fail(why);
  end(id, why.code, usage);
}

void openai_connector::end(job_id id, errc how, const msg::token_usage& usage) {
  const auto entry = jobs_.find(id);
  meters_.ended(how, now() - entry->second.began);
  meters_.tokens(usage);
  meters_.in_flight.dec();
  jobs_.erase(entry);
}

void openai_connector::cancelled(job_id id) {
  const auto entry = jobs_.find(id);
  if (entry == jobs_.end())
    return;
  auto& j = entry->second;
  if (j.fetch != 0)
    fetch_.cancel(j.fetch);
  cancel_timer(j.timer);
  end(id, errc::cancelled, j.opened ? j.answer->usage(j.prompt_bytes) : msg::token_usage{});
}

// -- what the transfer brings ---------------------------------------------------------------------

void openai_connector::fetched(const fetch_event& event) {
  const bool last = event.what == fetch_event::kind::done;
  if (event.job == models_job_) {
    if (last)
      models_came(event.result);
    return;
  }
  if (const auto entry = tails_.find(event.job); entry != tails_.end()) {
    if (!last)
      return;
    cancel_timer(entry->second.timer);
    tails_.erase(entry);
    return;
  }
  const auto entry = jobs_.find(event.job);
  if (entry == jobs_.end() || entry->second.epoch != event.epoch)
    return; // Given up meanwhile.
  auto& j = entry->second;
  if (last) {
    transfer_ended(event.job, event);
  } else if (event.what == fetch_event::kind::headers) {
    j.retry_after = event.retry_after;
  } else {
    j.answer->push(event.data);
    j.owed += static_cast<std::int64_t>(event.data.size());
    deliver(event.job);
  }
}

/// Hands on what has been read, as far as the caller's credit goes; lets the transfer read on, or
/// ends the call, once everything is delivered.
void openai_connector::deliver(job_id id) {
  auto& j = jobs_.at(id);
  auto& answer = *j.answer;
  if (auto head = answer.take_open()) {
    j.opened = true;
    j.body = {}; // There is no further try.
    meters_.first_token.record(now() - j.began);
    j.out.open(std::move(*head));
  }
  while (answer.waiting() && j.out.credit() > 0)
    j.out.chunk(answer.take_chunk());
  if (answer.waiting())
    return; // The next grant goes on.
  switch (answer.state()) {
    case answer_stream::phase::reading:
      if (j.owed > 0 && j.fetch != 0 && j.out.credit() > 0)
        fetch_.grant(j.fetch, std::exchange(j.owed, 0));
      return;
    case answer_stream::phase::failed: attempt_failed(id, answer.why()); return;
    case answer_stream::phase::whole: break;
  }
  msg::chat_end last;
  last.usage = answer.usage(j.prompt_bytes);
  const auto usage = last.usage;
  if (j.fetch != 0)
    read_tail(id, j.fetch, j.owed);
  j.out.end(std::move(last));
  end(id, errc::none, usage);
}

void openai_connector::read_tail(job_id id, net::fetch_id fetch, std::int64_t owed) {
  if (tails_.size() >= options_->in_flight_max) {
    fetch_.cancel(fetch);
    return;
  }
  fetch_.grant(fetch, owed + tail_bytes_max);
  const auto timer = after(tail_wait, [this, id] {
    const auto entry = tails_.find(id);
    fetch_.cancel(entry->second.fetch);
    tails_.erase(entry);
  });
  tails_.emplace(id, tail{fetch, timer});
}

void openai_connector::transfer_ended(job_id id, const fetch_event& event) {
  auto& j = jobs_.at(id);
  const auto& result = event.result;
  j.fetch = 0;
  const bool good_status = result.status >= 200 && result.status < 300;
  if (result.status != 0 && !good_status) {
    attempt_failed(id, failure_of_status(result.status, result.body, j.retry_after));
  } else if (j.answer) {
    if (result.ok())
      j.answer->close();
    else
      j.answer->fail(failure_of_transfer(result));
    deliver(id);
  } else if (result.ok() && j.vectors > 0) {
    vectors_came(id, result.body);
  } else if (result.ok()) {
    answer_whole(id, result.body);
  } else {
    attempt_failed(id, failure_of_transfer(result));
  }
}

void openai_connector::answer_whole(job_id id, const std::string& body) {
  auto reply = read_chat_reply(body);
  if (!reply) {
    const auto error = read_error(body);
    attempt_failed(id, error.message.empty() ? reply.error() : failure_of_error(error));
    return;
  }
  auto& j = jobs_.at(id);
  if (reply->usage.prompt == 0 && reply->usage.completion == 0)
    reply->usage = estimated_usage(j.prompt_bytes, answer_bytes_of(*reply));
  const auto usage = reply->usage;
  j.out.reply(std::move(*reply));
  end(id, errc::none, usage);
}

} // namespace skep::actors
