// The part of http_connector that tries, and tries again: transfers and what they bring.
#include "actors/provider/http_connector.hpp"
#include "actors/provider/outcome.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "runtime/base/wall_clock.hpp"
#include "runtime/json/repair.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

// What may follow an answer's end, and how long it may take, for its connection to be used again.
constexpr std::int64_t tail_bytes_max = 4096;
constexpr duration tail_wait = 1s;

// What is kept of a caller's time, or a tenth if that is less, for the failure's way back: the one
// who waited can say whom for.
constexpr duration answer_margin = 20ms;

milliseconds left_of(const skep::context& context, time_point now, milliseconds at_most) {
  if (context.deadline == time_point::max())
    return at_most;
  const auto left = context.deadline - now;
  const auto usable
    = std::chrono::ceil<milliseconds>(left - std::min<duration>(left / 10, answer_margin));
  return std::clamp(usable, milliseconds{1}, at_most);
}

// Shorter keys are words ("none", "EMPTY", "x") that stand for none, and occur in texts.
constexpr std::size_t secret_bytes_min = 8;

/// A provider may quote the key it was given; nobody else is to see it.
void hide(std::string& text, const std::string& key) {
  if (key.size() < secret_bytes_min)
    return;
  for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "***");
}

} // namespace

net::fetch_headers http_connector::headers_for(const skep::context& context,
                                               net::fetch_headers headers) {
  headers.emplace_back("X-Request-Id", to_string(context.id));
  if (context.trace.valid())
    headers.emplace_back("traceparent", to_traceparent(child_span(context.trace)));
  return headers;
}

net::fetch_request http_connector::fetch_request_for(const job& j) const {
  const auto at = now();
  net::fetch_request request;
  request.method = "POST";
  request.url = base_url_;
  request.url += j.vectors > 0 ? std::string_view{"/embeddings"} : j.codec->path();
  request.headers = headers_for(j.context, j.vectors > 0 ? dialect_->headers() : j.headers);
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("Accept", j.stream ? "text/event-stream" : "application/json");
  request.body = j.body;
  request.connect_timeout = left_of(j.context, at, options_->connect_timeout);
  if (j.stream) {
    // Once it has begun it lives as long as it moves; until then the caller's deadline holds.
    request.first_byte_timeout = left_of(j.context, at, options_->first_byte_timeout);
    request.idle_timeout = options_->idle_timeout;
    request.total_timeout = options_->total_timeout;
  } else {
    // A whole answer may be silent until it is there.
    request.total_timeout = left_of(j.context, at, options_->total_timeout);
    request.first_byte_timeout = request.total_timeout;
    request.idle_timeout = request.total_timeout;
  }
  request.compressed = true;
  request.body_max = options_->answer_max;
  request.streaming = j.stream;
  request.window_bytes
    = static_cast<std::int64_t>(std::clamp<std::uint64_t>(j.out.window(), 1, options_->window_max));
  return request;
}

void http_connector::start_attempt(job_id id) {
  auto& j = jobs_.at(id);
  j.timer = 0;
  j.retry_after = milliseconds{0};
  j.owed = 0;
  j.attempt_began = now();
  ++j.asked;
  if (j.stream)
    j.answer.emplace(j.codec->read_stream(), options_->answer_max, j.native);
  const auto started = fetch_.start(fetch_request_for(j),
                                    post_events_to(caf::strong_actor_ptr{ctrl()}, id, ++j.epoch));
  if (!started) {
    auto why = started.error();
    if (why.code == errc::bad_request) { // URL, headers and time-outs are the configuration's.
      note_trouble(errc::bad_config, why.detail);
      why = failure{errc::bad_config, "the configuration of provider " + provider_ + " is wrong"};
    }
    attempt_failed(id, std::move(why));
    return;
  }
  j.fetch = *started;
  if (options_->attempt_timeout > milliseconds{0})
    j.timer = after(options_->attempt_timeout, [this, id] {
      jobs_.at(id).timer = 0;
      attempt_failed(id, failure{errc::deadline_exceeded,
                                 "the provider did not answer within attempt_timeout_ms"});
    });
}

/// How long to wait before the call is tried again; nothing when it must not be.
std::optional<duration> http_connector::wait_before_retry(job& j, const failure& why) {
  if (j.opened)
    return std::nullopt;
  const auto refused = retries_.refusals();
  const auto wait = retries_.next(j.tries, retry_class_of(why, options_->retry_after_timeout),
                                  why.retry_after, j.context.deadline, now(), random_);
  if (const auto more = retries_.refusals() - refused; more > 0) {
    meters_.retries_refused.add(more);
    journal_.budget_spent(now());
  }
  return wait;
}

