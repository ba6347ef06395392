#pragma once

// tidy: allow size, templates, and the one base of every actor with its contract

#include "runtime/actor/call.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/actor/mailbox.hpp"
#include "runtime/actor/responder.hpp"
#include "runtime/base/expected.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>
#include <memory>
#include <unordered_map>

namespace skep::rt {

/// What a request brought: one of reply, open, chunk, end or failed.
struct answer {
  enum class kind : std::uint8_t { reply, open, chunk, end, failed };

  kind what = kind::failed;
  /// Why, when failed.
  failure why;

  /// The payload when it is a T; null otherwise.
  template <class T>
  const T* get() const {
    return content != nullptr && content->match_element<T>(position) ? &content->get_as<T>(position)
                                                                     : nullptr;
  }
  /// No further answer follows.
  bool last() const {
    return what != kind::open && what != kind::chunk;
  }

  const caf::type_erased_tuple* content = nullptr;
  std::size_t position = 0;
};

/// Names a request of an actor's own, from ask() until its last answer.
using request_key = std::uint64_t;
using answer_handler = std::function<void(const answer&)>;

/// The base of every actor of skep. Data messages wait in a bounded lane of their own; control
/// (exit, down, responses, credit, cancel, timers) travels in CAF's inbox, is never shed and
/// overtakes data. Requests it makes are kept in a hash map, each with a deadline by which its
/// answer is there or has begun to stream; requests it holds are answered whatever happens to it.
/// All members except enqueue are for the actor's thread.
///
/// A handler of `(const call&, const Payload&)` answers through take() or reply(); one that does
/// neither has the call failed for it.
class bounded_actor : public caf::event_based_actor {
public:
  bounded_actor(caf::actor_config& config, environment& env, const actor_kind& kind);
  ~bounded_actor() override;

  // -- CAF's hooks --------------------------------------------------------------------------------

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  caf::resumable::resume_result resume(caf::execution_unit* worker,
                                       std::size_t throughput) override;
  const char* name() const override;
  caf::invoke_message_result consume(caf::mailbox_element& what) override;
  bool cleanup(caf::error&& reason, caf::execution_unit* host) override;

  // -- Asking others ------------------------------------------------------------------------------

  /// Sends a request and calls `handler` with each answer, the last of which always comes: by the
  /// deadline of `context` at the latest. `window` is the credit in bytes for a streamed answer.
  template <message T>
  request_key ask(const caf::actor& to, skep::context context, T payload, answer_handler handler,
                  std::uint64_t window = 0) {
    const auto bytes = bytes_of(payload);
    const auto request = open_request(to, context, std::move(handler), window);
    if (request.key != 0)
      to->enqueue(caf::make_mailbox_element(ctrl_ptr(), request.mid, {},
                                            call{std::move(context), request.token, bytes},
                                            std::move(payload)),
                  nullptr);
    return request.key;
  }

  /// Sends what nobody answers.
  template <message T>
  void tell(const caf::actor& to, skep::context context, T payload) {
    const auto bytes = bytes_of(payload);
    to->enqueue(caf::make_mailbox_element(ctrl_ptr(), caf::make_message_id(), {},
                                          call{std::move(context), nullptr, bytes},
                                          std::move(payload)),
                nullptr);
  }

  /// Gives a request up: whoever works on it is told, the handler is not called again.
  void give_up(request_key key);
  /// Lets the stream behind a request send that many more bytes.
  void grant(request_key key, std::uint64_t bytes);
  std::size_t requests_open() const {
    return requests_.size();
  }

  // -- Answering ----------------------------------------------------------------------------------

  /// Takes on the call's answer. The responder must end it; dropping it fails the call. A relay
  /// hears of every credit grant, so that it can hand them on to the producer behind it.
  responder take(const call& c, bool relay = false);

