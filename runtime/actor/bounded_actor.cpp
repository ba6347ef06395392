#include "runtime/actor/bounded_actor.hpp"

#include "runtime/actor/handoff.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/log.hpp"

#include <caf/default_attachable.hpp>
#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>

#include <exception>

namespace skep::rt {

namespace {

// Data messages handled before control gets its turn again.
constexpr int drain_batch = 32;
// Keys of request deadlines among the keys of timers.
constexpr std::uint64_t deadline_flag = 1ull << 63;

/// Exits, downs, time-outs and errors of CAF, responses and everything urgent.
bool is_control(const caf::mailbox_element& what) {
  if (what.mid.is_response() || !what.mid.is_normal_message())
    return true;
  const auto& content = what.content();
  if (content.size() != 1)
    return false;
  return content.match_element<caf::exit_msg>(0) || content.match_element<caf::down_msg>(0)
         || content.match_element<caf::timeout_msg>(0) || content.match_element<caf::error>(0);
}

/// Answers a message nobody will work on; `lease` is its lease, if it has one.
void answer_unserved(caf::mailbox_element& what, const failure& why) {
  if (auto token = ensure_lease(what))
    token->fail(why);
  else if (what.mid.is_request() && what.sender)
    what.sender->enqueue(
      caf::make_mailbox_element(nullptr, what.mid.response_id(), {}, to_caf_error(why)), nullptr);
}

std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

} // namespace

// -- the wake token -------------------------------------------------------------------------------

bounded_actor::wake_token::wake_token() = default;

caf::type_erased_tuple& bounded_actor::wake_token::content() {
  static caf::empty_type_erased_tuple nothing;
  return nothing;
}

const caf::type_erased_tuple& bounded_actor::wake_token::content() const {
  static const caf::empty_type_erased_tuple nothing;
  return nothing;
}

caf::message bounded_actor::wake_token::move_content_to_message() {
  return {};
}

caf::message bounded_actor::wake_token::copy_content_to_message() const {
  return {};
}

void bounded_actor::wake_token::request_deletion(bool) const noexcept {
  // A member of its actor.
}

// -- life -----------------------------------------------------------------------------------------

bounded_actor::bounded_actor(caf::actor_config& config, environment& env, const actor_kind& kind)
  : event_based_actor(config), env_(env), kind_(kind) {
  env_.live_actors_.fetch_add(1, std::memory_order_relaxed);
  set_default_handler(
    [this](caf::scheduled_actor*, caf::message_view& what) -> caf::result<caf::message> {
      if (const auto* c = call_of(what.content()))
        refuse(*c, failure{errc::unexpected_message,
                           std::string{name()} + " does not serve this message"});
      return make_error(caf::sec::unexpected_message);
    });
  set_exception_handler([this](std::exception_ptr& thrown) {
    const auto text = text_of(thrown);
    log::error("actor {} failed: {}", name(), text);
    return to_caf_error(failure{errc::actor_failed, text});
  });
  set_error_handler([](caf::error&) {
    // An answer nobody asked for.
  });
  set_down_handler([this](caf::down_msg& down) { on_down(down); });
}

bounded_actor::~bounded_actor() = default;

const char* bounded_actor::name() const {
  return kind_.name.c_str();
}

void bounded_actor::on_down(const caf::down_msg&) {}

void bounded_actor::on_stop() {}

bool bounded_actor::cleanup(caf::error&& reason, caf::execution_unit* host) {
  const auto asked_to = reason == caf::exit_reason::normal
                        || reason == caf::exit_reason::user_shutdown
                        || reason == caf::exit_reason::unreachable || !reason;
  const failure why{asked_to ? errc::unavailable : errc::actor_failed,
                    std::string{name()} + (asked_to ? " has stopped" : " failed")};
  on_stop();
  for (auto& waiting : lane_.close())
    bury(*waiting, why);
  for (auto& entry : std::exchange(held_, {}))
    entry.second.token->fail(why);
  for (auto& entry : std::exchange(requests_, {})) {
    env_.timers().cancel(entry.second.deadline);
    entry.second.token->cancel();
  }
  for (auto& entry : std::exchange(timers_, {}))
    env_.timers().cancel(entry.second.timer);
  const bool first = event_based_actor::cleanup(std::move(reason), host);
  if (!std::exchange(ended_, true))
    env_.live_actors_.fetch_sub(1, std::memory_order_relaxed);
  return first;
}

void bounded_actor::bury(caf::mailbox_element& what, const failure& why) {
  kind_.metrics.dead_lettered.inc();
  answer_unserved(what, why);
}

// -- the way in -----------------------------------------------------------------------------------

void bounded_actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  if (is_control(*what)) {
    event_based_actor::enqueue(std::move(what), unit != nullptr ? unit : handoff::unit());
    return;
  }
  std::vector<caf::mailbox_element_ptr> dropped;
  switch (lane_.push(what, data_lane::cost_of(*what), kind_.bounds, dropped)) {
    case data_lane::result::accepted_wake:
      kind_.metrics.accepted.inc();
      wake();
      break;
    case data_lane::result::accepted: kind_.metrics.accepted.inc(); break;
    case data_lane::result::refused:
      kind_.metrics.refused.inc();
      answer_unserved(*what, failure{errc::overloaded, kind_.name + " has a full mailbox",
                                     kind_.bounds.retry_after});
      break;
    case data_lane::result::too_large:
      kind_.metrics.refused.inc();
      answer_unserved(
        *what, failure{errc::too_large, "the request is larger than all that may wait "
                                        "for "
                                          + kind_.name + ": "
                                          + std::to_string(kind_.bounds.bytes_max) + " bytes"});
      break;
    case data_lane::result::closed:
      answer_unserved(*what, failure{errc::unavailable, kind_.name + " has stopped"});
      break;
  }
  for (auto& oldest : dropped)
    bury(*oldest, failure{errc::overloaded, kind_.name + " made room for newer messages",
                          kind_.bounds.retry_after});
}