void http_connector::attempt_failed(job_id id, failure why) {
  auto& j = jobs_.at(id);
  cancel_timer(std::exchange(j.timer, 0));
  if (j.fetch != 0) {
    fetch_.cancel(std::exchange(j.fetch, 0));
    ++j.epoch; // What that transfer still brings is of no interest.
  }
  if (const auto wait = wait_before_retry(j, why)) {
    j.answer.reset();
    meters_.retries.inc();
    j.timer = after(*wait, [this, id] { start_attempt(id); });
    return;
  }
  tell(why, j.asked);
  if (j.codec != nullptr && !j.codec->is_metered())
    j.out.note_not_asked(); // What is not paid for says nothing about what is.
  const auto usage = j.opened ? j.answer->usage(j.prompt_bytes) : msg::token_usage{};
  j.out.fail(why);
  end(id, why.code, usage);
}

/// Makes of a failure what callers are told.
void http_connector::tell(failure& why, std::uint32_t tries) {
  for (auto* text : {&why.detail, &why.provider_body})
    hide(*text, options_->api_key.reveal());
  why.provider = provider_;
  why.tries = tries;
  if (why.code != errc::provider_auth_failed)
    return;
  // Whose key it was is nothing the client can guess, and nothing it can mend.
  note_trouble(why.code, why.detail + "; check api_key of [provider." + provider_ + "]");
  why.detail = "the provider " + provider_ + " refused skep's credentials";
}

/// errc::none: it can be used. `text` may name what clients are not to know.
void http_connector::note_trouble(errc why, const std::string& text) {
  if (why == errc::none)
    journal_.answered();
  else
    journal_.failed(failure{why, text}, now());
}

/// The deadline that has passed is the caller's, and it came before the provider had its time.
bool http_connector::hurried(const job& j) const {
  return j.context.deadline - now() <= answer_margin
         && now() - j.attempt_began < options_->first_byte_timeout;
}

/// What a transfer that did not complete means: in words for callers, and in the log's when it is
/// news of the provider.
failure http_connector::transfer_failed(job& j, const net::fetch_result& result) {
  using net::fetch_error;
  const bool late
    = !j.opened
      && (result.error == fetch_error::connect_timeout
          || result.error == fetch_error::first_byte_timeout
          || result.error == fetch_error::idle_timeout // With nothing but comments, or pings.
          || result.error == fetch_error::total_timeout);
  // A caller in a hurry says nothing about the provider: else one tenant's short time-outs would
  // open the circuit for all.
  if (late && hurried(j)) {
    j.out.note_not_asked();
    return failure{errc::deadline_exceeded,
                   "the provider " + provider_ + " did not answer in time"};
  }
  auto why = failure_of_transfer(result, provider_);
  if (late && result.error == fetch_error::idle_timeout)
    why.code = errc::deadline_exceeded;
  note_transfer(why, result);
  return why;
}

void http_connector::note_transfer(const failure& why, const net::fetch_result& result) {
  if (why.code == errc::transport_failed || why.code == errc::bad_config)
    note_trouble(why.code, result.why.detail);
}

// -- what the transfer brings ---------------------------------------------------------------------

void http_connector::fetched(const fetch_event& event) {
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
    j.limits = event.limits;
  } else {
    j.answer->push(event.data);
    j.owed += static_cast<std::int64_t>(event.data.size());
    deliver(event.job);
  }
}

/// The first piece a client sees is there: from now on nothing is tried again.
void http_connector::open_stream(job& j, msg::chat_open head) {
  j.opened = true;
  j.body = {};
  cancel_timer(std::exchange(j.timer, 0));
  if (head.created == 0)
    head.created = unix_seconds();
  head.origin.attempts = j.asked;
  head.origin.limits = std::move(j.limits);
  note_trouble(errc::none, {});
  const auto at = now();
  meters_.first_token.record(at - j.began);
  j.out.note_latency(at - j.attempt_began);
  j.out.open(std::move(head));
}

/// Hands on what has been read, as far as the caller's credit goes; lets the transfer read on, or
/// ends the call, once everything is delivered.
void http_connector::deliver(job_id id) {
  auto& j = jobs_.at(id);
  auto& answer = *j.answer;
  if (auto head = answer.take_open())
    open_stream(j, std::move(*head));
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
  last.origin.attempts = j.asked;
  const auto usage = last.usage;
  if (j.fetch != 0)
    read_tail(id, j.fetch, j.owed);
  j.out.end(std::move(last));
  end(id, errc::none, usage);
}

