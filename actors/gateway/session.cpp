#include "actors/gateway/session.hpp"

#include "actors/common/openai_json.hpp"
#include "actors/gateway/http_errors.hpp"
#include "messages/size.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"

#include <caf/make_actor.hpp>
#include <nlohmann/json.hpp>

#include <mutex>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::string_view api_version = "2020-10-01";

/// Thousandths as a decimal fraction: 971 is 0.971.
std::string similarity_text(std::uint32_t thousandths) {
  auto digits = std::to_string(thousandths % 1000);
  digits.insert(0, 3 - digits.size(), '0');
  return std::to_string(thousandths / 1000) + "." + digits;
}

/// Cache-Status (RFC 9211), the plain header beside it, and where the answer came from.
void add_origin_headers(net::http_headers& headers, const msg::answer_origin& origin) {
  switch (static_cast<msg::cache_status>(origin.cache)) {
    case msg::cache_status::hit:
      headers.add("cache-status", "skep; hit; ttl=" + std::to_string(origin.cache_ttl_s));
      headers.add("x-skep-cache", "HIT");
      break;
    case msg::cache_status::miss:
      headers.add("cache-status", "skep; fwd=miss");
      headers.add("x-skep-cache", "MISS");
      break;
    case msg::cache_status::bypass:
      headers.add("cache-status", "skep; fwd=bypass");
      headers.add("x-skep-cache", "BYPASS");
      break;
    case msg::cache_status::shared:
      headers.add("cache-status", "skep; fwd=miss; collapsed");
      headers.add("x-skep-cache", "SHARED");
      break;
    case msg::cache_status::stale:
      headers.add("cache-status", "skep; hit; ttl=0");
      headers.add("x-skep-cache", "STALE");
      break;
    case msg::cache_status::semantic:
      headers.add("cache-status", "skep; hit; detail=semantic");
      headers.add("x-skep-cache", "SEMANTIC");
      headers.add("x-skep-cache-similarity", similarity_text(origin.similarity));
      break;
    case msg::cache_status::none: break;
  }
  if (!origin.cache_key.empty())
    headers.add("x-skep-cache-key", origin.cache_key);
  if (!origin.provider.empty())
    headers.add("x-skep-provider", origin.provider);
  headers.add("x-skep-attempts", std::to_string(origin.attempts));
}

/// gateway.answers_bytes is used up.
failure no_room() {
  return failure{errc::overloaded, "too many answers wait for their clients to read them"};
}

/// A choice of a whole answer as the one delta it amounts to, where tool calls are numbered.
msg::chat_chunk delta_of(const msg::chat_choice& choice) {
  return {choice.index, choice.content, delta_members(choice.message_rest), choice.finish_reason,
          choice.rest};
}

} // namespace

session::session(caf::actor_config& config, rt::environment& env, origin from)
  : actor_proxy(config), env_(env), arrived_(env.now()), exchange_(std::move(from.exchange)),
    observer_(std::move(from.observer)) {
  summary_.what = endpoint_of(from.path);
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

void session::attach(const rt::lease_ptr& token, time_point deadline) {
  const auto timer = env_.timers().set(deadline, caf::strong_actor_ptr{ctrl()}, 0);
  {
    std::lock_guard hold{lock_};
    token_ = token;
    timer_ = timer;
  }
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

void session::passed_on(std::string model, bool stream, std::unique_ptr<answer_format> format) {
  std::lock_guard hold{lock_};
  summary_.model = std::move(model);
  summary_.overhead = age();
  stream_wanted_ = stream;
  format_ = std::move(format);
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
    give_up(failure{errc::deadline_exceeded, "the request took longer than its time-out"});
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
    plain(content.get_as<http_answer>(0));
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

// -- whole answers --------------------------------------------------------------------------------

void session::add_common_headers(net::http_headers& headers, const request_summary& about) const {
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(age());
  headers.add("x-request-id", about.request_id);
  if (about.what == endpoint::messages) {
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

void session::plain(const http_answer& answer) {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::waiting)
      give_response(answer.response, over);
  }
  report(over);
}

void session::whole(const msg::chat_reply& reply) {
  const auto begun = env_.now();
  if (wants_stream()) {
    play(reply);
    return;
  }
  // Writing it costs its whole memory once more.
  if (!exchange_->has_room(bytes_of(reply))) {
    fail(no_room());
    return;
  }
  // Written outside of the lock: an answer may be large. Nobody else needs the format any more.
  std::unique_ptr<answer_format> format;
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::waiting || !format_)
      return;
    format = std::move(format_);
  }
  auto response = json_response(200, format->whole(reply));
  add_origin_headers(response.headers, reply.origin);
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

void session::fail(const failure& why) {
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ == phase::done)
      return;
    summary_.error = why.code;
    if (phase_ == phase::waiting) {
      give_response(error_response(why, param_, summary_.what, summary_.request_id), over);
    } else {
      // Too late for a status: an error event, and a connection that ends without [DONE].
      [[maybe_unused]] const bool written = exchange_->write_owed(format_->failed(why, param_));
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
  std::lock_guard hold{lock_};
  if (phase_ != phase::waiting)
    return;
  phase_ = phase::streaming;
  summary_.streamed = true;
  summary_.origin = begin.origin;
  add_common_headers(headers, summary_);
  exchange_->begin_stream(200, std::move(headers));
  if (auto frames = format_->open(begin); !frames.empty()) {
    ledger_.wrote(frames.size(), 0);
    // It is the first write: if it is not taken the client is gone, and the next chunk says so.
    [[maybe_unused]] const bool written = exchange_->write_owed(std::move(frames));
  }
  summary_.overhead += env_.now() - begun;
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
  open({reply.id, reply.created, reply.model, reply.rest, reply.origin});
  ending over;
  {
    std::lock_guard hold{lock_};
    if (phase_ != phase::streaming)
      return;
    std::string frames;
    for (const auto& choice : reply.choices)
      frames += format_->chunk(delta_of(choice));
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
    auto refused = error_response(why, {}, done.what, done.request_id);
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