void bounded_actor::wake() {
  event_based_actor::enqueue(caf::mailbox_element_ptr{&token_}, handoff::unit());
}

caf::resumable::resume_result bounded_actor::resume(caf::execution_unit* worker,
                                                    std::size_t throughput) {
  return handoff::run(worker, throughput,
                      [&] { return event_based_actor::resume(worker, throughput); });
}

caf::invoke_message_result bounded_actor::consume(caf::mailbox_element& what) {
  if (&what == &token_) {
    drain_lane();
    current_mailbox_element(&what);
    return caf::invoke_message_result::consumed;
  }
  if (what.mid.is_response() && requests_.count(what.mid.request_id().integer_value()) != 0) {
    consume_answer(what);
    return caf::invoke_message_result::consumed;
  }
  if (what.mid.is_urgent_message() && consume_control(what))
    return caf::invoke_message_result::consumed;
  return event_based_actor::consume(what);
}

void bounded_actor::drain_lane() {
  // Control that came meanwhile goes first. A token put back for its sake once handles at least one
  // message the next time, so that a flood of control cannot starve data.
  bool yield = !std::exchange(yielded_, false);
  for (int n = 0; n < drain_batch; ++n, yield = true) {
    if (yield && !mailbox().empty()) {
      yielded_ = true;
      break;
    }
    auto next = lane_.pop();
    if (next == nullptr)
      return;
    process(*next);
    if (!has_behavior())
      return; // quit(): cleanup answers the rest.
  }
  wake();
}

void bounded_actor::process(caf::mailbox_element& what) {
  const auto token = ensure_lease(what);
  if (const auto* c = call_of(what.content())) {
    if (drop_before_work(*c))
      return;
    // Answers go through the lease; CAF must not add one of its own.
    what.mid.mark_as_answered();
  }
  passed_on_ = false;
  try {
    event_based_actor::consume(what);
  } catch (...) {
    kind_.metrics.failed.inc();
    if (token && !token->is_held())
      token->fail(
        failure{errc::actor_failed, std::string{name()} + " failed while handling the call"});
    throw;
  }
  kind_.metrics.processed.inc();
  if (token && !passed_on_ && !token->is_held() && !token->is_settled())
    token->fail(failure{errc::actor_failed, std::string{name()} + " did not answer the call"});
}