void http_connector::read_tail(job_id id, net::fetch_id fetch, std::int64_t owed) {
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

void http_connector::transfer_ended(job_id id, const fetch_event& event) {
  auto& j = jobs_.at(id);
  const auto& result = event.result;
  j.fetch = 0;
  const bool good_status = result.status >= 200 && result.status < 300;
  if (good_status || (result.status != 0 && journal_.tells_of(errc::transport_failed)))
    note_trouble(errc::none, {});
  if (result.status != 0 && !good_status) {
    if (ask_for_numbers(id, result))
      return;
    auto why = failure_of_status(result.status, result.body, j.retry_after);
    keep_body(why, j.native, result.body);
    attempt_failed(id, std::move(why));
  } else if (j.answer && j.answer->body() != nullptr && result.ok()) {
    body_came(id);
  } else if (j.answer) {
    if (result.ok() || j.answer->finished())
      j.answer->close();
    else
      j.answer->fail(transfer_failed(j, result));
    deliver(id);
  } else if (result.ok() && j.vectors > 0) {
    vectors_came(id, result.body);
  } else if (result.ok()) {
    answer_came(id, result.body);
  } else {
    attempt_failed(id, transfer_failed(j, result));
  }
}

/// Base64 is asked for because it costs less; a server that refuses it is asked for numbers, now
/// and from now on. The client had no part in it.
bool http_connector::ask_for_numbers(job_id id, const net::fetch_result& refused) {
  auto& j = jobs_.at(id);
  const bool about_format = refused.body.find("encoding_format") != std::string::npos
                            || refused.body.find("base64") != std::string::npos;
  if (j.vectors == 0 || !about_format
      || failure_of_status(refused.status, refused.body, {}).code != errc::bad_request)
    return false;
  auto numbers = asking_for_numbers(j.body);
  if (!numbers)
    return false;
  numbers_only_ = true;
  j.body = std::move(*numbers);
  cancel_timer(std::exchange(j.timer, 0));
  start_attempt(id);
  return true;
}

// -- whole answers --------------------------------------------------------------------------------

namespace {

/// A body that is no answer may say why.
failure why_no_answer(const std::string& body, const failure& otherwise) {
  const auto error = read_error(body);
  return error.message.empty() ? otherwise : failure_of_error(error);
}

} // namespace

/// A whole answer, also one with broken characters in its texts; what is no answer says why.
expected<msg::chat_reply> http_connector::read_reply(const job& j, const std::string& body) const {
  auto reply = j.codec->read_reply(body);
  std::string repaired;
  if (!reply)
    if (repaired = json::repaired(body); repaired != body)
      reply = j.codec->read_reply(repaired);
  if (!reply)
    return fail(why_no_answer(body, reply.error()));
  const auto text = bare_json(repaired.empty() ? body : repaired);
  if (j.native != msg::native_api::none && j.codec->passes(text))
    reply->native = {static_cast<std::uint8_t>(j.native), std::string{text}};
  if (j.codec->is_metered() && reply->usage.prompt == 0 && reply->usage.completion == 0)
    reply->usage = estimated_usage(j.prompt_bytes, answer_bytes_of(*reply));
  if (reply->created == 0)
    reply->created = unix_seconds();
  return reply;
}

/// JSON came where a stream was asked: an error under a good status, or all of the answer.
void http_connector::body_came(job_id id) {
  auto& j = jobs_.at(id);
  auto reply = read_reply(j, *j.answer->body());
  if (!reply)
    return attempt_failed(id, reply.error());
  j.answer->play(std::move(*reply));
  deliver(id);
}

void http_connector::answer_came(job_id id, const std::string& body) {
  auto& j = jobs_.at(id);
  auto reply = read_reply(j, body);
  if (!reply)
    return attempt_failed(id, reply.error());
  reply->origin.attempts = j.asked;
  reply->origin.limits = std::move(j.limits);
  const auto usage = j.codec->is_metered() ? reply->usage : msg::token_usage{};
  j.out.note_latency(now() - j.attempt_began);
  j.out.reply(std::move(*reply));
  end(id, errc::none, usage);
}

void http_connector::vectors_came(job_id id, const std::string& body) {
  auto reply = read_embeddings_reply(body);
  if (!reply)
    return attempt_failed(id, why_no_answer(body, reply.error()));
  auto& j = jobs_.at(id);
  if (reply->embeddings.size() != j.vectors) {
    attempt_failed(id, failure{errc::provider_failed,
                               "the provider sent " + std::to_string(reply->embeddings.size())
                                 + " vectors for " + std::to_string(j.vectors) + " inputs"});
    return;
  }
  msg::token_usage usage;
  usage.prompt = reply->prompt_tokens;
  j.out.note_latency(now() - j.attempt_began);
  j.out.reply(std::move(*reply));
  end(id, errc::none, usage);
}

} // namespace skep::actors
