#pragma once

#include "actors/common/openai_json.hpp"
#include "messages/context.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/actor/lease.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/net/http_exchange.hpp"

#include <caf/actor_proxy.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace skep::actors {

/// What a finished request was, for the access log and the metrics.
struct request_summary {
  std::string method;
  std::string path;
  std::string request_id;
  /// A name of the configuration, never what the client sent.
  std::string model = "none";
  int status = 0;
  bool streamed = false;
  std::string_view error;
  msg::answer_origin origin;
  msg::token_usage usage;
  duration total{};
  /// Until the first token left; zero when none did.
  duration first_token{};
};

/// Told once how each request ended; on any thread, must be short.
using request_observer = std::function<void(const request_summary&)>;

/// The handle of one client's request. Answers are sent to it like to any actor; it formats them on
/// the sender's thread and writes them to the connection under the stream's credit: what the
/// connection has taken is granted to the producer again. A client that goes away cancels the work.
/// Thread-safe.
class session final : public caf::actor_proxy {
public:
  session(caf::actor_config& config, rt::environment& env,
          std::shared_ptr<net::http_exchange> exchange, request_observer observer,
          std::string method, std::string path);
  ~session() override;

  /// The handle keeps the session; `self` lives as long as it.
  struct made {
    caf::strong_actor_ptr handle;
    session* self = nullptr;
  };
  static made make(rt::environment& env, std::shared_ptr<net::http_exchange> exchange,
                   request_observer observer, std::string method, std::string path);

  /// Ties the session to its call: a client that goes away, or the deadline, ends it.
  void attach(const rt::lease_ptr& token, time_point deadline);
  /// Streams end with a usage chunk.
  void want_usage() {
    include_usage_ = true;
  }
  /// The model's name for metrics and logs.
  void set_model(std::string model);
  /// Which member of the request is at fault, should it fail.
  void set_param(std::string param);
  const request_id& id() const {
    return id_;
  }

  /// Answers with something that is no chat.
  void respond(net::http_response response);
  void fail(const failure& why);

  // -- caf ----------------------------------------------------------------------------------------
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override {
    return "session";
  }

private:
  // What a frame costs its producer, in the order the frames were written.
  struct debt {
    std::size_t frame_bytes = 0;
    std::uint64_t cost = 0;
  };

  void answered(const caf::type_erased_tuple& content);
  void stream_part(const caf::type_erased_tuple& content);
  void whole(const msg::chat_reply& reply);
  void open(const msg::chat_open& begin);
  void chunk(const msg::chat_chunk& piece);
  void end(const msg::chat_end& last);
  void drained(std::size_t bytes);
  void client_gone();
  void write(std::string frame, std::uint64_t cost);
  net::http_headers headers_for(const msg::answer_origin& origin) const;
  void finish(int status);

  rt::environment& env_;
  const request_id id_ = make_request_id();
  const time_point arrived_ = clock::now();
  std::shared_ptr<net::http_exchange> exchange_;
  request_observer observer_;
  bool include_usage_ = false;

  mutable spinlock lock_; // Guards everything below.
  rt::lease_ptr token_;
  rt::timer_handle timer_ = 0;
  std::optional<chunk_writer> writer_;
  std::deque<debt> debts_;
  std::size_t drained_ahead_ = 0;
  std::string param_;
  request_summary summary_;
  bool done_ = false;
};

} // namespace skep::actors
