#include "actors/gateway/session.hpp"

#include "actors/gateway/http_errors.hpp"
#include "messages/size.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"

#include <caf/make_actor.hpp>

#include <mutex>
#include <utility>

namespace skep::actors {

namespace {

constexpr std::string_view api_version = "2020-10-01";

std::string_view cache_word(msg::cache_status status) {
  switch (status) {
    case msg::cache_status::hit: return "HIT";
    case msg::cache_status::miss: return "MISS";
    case msg::cache_status::bypass: return "BYPASS";
    case msg::cache_status::none: break;
  }
  return {};
}

/// RFC 9211.
std::string cache_status_header(const msg::answer_origin& origin) {
  switch (static_cast<msg::cache_status>(origin.cache)) {
    case msg::cache_status::hit: return "skep; hit; ttl=" + std::to_string(origin.cache_ttl_s);
    case msg::cache_status::miss: return "skep; fwd=miss";
    case msg::cache_status::bypass: return "skep; fwd=bypass";
    case msg::cache_status::none: break;
  }
  return {};
}

} // namespace

session::session(caf::actor_config& config, rt::environment& env,
                 std::shared_ptr<net::http_exchange> exchange, request_observer observer,
                 std::string method, std::string path)
  : actor_proxy(config), env_(env), exchange_(std::move(exchange)), observer_(std::move(observer)) {
  summary_.method = std::move(method);
  summary_.path = std::move(path);
  summary_.request_id = to_string(id_);
}

session::~session() {
  // Nobody can answer any more; the exchange's end tells the client.
  finish(500);
}

session::made session::make(rt::environment& env, std::shared_ptr<net::http_exchange> exchange,
                            request_observer observer, std::string method, std::string path) {
  caf::actor_config config;
  auto& system = env.system();
  auto handle = caf::make_actor<session, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, env, std::move(exchange),
    std::move(observer), std::move(method), std::move(path));
  return {handle, static_cast<session*>(handle->get())};
}

void session::attach(const rt::lease_ptr& token, time_point deadline) {
  const auto timer = env_.timers().set(deadline, caf::strong_actor_ptr{ctrl()}, 0);
  {
    std::lock_guard hold{lock_};
    token_ = token;
    timer_ = timer;
  }
  // The exchange keeps these functions, so they must not keep the session.
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

void session::set_model(std::string model) {
  std::lock_guard hold{lock_};
  summary_.model = std::move(model);
}

void session::set_param(std::string param) {
  std::lock_guard hold{lock_};
  param_ = std::move(param);
}

// -- what comes in --------------------------------------------------------------------------------

void session::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  const auto& content = what->content();
  if (what->mid.is_response()) {
    answered(content);
    return;
  }
  if (content.size() == 1 && content.match_element<rt::timer_notice>(0)) {
    rt::lease_ptr token;
    {
      std::lock_guard hold{lock_};
      token = token_;
    }
    // Whoever still works on it is told to stop; the client hears why.
    fail(failure{errc::deadline_exceeded, "the request took longer than its time-out"});
    if (token)
      token->cancel();
  }
}

void session::kill_proxy(caf::execution_unit* unit, caf::error reason) {
  cleanup(std::move(reason), unit);
}

void session::answered(const caf::type_erased_tuple& content) {
  if (content.size() == 1 && content.match_element<caf::error>(0))
    fail(from_caf_error(content.get_as<caf::error>(0)));
  else if (content.size() == 1 && content.match_element<msg::chat_reply>(0))
    whole(content.get_as<msg::chat_reply>(0));
  else if (content.size() == 2 && content.match_element<rt::stream_phase>(0))
    stream_part(content);
  else
    fail(failure{errc::unexpected_message, "the agent's answer is no chat"});
}

void session::stream_part(const caf::type_erased_tuple& content) {
  if (content.match_element<msg::chat_chunk>(1))
    chunk(content.get_as<msg::chat_chunk>(1));
  else if (content.match_element<msg::chat_open>(1))
    open(content.get_as<msg::chat_open>(1));
  else if (content.match_element<msg::chat_end>(1))
    end(content.get_as<msg::chat_end>(1));
  else
    fail(failure{errc::unexpected_message, "a part of the agent's stream is no chat"});
}

// -- what goes out --------------------------------------------------------------------------------

