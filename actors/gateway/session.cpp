#include "actors/gateway/session.hpp"

#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/origin_headers.hpp"
#include "actors/gateway/whole_answer.hpp"
#include "apis/chat/answer.hpp"
#include "messages/size.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/utf8.hpp"

#include <caf/make_actor.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::string_view api_version = "2020-10-01";
// What the log shows of a name or a reason that others wrote.
constexpr std::size_t model_bytes_max = 128;
constexpr std::size_t reason_bytes_max = 300;

// Whoever works on the call hears of the deadline, too, and can say whom it waited for.
constexpr duration last_word = 25ms;

/// gateway.answers_bytes is used up.
failure no_room() {
  return failure{errc::overloaded, "too many answers wait for their clients to read them"};
}

} // namespace

session::session(caf::actor_config& config, rt::environment& env, origin from)
  : actor_proxy(config), env_(env), arrived_(env.now()), exchange_(std::move(from.exchange)),
    observer_(std::move(from.observer)), headers_(std::move(from.headers)) {
  summary_.is(from.asked);
  summary_.anthropic = from.anthropic;
  summary_.method = std::move(from.method);
  summary_.path = std::move(from.path);
  summary_.request_id = to_string(id_);
}

session::~session() {
  // Nobody can answer any more.
  fail(failure{errc::actor_failed, "the request was dropped without an answer"});
}

session::made session::make(rt::environment& env, origin from) {
  caf::actor_config config;
  auto& system = env.system();
  auto handle = caf::make_actor<session, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, env, std::move(from));
  return {handle, static_cast<session*>(handle->get())};
}

const request_id& session::id() const {
  return id_;
}

const char* session::name() const {
  return "session";
}

void session::attach(const rt::lease_ptr& token, time_point deadline, duration idle_max) {
  {
    std::lock_guard hold{lock_};
    token_ = token;
    idle_max_ = idle_max;
  }
  watch(deadline + last_word);
  // The connection keeps these functions, so they must not keep the session.
  const caf::weak_actor_ptr weak{ctrl()};
  exchange_->on_closed([weak, this] {
    if (const auto alive = weak.lock())
      client_gone();
  });
  exchange_->on_drained([weak, this](std::size_t bytes) {
    if (const auto alive = weak.lock())
      drained(bytes);
  });
}

void session::asks_for(std::string_view asked, std::string_view full) {
  std::lock_guard hold{lock_};
  summary_.asked = utf8_prefix(asked, model_bytes_max);
  if (full.size() <= model_bytes_max)
    summary_.full = full;
}

/// The one timer: the deadline's, then that of a stream that stands still.
void session::watch(time_point due) {
  auto timer = env_.timers().set(due, caf::strong_actor_ptr{ctrl()}, 0);
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::done)
      std::swap(timer, timer_);
  }
  env_.timers().cancel(timer);
}

void session::passed_on(std::string model, bool stream, std::unique_ptr<answer_format> format) {
  std::lock_guard hold{lock_};
  summary_.model = std::move(model);
  summary_.overhead = age();
  stream_wanted_ = stream;
  format_ = std::move(format);
}

void session::asked_for(std::string model) {
  std::lock_guard hold{lock_};
  model_ = std::move(model);
}

void session::blame(std::string param) {
  std::lock_guard hold{lock_};
  param_ = std::move(param);
}

bool session::wants_stream() const {
  std::lock_guard hold{lock_};
  return stream_wanted_ && format_ != nullptr;
}

bool session::wants_chat() const {
  std::lock_guard hold{lock_};
  return format_ != nullptr;
}

duration session::age() const {
  return env_.now() - arrived_;
}

// -- what comes in --------------------------------------------------------------------------------

void session::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  const auto& content = what->content();
  if (what->mid.is_response())
    answered(content);
  else if (content.size() == 1 && content.match_element<rt::timer_notice>(0))
    overdue();
}

void session::overdue() {
  time_point due{};
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::streaming)
      due = moved_ + idle_max_;
  }
  if (due == time_point{})
    give_up(failure{errc::deadline_exceeded, "the request took longer than its time-out"});
  else if (due > env_.now())
    watch(due);
  else
    give_up(failure{errc::stream_cut, "the answer stood still for longer than "
                                      "stream_idle_timeout_ms"});
}

void session::kill_proxy(caf::execution_unit* unit, caf::error reason) {
  cleanup(std::move(reason), unit);
}

