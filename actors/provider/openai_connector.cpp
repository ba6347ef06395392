#include "actors/provider/openai_connector.hpp"

#include "actors/provider/outcome.hpp"
#include "runtime/base/log.hpp"

#include <algorithm>
#include <random>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t event_bytes_max = std::size_t{4} << 20;

/// Posts what a transfer brings to its connector; keeps it alive until the transfer has ended.
class poster final : public net::fetch_handler {
public:
  poster(caf::strong_actor_ptr to, std::uint64_t job, std::uint32_t epoch)
    : to_(std::move(to)), job_(job), epoch_(epoch) {}
  void on_headers(int, const net::fetch_headers& headers) noexcept override {
    auto event = make(fetch_event::kind::headers);
    event.retry_after = retry_after_of(headers);
    post(std::move(event));
  }
  void on_data(std::string_view bytes) noexcept override {
    auto event = make(fetch_event::kind::data);
    event.data = bytes;
    post(std::move(event));
  }
  void on_done(net::fetch_result result) noexcept override {
    auto event = make(fetch_event::kind::done);
    event.result = std::move(result);
    post(std::move(event));
  }

private:
  fetch_event make(fetch_event::kind what) const {
    fetch_event event;
    event.job = job_;
    event.epoch = epoch_;
    event.what = what;
    return event;
  }
  void post(fetch_event event) {
    to_->enqueue(caf::make_mailbox_element(nullptr,
                                           caf::make_message_id(caf::message_priority::high), {},
                                           std::move(event)),
                 nullptr);
  }

  caf::strong_actor_ptr to_;
  std::uint64_t job_;
  std::uint32_t epoch_;
};

flow::backoff_config backoff_of(const provider_config& from) {
  flow::backoff_config config;
  config.initial = from.retry_backoff_min;
  config.wait_max = from.retry_backoff_max;
  return config;
}

flow::retry_budget_config budget_of(const provider_config& from) {
  flow::retry_budget_config config;
  config.retry_ratio = from.retry_ratio;
  return config;
}