net::http_headers session::headers_for(const msg::answer_origin& origin) const {
  const auto so_far = clock::now() - arrived_;
  net::http_headers headers;
  headers.add("x-request-id", summary_.request_id);
  headers.add(
    "openai-processing-ms",
    std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(so_far).count()));
  headers.add("openai-version", api_version);
  if (const auto status = cache_status_header(origin); !status.empty()) {
    headers.add("cache-status", status);
    headers.add("x-skep-cache", cache_word(static_cast<msg::cache_status>(origin.cache)));
  }
  if (!origin.provider.empty())
    headers.add("x-skep-provider", origin.provider);
  headers.add("x-skep-attempts", std::to_string(origin.attempts));
  return headers;
}

void session::respond(net::http_response response) {
  const int status = response.status;
  exchange_->respond(std::move(response));
  finish(status);
}

void session::whole(const msg::chat_reply& reply) {
  net::http_response response;
  response.headers = headers_for(reply.origin);
  response.headers.add("content-type", "application/json");
  response.body = write_chat_reply(reply);
  {
    std::lock_guard hold{lock_};
    summary_.origin = reply.origin;
    summary_.usage = reply.usage;
    summary_.first_token = clock::now() - arrived_;
  }
  respond(std::move(response));
}

void session::open(const msg::chat_open& begin) {
  auto headers = headers_for(begin.origin);
  headers.add("content-type", "text/event-stream; charset=utf-8");
  headers.add("cache-control", "no-cache");
  headers.add("x-accel-buffering", "no");
  {
    std::lock_guard hold{lock_};
    if (done_ || writer_)
      return;
    writer_.emplace(begin, include_usage_);
    summary_.streamed = true;
    summary_.origin = begin.origin;
  }
  exchange_->begin_stream(200, std::move(headers));
}

void session::chunk(const msg::chat_chunk& piece) {
  std::string frame;
  {
    std::lock_guard hold{lock_};
    if (done_ || !writer_)
      return;
    frame = writer_->frame(piece);
    if (summary_.first_token == duration::zero())
      summary_.first_token = clock::now() - arrived_;
  }
  write(std::move(frame), bytes_of(piece));
}

void session::write(std::string frame, std::uint64_t cost) {
  const auto bytes = frame.size();
  {
    // Before the frame is written: the connection may report it as drained at once.
    std::lock_guard hold{lock_};
    debts_.push_back({bytes, cost});
  }
  if (exchange_->write(std::move(frame)))
    return;
  // The window keeps what is unsent below the connection's bound, so the client is gone, or it is
  // so slow that the connection gave up on it.
  client_gone();
}

void session::drained(std::size_t bytes) {
  std::uint64_t granted = 0;
  rt::lease_ptr token;
  {
    std::lock_guard hold{lock_};
    drained_ahead_ += bytes;
    while (!debts_.empty() && debts_.front().frame_bytes <= drained_ahead_) {
      drained_ahead_ -= debts_.front().frame_bytes;
      granted += debts_.front().cost;
      debts_.pop_front();
    }
    token = token_;
  }
  if (token && granted > 0)
    token->grant(granted);
}

void session::end(const msg::chat_end& last) {
  std::string frame;
  {
    std::lock_guard hold{lock_};
    if (done_ || !writer_)
      return;
    frame = writer_->finish(last.usage);
    summary_.usage = last.usage;
    summary_.origin = last.origin;
  }
  [[maybe_unused]] const bool written = exchange_->write(std::move(frame));
  exchange_->end();
  finish(200);
}

void session::fail(const failure& why) {
  std::string param;
  bool streaming = false;
  {
    std::lock_guard hold{lock_};
    if (done_)
      return;
    streaming = writer_.has_value();
    param = param_;
    summary_.error = to_string(why.code);
  }
  if (streaming) {
    // Too late for a status: an error event, and a connection that ends without [DONE].
    [[maybe_unused]] const bool written
      = exchange_->write("data: " + error_body(why, param) + "\n\n");
    exchange_->abort();
    finish(200);
    return;
  }
  auto response = error_response(why, param, summary_.request_id);
  respond(std::move(response));
}

void session::client_gone() {
  rt::lease_ptr token;
  {
    std::lock_guard hold{lock_};
    token = token_;
    if (!done_ && summary_.error.empty())
      summary_.error = to_string(errc::cancelled);
  }
  finish(499);
  if (token)
    token->cancel();
}

void session::finish(int status) {
  rt::lease_ptr token; // Let go of outside the lock.
  request_summary summary;
  rt::timer_handle timer = 0;
  {
    std::lock_guard hold{lock_};
    if (std::exchange(done_, true))
      return;
    token.swap(token_);
    timer = std::exchange(timer_, 0);
    summary_.status = status;
    summary_.total = clock::now() - arrived_;
    summary = summary_;
  }
  env_.timers().cancel(timer);
  if (observer_)
    observer_(summary);
}

} // namespace skep::actors