void session::answered(const caf::type_erased_tuple& content) {
  if (content.size() == 1 && content.match_element<msg::chat_reply>(0) && wants_chat())
    whole(content.get_as<msg::chat_reply>(0));
  else if (content.size() == 2 && content.match_element<rt::stream_phase>(0))
    stream_part(content);
  else if (content.size() == 1 && content.match_element<caf::error>(0))
    fail(from_caf_error(content.get_as<caf::error>(0)));
  else if (content.size() == 1 && content.match_element<http_answer>(0))
    answer(content.get_as<http_answer>(0).response);
  else
    give_up(failure{errc::unexpected_message, "the agent's answer is no chat"});
}

void session::stream_part(const caf::type_erased_tuple& content) {
  if (content.match_element<msg::chat_chunk>(1))
    chunk(content.get_as<msg::chat_chunk>(1));
  else if (content.match_element<msg::chat_open>(1) && wants_stream())
    open(content.get_as<msg::chat_open>(1));
  else if (content.match_element<msg::chat_end>(1))
    end(content.get_as<msg::chat_end>(1));
  else
    give_up(
      failure{errc::unexpected_message, "the agent streams what was to be whole, or no chat"});
}

/// No two answers have one id: clients know messages by it. One that was made for somebody else, or
/// comes without, has the request's. Under the lock.
msg::chat_open session::named(msg::chat_open head) const {
  const auto from = static_cast<msg::cache_status>(head.origin.cache);
  const bool made_for_this = from == msg::cache_status::none || from == msg::cache_status::miss
                             || from == msg::cache_status::bypass;
  if (head.id.empty() || !made_for_this) {
    auto digits = summary_.request_id;
    std::erase(digits, '-');
    head.id = (summary_.what == endpoint::messages ? "msg_" : "chatcmpl-") + digits;
  }
  if (head.model.empty())
    head.model = model_;
  if (head.created == 0)
    head.created = std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  return head;
}

// -- whole answers --------------------------------------------------------------------------------

void session::add_common_headers(net::http_headers& headers, const request_summary& about) const {
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(age());
  headers.add("x-request-id", about.request_id);
  for (std::size_t n = 0; n < headers_.size(); ++n)
    headers.add(headers_.name(n), headers_.value(n));
  if (about.anthropic) {
    headers.add("request-id", about.request_id); // As Anthropic's clients look for it.
    return;
  }
  headers.add("openai-processing-ms", std::to_string(spent.count()));
  headers.add("openai-version", api_version);
}

void session::give_response(net::http_response response, ending& over) {
  const int status = response.status;
  add_common_headers(response.headers, summary_);
  over.response = std::move(response);
  finish(status, over);
}

void session::answer(net::http_response response) {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::waiting)
      give_response(std::move(response), over);
  }
  report(over);
}

void session::whole(const msg::chat_reply& reply) {
  const auto begun = env_.now();
  if (wants_stream()) {
    play(reply);
    return;
  }
  // Written outside of the lock: an answer may be large. Nobody else needs the format any more.
  std::unique_ptr<answer_format> format;
  msg::chat_open head{reply.id, reply.created, reply.model, {}, reply.origin};
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::waiting || !format_)
      return;
    format = std::move(format_);
    head = named(std::move(head));
  }
  auto response = whole_answer(*format, reply, head);
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::waiting)
      return;
    summary_.origin = reply.origin;
    summary_.usage = reply.usage;
    summary_.first_token = age();
    summary_.overhead += env_.now() - begun;
    give_response(std::move(response), over);
  }
  report(over);
}

/// For the log and the metrics; under the lock.
void session::note(const failure& why) {
  summary_.error = why.code;
  summary_.reason = utf8_prefix(why.detail, reason_bytes_max);
  summary_.upstream_status = why.status;
  if (!why.provider.empty())
    summary_.origin.provider = why.provider;
  summary_.origin.attempts = std::max(summary_.origin.attempts, why.tries);
}

void session::fail(const failure& why) {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::done)
      return;
    note(why);
    if (phase_ == phase::waiting) {
      give_response(
        error_response(why, param_, summary_.what, summary_.request_id, summary_.anthropic), over);
    } else {
      // Too late for a status: an error event stands where [DONE] would. The body ends cleanly
      // behind it, else a client's fetch would drop the event with what it has not read yet.
      if (exchange_->write_owed(format_->failed(why, param_)))
        exchange_->end();
      else
        exchange_->abort();
      finish(200, over);
    }
  }
  report(over);
}

// -- streams --------------------------------------------------------------------------------------

void session::open(const msg::chat_open& begin) {
  const auto begun = env_.now();
  net::http_headers headers{{"content-type", "text/event-stream; charset=utf-8"},
                            {"cache-control", "no-cache"},
                            {"x-accel-buffering", "no"}};
  add_origin_headers(headers, begin.origin);
  if (!start_stream(begin, std::move(headers), begun))
    return;
  watch(begun + idle_max_); // Written once, before anybody answers.
}