bool bounded_actor::drop_before_work(const call& c) {
  if (c.lease && c.lease->is_settled()) {
    kind_.metrics.cancelled.inc();
    return true;
  }
  if (c.context.deadline != time_point::max() && c.context.expired(now())) {
    kind_.metrics.expired.inc();
    refuse(c,
           failure{errc::deadline_exceeded, "the deadline passed while waiting for " + kind_.name});
    return true;
  }
  return false;
}

bool bounded_actor::consume_control(caf::mailbox_element& what) {
  auto& content = what.content();
  if (content.size() != 1)
    return false;
  if (content.match_element<timer_notice>(0)) {
    timer_fired(content.get_as<timer_notice>(0).key);
    return true;
  }
  if (content.match_element<cancel_notice>(0)) {
    call_cancelled(content.get_as<cancel_notice>(0).key);
    return true;
  }
  if (content.match_element<credit_notice>(0)) {
    credit_granted(content.get_as<credit_notice>(0));
    return true;
  }
  return false;
}

// -- asking ---------------------------------------------------------------------------------------

bounded_actor::opened_request bounded_actor::open_request(const caf::actor& to,
                                                          const skep::context& context,
                                                          answer_handler handler,
                                                          std::uint64_t window) {
  const auto refuse_now = [&](errc code, const char* detail) {
    answer last;
    last.why = failure{code, detail};
    handler(last);
    return opened_request{};
  };
  if (!to)
    return refuse_now(errc::not_found, "there is nobody to ask");
  if (context.expired(now()))
    return refuse_now(errc::deadline_exceeded, "the deadline passed before the request was sent");
  opened_request opened;
  opened.mid = new_request_id(caf::message_priority::normal);
  opened.key = opened.mid.request_id().integer_value();
  opened.token = caf::make_counted<lease>(ctrl_ptr(), opened.mid, window);
  timer_handle deadline = 0;
  if (context.deadline != time_point::max())
    deadline = env_.timers().set(context.deadline, ctrl_ptr(), opened.key | deadline_flag);
  requests_.emplace(opened.key, open_entry{opened.token, std::move(handler), deadline});
  return opened;
}

void bounded_actor::consume_answer(caf::mailbox_element& what) {
  const auto key = what.mid.request_id().integer_value();
  const auto& content = what.content();
  answer got;
  got.content = &content;
  if (content.size() == 1 && content.match_element<caf::error>(0)) {
    got.why = from_caf_error(content.get_as<caf::error>(0));
  } else if (content.size() == 2 && content.match_element<stream_phase>(0)) {
    const auto phase = content.get_as<stream_phase>(0);
    got.what = phase == stream_phase::open    ? answer::kind::open
               : phase == stream_phase::chunk ? answer::kind::chunk
                                              : answer::kind::end;
    got.position = 1;
  } else {
    got.what = answer::kind::reply;
  }
  if (got.last()) {
    finish_request(key, got);
    return;
  }
  // The deadline is for the answer to begin; from then on it lives as long as it moves, and who
  // writes it and who reads it bound its standing still.
  auto& entry = requests_.find(key)->second;
  env_.timers().cancel(std::exchange(entry.deadline, 0));
  // The entry may go, or move, while its handler runs.
  auto handler = std::move(entry.handler);
  handler(got);
  if (const auto left = requests_.find(key); left != requests_.end())
    left->second.handler = std::move(handler);
}

void bounded_actor::finish_request(request_key key, const answer& last) {
  auto entry = requests_.extract(key);
  if (entry.empty())
    return;
  env_.timers().cancel(entry.mapped().deadline);
  // Nobody listens any more, whoever ended it.
  entry.mapped().token->cancel();
  entry.mapped().handler(last);
}