milliseconds left_of(const skep::context& context, time_point now, milliseconds at_most) {
  if (context.deadline == time_point::max())
    return at_most;
  const auto left = std::chrono::ceil<milliseconds>(context.deadline - now);
  return std::clamp(left, milliseconds{1}, at_most);
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

void openai_connector::begin(const rt::call& c, const msg::chat_request& request) {
  if (!admit(c))
    return;
  const auto id = ++last_job_;
  auto& j = jobs_.emplace(id, job{}).first->second;
  j.out = take(c);
  j.out.on_cancel([this, id] { cancelled(id); });
  j.out.on_credit([this, id](std::uint64_t) {
    if (const auto entry = jobs_.find(id); entry != jobs_.end())
      repay(entry->second);
  });
  j.context = c.context;
  j.stream = request.stream;
  j.body = write_chat_request(request);
  j.began = now();
  j.backoff = flow::backoff{backoff_of(*options_)};
  meters_.in_flight.inc();
  budget_.on_request(j.began);
  start_attempt(id);
}

net::fetch_headers openai_connector::headers_for(const skep::context& context) const {
  net::fetch_headers headers{{"Content-Type", "application/json"},
                             {"X-Request-Id", to_string(context.id)}};
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
  request.url = base_url_ + "/chat/completions";
  request.headers = headers_for(j.context);
  request.headers.emplace_back("Accept", j.stream ? "text/event-stream" : "application/json");
  request.body = j.body;
  request.connect_timeout = left_of(j.context, at, options_->connect_timeout);
  request.first_byte_timeout = left_of(j.context, at, options_->first_byte_timeout);
  request.idle_timeout = left_of(j.context, at, options_->idle_timeout);
  request.total_timeout = left_of(j.context, at, options_->total_timeout);
  request.body_max = options_->answer_max;
  request.streaming = j.stream;
  request.window_bytes = static_cast<std::int64_t>(std::max<std::uint64_t>(1, j.out.window()));
  return request;
}

void openai_connector::start_attempt(job_id id) {
  auto& j = jobs_.at(id);
  j.timer = 0;
  ++j.attempt;
  if (j.attempt > 1)
    meters_.retries.inc();
  j.retry_after = milliseconds{0};
  j.parser.emplace(event_bytes_max);
  j.finished = false;
  auto handler = std::make_shared<poster>(caf::strong_actor_ptr{ctrl()}, id, ++j.epoch);
  auto started = fetch_.start(fetch_request_for(j), std::move(handler));
  if (started)
    j.fetch = *started;
  else
    attempt_failed(id, started.error());
}

void openai_connector::attempt_failed(job_id id, const failure& why) {
  auto& j = jobs_.at(id);
  j.fetch = 0;
  const auto at = now();
  const bool again = !j.opened && may_retry(why) && j.attempt < options_->attempts_max;
  if (again) {
    // The provider's own word on when, else our back-off.
    const auto asked = std::max<duration>(why.retry_after, j.backoff.next(random_));
    const bool in_time = asked <= options_->retry_wait_max && at + asked < j.context.deadline;
    if (in_time && budget_.try_retry(at)) {
      j.timer = after(asked, [this, id] { start_attempt(id); });
      return;
    }
  }
  const auto code = why.code;
  j.out.fail(why);
  end(id, code);
}

void openai_connector::end(job_id id, errc how) {
  const auto entry = jobs_.find(id);
  meters_.ended(how, now() - entry->second.began);
  meters_.tokens(entry->second.usage);
  meters_.in_flight.dec();
  jobs_.erase(entry);
}

void openai_connector::cancelled(job_id id) {
  const auto entry = jobs_.find(id);
  if (entry == jobs_.end())
    return;
  if (entry->second.fetch != 0)
    fetch_.cancel(entry->second.fetch);
  cancel_timer(entry->second.timer);
  end(id, errc::cancelled);
}

// -- what the transfer brings ---------------------------------------------------------------------

void openai_connector::fetched(const fetch_event& event) {
  if (event.job == models_job_ && models_job_ != 0) {
    if (event.what == fetch_event::kind::done)
      models_came(event);
    return;
  }
  const auto entry = jobs_.find(event.job);
  if (entry == jobs_.end() || entry->second.epoch != event.epoch)
    return; // Given up meanwhile.
  switch (event.what) {
    case fetch_event::kind::headers: entry->second.retry_after = event.retry_after; return;
    case fetch_event::kind::data: data_came(event.job, entry->second, event.data); return;
    case fetch_event::kind::done: transfer_ended(event.job, event); return;
  }
}

void openai_connector::data_came(job_id id, job& j, std::string_view bytes) {
  std::optional<failure> wrong;
  const auto parsed = j.parser->push(bytes, [&](const net::sse_event& event) {
    if (wrong)
      return;
    if (event.data == "[DONE]") {
      j.finished = true;
      return;
    }
    auto chunk = read_chunk(event.data);
    if (!chunk) {
      wrong = chunk.error();
      return;
    }
    if (chunk->error) {
      wrong = failure{errc::provider_failed, *chunk->error};
      return;
    }
    if (!std::exchange(j.opened, true)) {
      meters_.first_token.record(now() - j.began);
      j.out.open(std::move(chunk->open));
    }
    for (auto& piece : chunk->chunks) {
      j.finished = j.finished || !piece.finish_reason.empty();
      j.out.chunk(std::move(piece));
    }
    if (chunk->usage)
      j.usage = *chunk->usage;
  });
  if (!parsed)
    wrong = failure{errc::provider_failed, parsed.error().detail};
  if (wrong) {
    const auto fetch = std::exchange(j.fetch, 0);
    ++j.epoch; // What this transfer still brings is of no interest.
    fetch_.cancel(fetch);
    attempt_failed(id, *wrong);
    return;
  }
  j.owed += static_cast<std::int64_t>(bytes.size());
  repay(j);
}

/// While the caller takes what it gets, the transfer may read on.
void openai_connector::repay(job& j) {
  if (j.owed == 0 || j.out.credit() <= 0 || j.fetch == 0)
    return;
  fetch_.grant(j.fetch, std::exchange(j.owed, 0));
}

void openai_connector::transfer_ended(job_id id, const fetch_event& event) {
  auto& j = jobs_.at(id);
  const auto& result = event.result;
  j.fetch = 0;
  const bool good_status = result.status >= 200 && result.status < 300;
  if (!result.ok() && (good_status || result.status == 0))
    attempt_failed(id, failure_of_transfer(result));
  else if (!good_status)
    attempt_failed(id, failure_of_status(result.status, result.body, j.retry_after));
  else if (j.stream)
    end_stream(id);
  else
    answer_whole(id, result.body);
}

void openai_connector::answer_whole(job_id id, const std::string& body) {
  auto reply = read_chat_reply(body);
  if (!reply) {
    attempt_failed(id, reply.error());
    return;
  }
  auto& j = jobs_.at(id);
  j.usage = reply->usage;
  j.out.reply(std::move(*reply));
  end(id, errc::none);
}

void openai_connector::end_stream(job_id id) {
  auto& j = jobs_.at(id);
  if (!j.finished || !j.opened || j.parser->partial()) {
    attempt_failed(id,
                   failure{errc::stream_cut, "the provider's stream ended before its answer did"});
    return;
  }
  msg::chat_end last;
  last.usage = j.usage;
  j.out.end(std::move(last));
  end(id, errc::none);
}

// -- models ---------------------------------------------------------------------------------------

void openai_connector::list_models(const rt::call& c) {
  if (!options_->models.empty()) {
    msg::models_reply fixed;
    for (const auto& name : options_->models)
      fixed.models.push_back({name, 0, provider_});
    reply(c, std::move(fixed));
    return;
  }
  if (now() < models_fresh_until_) {
    reply(c, models_);
    return;
  }
  models_waiting_.push_back(take(c));
  if (models_job_ != 0)
    return; // Asked already; all get the same answer.
  net::fetch_request request;
  request.url = base_url_ + "/models";
  request.headers = headers_for(c.context);
  request.connect_timeout = options_->connect_timeout;
  request.total_timeout = left_of(c.context, now(), options_->total_timeout);
  request.body_max = options_->answer_max;
  models_job_ = ++last_job_;
  const auto started = fetch_.start(
    std::move(request), std::make_shared<poster>(caf::strong_actor_ptr{ctrl()}, models_job_, 1));
  if (!started) {
    fetch_event refused;
    refused.result.error = net::fetch_error::invalid_request;
    refused.result.why = started.error();
    models_came(refused);
  }
}

void openai_connector::models_came(const fetch_event& event) {
  models_job_ = 0;
  const auto& result = event.result;
  auto waiting = std::exchange(models_waiting_, {});
  tl::expected<std::vector<msg::model_entry>, failure> read;
  if (!result.ok())
    read = tl::make_unexpected(failure_of_transfer(result));
  else if (result.status != 200)
    read = tl::make_unexpected(failure_of_status(result.status, result.body, {}));
  else
    read = read_models(result.body);
  if (read) {
    models_.models = std::move(*read);
    models_fresh_until_ = now() + options_->models_ttl;
  }
  for (auto& out : waiting) {
    if (read)
      out.reply(models_);
    else
      out.fail(read.error());
  }
}

} // namespace skep::actors