bool session::start_stream(const msg::chat_open& begin, net::http_headers headers,
                           time_point begun) {
  std::lock_guard hold{lock_};
  if (phase_ != phase::waiting)
    return false;
  phase_ = phase::streaming;
  moved_ = begun;
  summary_.streamed = true;
  summary_.origin = begin.origin;
  add_common_headers(headers, summary_);
  exchange_->begin_stream(200, std::move(headers));
  if (auto frames = format_->open(named(begin)); !frames.empty()) {
    ledger_.wrote(frames.size(), 0);
    // It is the first write: if it is not taken the client is gone, and the next chunk says so.
    [[maybe_unused]] const bool written = exchange_->write_owed(std::move(frames));
  }
  summary_.overhead += env_.now() - begun;
  return true;
}

void session::chunk(const msg::chat_chunk& piece) {
  bool written = true;
  rt::lease_ptr unpaid; // A piece this API has no words for costs nothing.
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::streaming)
      return;
    auto frame = format_->chunk(piece);
    if (summary_.first_token == duration::zero())
      summary_.first_token = age();
    if (frame.empty()) {
      moved_ = env_.now(); // Nothing for this client to see, but the answer goes on.
      unpaid = token_;
    } else {
      // Before the frame is written: the connection may report it as drained at once.
      ledger_.wrote(frame.size(), bytes_of(piece));
      written = exchange_->write(std::move(frame));
    }
  }
  if (unpaid)
    unpaid->grant(bytes_of(piece));
  // The credit keeps what is unsent below the connection's bound, so either the client is gone or
  // the producer went over its credit by far: there is nobody to stream to any more.
  if (!written)
    client_gone();
}

void session::end(const msg::chat_end& last) {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::streaming)
      return;
    summary_.origin = last.origin;
    close_stream(format_->end(last.usage), last.usage, over);
  }
  report(over);
}

/// An agent that answers whole, asked for a stream. All of it is one write: a first one may be
/// larger than what a connection holds otherwise.
void session::play(const msg::chat_reply& reply) {
  answer_player player{reply};
  open(player.open());
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::streaming)
      return;
    std::string frames;
    while (const auto piece = player.next())
      frames += format_->chunk(*piece);
    summary_.first_token = age();
    frames += format_->end(reply.usage);
    close_stream(std::move(frames), reply.usage, over);
  }
  report(over);
}

void session::close_stream(std::string frames, const msg::token_usage& usage, ending& over) {
  summary_.usage = usage;
  // The end of an answer may repeat all of it (/v1/responses does): no bound may cut it.
  const bool written = exchange_->write_owed(std::move(frames));
  // A clean end without [DONE] would look like a whole answer.
  if (written)
    exchange_->end();
  else
    exchange_->abort();
  finish(written ? 200 : 499, over);
}

void session::drained(std::size_t bytes) {
  std::uint64_t granted = 0;
  rt::lease_ptr token;
  {
    std::lock_guard hold{lock_};
    granted = ledger_.drained(bytes);
    moved_ = env_.now();
    token = token_;
  }
  if (token && granted > 0)
    token->grant(granted);
}

// -- ends -----------------------------------------------------------------------------------------

void session::give_up(const failure& why) {
  rt::lease_ptr token;
  {
    std::lock_guard hold{lock_};
    token = token_;
  }
  fail(why);
  // Whoever still works on it stops.
  if (token)
    token->cancel();
}

void session::client_gone() {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::done)
      return;
    summary_.error = errc::cancelled;
    exchange_->abort();
    finish(499, over);
  }
  report(over);
  if (over.token)
    over.token->cancel();
}

void session::finish(int status, ending& over) {
  phase_ = phase::done;
  over.token.swap(token_);
  over.timer = std::exchange(timer_, 0);
  summary_.status = status;
  summary_.total = age();
  over.summary = std::move(summary_);
}

void session::report(ending& over) const {
  if (!over.summary)
    return;
  // Outside of the lock: compressing a large answer takes milliseconds.
  if (over.response && !exchange_->try_respond(std::move(*over.response))) {
    // Over answers_bytes. This one is small and always taken.
    auto& done = *over.summary;
    const auto why = no_room();
    auto refused = error_response(why, {}, done.what, done.request_id, done.anthropic);
    add_common_headers(refused.headers, done);
    done.status = refused.status;
    done.error = why.code;
    exchange_->respond(std::move(refused));
  }
  env_.timers().cancel(over.timer);
  if (observer_)
    observer_(*over.summary);
}

} // namespace skep::actors