void bounded_actor::give_up(request_key key) {
  auto entry = requests_.extract(key);
  if (entry.empty())
    return;
  env_.timers().cancel(entry.mapped().deadline);
  entry.mapped().token->cancel();
}

void bounded_actor::grant(request_key key, std::uint64_t bytes) {
  if (const auto entry = requests_.find(key); entry != requests_.end())
    entry->second.token->grant(bytes);
}

// -- answering ------------------------------------------------------------------------------------

responder bounded_actor::take(const call& c, bool relay) {
  if (!c.lease)
    return {};
  const auto key = ++last_key_;
  if (!c.lease->hold(ctrl_ptr(), key, relay))
    return {};
  held_.emplace(key, held_call{c.lease, nullptr, nullptr});
  return responder{*this, c.lease, key};
}

void bounded_actor::call_cancelled(std::uint64_t key) {
  auto entry = held_.extract(key);
  if (!entry.empty() && entry.mapped().on_cancel)
    entry.mapped().on_cancel();
}

void bounded_actor::credit_granted(const credit_notice& notice) {
  const auto entry = held_.find(notice.key);
  if (entry == held_.end() || !entry->second.on_credit)
    return;
  // The entry may go, or move, while the function runs.
  auto resume = std::move(entry->second.on_credit);
  resume(notice.bytes);
  if (const auto again = held_.find(notice.key); again != held_.end() && !again->second.on_credit)
    again->second.on_credit = std::move(resume);
}

// -- time -----------------------------------------------------------------------------------------

std::uint64_t bounded_actor::after(duration delay, std::function<void()> fn) {
  const auto key = ++last_key_;
  const auto timer = env_.timers().set(now() + delay, ctrl_ptr(), key);
  timers_.emplace(key, timer_entry{timer, std::move(fn)});
  return key;
}

void bounded_actor::cancel_timer(std::uint64_t key) {
  auto entry = timers_.extract(key);
  if (!entry.empty())
    env_.timers().cancel(entry.mapped().timer);
}

void bounded_actor::timer_fired(std::uint64_t key) {
  if ((key & deadline_flag) != 0) {
    // Timers overtake answers: one that a busy actor has not looked at yet came in time.
    const auto asked = requests_.find(key & ~deadline_flag);
    if (asked != requests_.end() && asked->second.token->is_answered())
      return;
    answer last;
    last.why = failure{errc::deadline_exceeded, "no answer within the deadline"};
    finish_request(key & ~deadline_flag, last);
    return;
  }
  auto entry = timers_.extract(key);
  if (!entry.empty())
    entry.mapped().fn();
}

// -- responder ------------------------------------------------------------------------------------

responder::responder(bounded_actor& owner, lease_ptr token, std::uint64_t key)
  : owner_(&owner), token_(std::move(token)), key_(key) {}

responder::responder(responder&& other) noexcept
  : owner_(other.owner_), token_(std::move(other.token_)), key_(other.key_) {
  other.token_ = nullptr;
}

responder& responder::operator=(responder&& other) noexcept {
  if (this != &other) {
    fail(failure{errc::actor_failed, "the call was dropped without an answer"});
    owner_ = other.owner_;
    token_ = std::move(other.token_);
    other.token_ = nullptr;
    key_ = other.key_;
  }
  return *this;
}

responder::~responder() {
  fail(failure{errc::actor_failed, "the call was dropped without an answer"});
}

responder::operator bool() const {
  return token_ && !token_->is_settled();
}

lease_ptr responder::release() {
  if (token_)
    owner_->held_.erase(key_);
  return std::exchange(token_, nullptr);
}

void responder::on_cancel(std::function<void()> fn) {
  if (!token_)
    return;
  if (const auto entry = owner_->held_.find(key_); entry != owner_->held_.end())
    entry->second.on_cancel = std::move(fn);
}

void responder::on_credit(std::function<void(std::uint64_t bytes)> fn) {
  if (!token_)
    return;
  if (const auto entry = owner_->held_.find(key_); entry != owner_->held_.end())
    entry->second.on_credit = std::move(fn);
}

} // namespace skep::rt
