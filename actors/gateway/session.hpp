#pragma once

#include "actors/gateway/endpoint_table.hpp"
#include "actors/gateway/request_summary.hpp"
#include "actors/gateway/stream_ledger.hpp"
#include "apis/chat/answer_format.hpp"
#include "messages/context.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/actor/lease.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/net/http_exchange.hpp"

#include <caf/actor_proxy.hpp>

#include <memory>
#include <optional>
#include <string>

namespace skep::actors {

using rt::http_answer;

/// The handle of one client's request, the caller of its call. Answers are sent to it like to any
/// actor; it formats them on the sender's thread and writes them to the connection under the
/// stream's credit: what the connection has taken is granted to the producer again. A client that
/// goes away cancels the work, and so do the deadline and a stream that stands still. The last
/// reference to an unanswered one answers 500. Thread-safe.
class session final : public caf::actor_proxy {
public:
  /// What a session is made for.
  struct origin {
    std::shared_ptr<net::http_exchange> exchange;
    request_observer observer;
    std::string method;
    std::string path;
    /// What the path stands for; only needed while the session is made.
    const served_endpoint& asked;
    /// What every answer to this request carries besides (CORS).
    net::http_headers headers;
    /// The client speaks Anthropic's API.
    bool anthropic = false;
  };
  /// The handle keeps the session; `self` lives as long as it.
  struct made {
    caf::strong_actor_ptr handle;
    session* self = nullptr;
  };

  session(caf::actor_config& config, rt::environment& env, origin from);
  ~session() override;

  static made make(rt::environment& env, origin from);

  /// Ties the session to its call: a client that goes away ends it, and so does the deadline as
  /// long as nothing has come; afterwards a stream ends when it stands still for `idle_max`.
  void attach(const rt::lease_ptr& token, time_point deadline, duration idle_max);
  /// What the client called the model, and the model's own name where somebody answers for it.
  void asks_for(std::string_view asked, std::string_view full);
  /// The call leaves the gateway. `model` is its name for metrics; `format` writes the answer when
  /// it is a chat's, and `stream` says which way.
  void passed_on(std::string model, bool stream = false,
                 std::unique_ptr<answer_format> format = nullptr);
  /// The model as the client named it, for answers that name none.
  void asked_for(std::string model);
  /// Which member of the request is at fault, should it fail.
  void blame(std::string param);
  /// Ends the request with an answer made on the connection's thread.
  void answer(net::http_response response);
  /// Ends the request with an error: a status before the first byte, else an event, after which the
  /// body ends cleanly, for clients drop what an aborted one still had for them.
  void fail(const failure& why);

  const request_id& id() const;

  // -- caf ----------------------------------------------------------------------------------------
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override;

private:
  enum class phase : std::uint8_t { waiting, streaming, done };

  // What is left to do once the lock is released.
  struct ending {
    rt::lease_ptr token;
    rt::timer_handle timer = 0;
    std::optional<request_summary> summary;
    std::optional<net::http_response> response; // The last thing the exchange is told.
  };

  void answered(const caf::type_erased_tuple& content);
  void stream_part(const caf::type_erased_tuple& content);
  void whole(const msg::chat_reply& reply);
  void open(const msg::chat_open& begin);
  bool start_stream(const msg::chat_open& begin, net::http_headers headers, time_point begun);
  void chunk(const msg::chat_chunk& piece);
  void end(const msg::chat_end& last);
  void play(const msg::chat_reply& reply);
  msg::chat_open named(msg::chat_open head) const;
  void close_stream(std::string frames, const msg::token_usage& usage, ending& over);
  void overdue();
  void watch(time_point due);
  void give_up(const failure& why);
  void drained(std::size_t bytes);
  void client_gone();
  bool wants_stream() const;
  bool wants_chat() const;
  duration age() const;
  void add_common_headers(net::http_headers& headers, const request_summary& about) const;
  void give_response(net::http_response response, ending& over);
  void note(const failure& why);
  void finish(int status, ending& over);
  void report(ending& over) const;

  rt::environment& env_;
  const request_id id_ = make_request_id();
  const time_point arrived_;
  const std::shared_ptr<net::http_exchange> exchange_;
  const request_observer observer_;
  const net::http_headers headers_;

  // Guards everything below and the order of what the exchange is told; its callbacks never run
  // inside of it.
  mutable spinlock lock_;
  phase phase_ = phase::waiting;
  rt::lease_ptr token_;
  rt::timer_handle timer_ = 0;
  duration idle_max_{};
  // When the stream last moved, by either end.
  time_point moved_{};
  bool stream_wanted_ = false;
  std::unique_ptr<answer_format> format_;
  stream_ledger ledger_;
  std::string param_;
  std::string model_;
  request_summary summary_;
};

} // namespace skep::actors