  /// Hands the call to `to`, which answers the caller directly; this actor is out of it.
  template <message T>
  void pass_on(const call& c, skep::context context, const caf::actor& to, T payload) {
    passed_on_ = true;
    if (!to) {
      refuse(c, failure{errc::not_found, "there is nobody to pass the call on to"});
      return;
    }
    const auto bytes = bytes_of(payload);
    const auto mid = c.lease ? c.lease->request_id() : caf::make_message_id();
    to->enqueue(caf::make_mailbox_element(c.lease ? c.lease->caller() : nullptr, mid, {},
                                          call{std::move(context), c.lease, bytes},
                                          std::move(payload)),
                nullptr);
  }

  /// Answers at once; `value` is an expected<T> or a T.
  template <message T>
  void reply(const call& c, T value) {
    if (c.lease)
      c.lease->reply(std::move(value));
  }
  template <message T>
  void reply(const call& c, tl::expected<T, failure> value) {
    if (value)
      reply(c, std::move(*value));
    else
      refuse(c, value.error());
  }
  void refuse(const call& c, const failure& why) {
    if (c.lease)
      c.lease->fail(why);
  }
  /// The call being handled will be answered later through its lease, by code that keeps it.
  void leave_open() {
    passed_on_ = true;
  }
  std::size_t calls_held() const {
    return held_.size();
  }

  // -- Time ---------------------------------------------------------------------------------------

  /// Calls `fn` once after `delay`; the result names the timer for cancel_timer.
  std::uint64_t after(duration delay, std::function<void()> fn);
  void cancel_timer(std::uint64_t key);
  time_point now() const {
    return env_.now();
  }

  environment& env() {
    return env_;
  }
  const actor_kind& kind() const {
    return kind_;
  }
  /// Data messages waiting; from any thread.
  std::uint32_t depth() const {
    return lane_.depth();
  }

protected:
  /// Called when an actor this one monitors is gone.
  virtual void on_down(const caf::down_msg& down);
  /// Called once while the actor ends, before its open calls are failed.
  virtual void on_stop();

private:
  friend class responder;

  // The one element that tells the actor that data waits; at most once in CAF's inbox, never freed.
  class wake_token final : public caf::mailbox_element {
  public:
    wake_token();
    caf::type_erased_tuple& content() override;
    const caf::type_erased_tuple& content() const override;
    caf::message move_content_to_message() override;
    caf::message copy_content_to_message() const override;
    void request_deletion(bool) const noexcept override;
  };

  struct opened_request {
    request_key key = 0;
    caf::message_id mid;
    lease_ptr token;
  };
  struct open_entry {
    lease_ptr token;
    answer_handler handler;
    timer_handle deadline = 0;
    bool streaming = false;
  };
  struct timer_entry {
    timer_handle timer = 0;
    std::function<void()> fn;
  };

  caf::strong_actor_ptr ctrl_ptr() {
    return caf::strong_actor_ptr{ctrl()};
  }
  opened_request open_request(const caf::actor& to, const skep::context& context,
                              answer_handler handler, std::uint64_t window);
  void drain_lane();
  void process(caf::mailbox_element& what);
  bool drop_before_work(const call& c);
  bool consume_control(caf::mailbox_element& what);
  void consume_answer(caf::mailbox_element& what);
  void finish_request(request_key key, const answer& last);
  void timer_fired(std::uint64_t key);
  void call_cancelled(std::uint64_t key);
  void credit_granted(const credit_notice& notice);
  void wake();
  void bury(caf::mailbox_element& what, const failure& why);

  environment& env_;
  const actor_kind& kind_;
  data_lane lane_;
  wake_token token_;
  bool passed_on_ = false;
  bool yielded_ = false;
  bool ended_ = false;
  std::uint64_t last_key_ = 0;
  std::unordered_map<request_key, open_entry> requests_;
  std::unordered_map<std::uint64_t, held_call> held_;
  std::unordered_map<std::uint64_t, timer_entry> timers_;
};

} // namespace skep::rt
