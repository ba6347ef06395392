#include "runtime/actor/lease.hpp"

#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"

#include <caf/abstract_actor.hpp>

#include <mutex>

namespace skep::rt {

namespace {

template <class Notice>
void notify(const caf::strong_actor_ptr& to, Notice notice) {
  if (to)
    to->enqueue(caf::make_mailbox_element(
                  nullptr, caf::make_message_id(caf::message_priority::high), {}, notice),
                nullptr);
}

} // namespace

lease::lease(caf::strong_actor_ptr caller, caf::message_id mid, std::uint64_t window)
  : caller_(std::move(caller)), mid_(mid), window_(window),
    credit_(static_cast<std::int64_t>(window)) {}

lease::~lease() {
  if (!is_settled())
    fail(failure{errc::actor_failed, "the call was dropped without an answer"});
}

bool lease::fail(const failure& why) {
  return settle({why.code, why.retry_after}, element(to_caf_error(why)), false);
}

bool lease::deliver_raw(caf::mailbox_element_ptr what, bool last) {
  return deliver(std::move(what), last ? ends::well : ends::not_yet);
}

bool lease::deliver(caf::mailbox_element_ptr what, ends how) {
  if (how == ends::well)
    return settle({}, std::move(what), false);
  caf::strong_actor_ptr to;
  {
    std::lock_guard guard{lock_};
    if (is_settled())
      return false;
    to = caller_;
    answered_.store(true, std::memory_order_release);
  }
  if (to)
    to->enqueue(std::move(what), nullptr);
  return true;
}

bool lease::hold(caf::strong_actor_ptr holder, std::uint64_t key, bool relay) {
  std::lock_guard guard{lock_};
  if (is_settled())
    return false;
  holder_ = std::move(holder);
  key_ = key;
  relay_ = relay;
  held_.store(true, std::memory_order_release);
  return true;
}

caf::strong_actor_ptr lease::caller() const {
  std::lock_guard guard{lock_};
  return caller_;
}

void lease::cancel() {
  settle({errc::cancelled, {}}, nullptr, true);
}

void lease::grant(std::uint64_t bytes) {
  const auto more = static_cast<std::int64_t>(bytes);
  const auto before = credit_.fetch_add(more, std::memory_order_acq_rel);
  const bool resumes = before <= 0 && before + more > 0;
  caf::strong_actor_ptr to;
  credit_notice notice;
  {
    std::lock_guard guard{lock_};
    if (resumes || relay_)
      to = holder_;
    notice = {key_, bytes};
  }
  notify(to, notice);
}

bool lease::on_settled(caf::strong_actor_ptr keep, settler& who, std::uint64_t token) {
  std::lock_guard guard{lock_};
  if (is_settled())
    return false;
  for (auto& slot : admissions_) {
    if (slot.who == nullptr) {
      slot = {std::move(keep), &who, token};
      return true;
    }
  }
  more_admissions_.push_back({std::move(keep), &who, token});
  return true;
}

bool lease::settle(outcome how, caf::mailbox_element_ptr answer, bool tell_holder) {
  // Everything is moved out first: the last references may go away below, outside the lock.
  caf::strong_actor_ptr caller;
  caf::strong_actor_ptr holder;
  cancel_notice notice;
  std::array<admission, 2> admissions;
  std::vector<admission> more;
  {
    std::lock_guard guard{lock_};
    if (is_settled())
      return false;
    settled_.store(true, std::memory_order_release);
    if (answer)
      answered_.store(true, std::memory_order_release);
    caller.swap(caller_);
    holder.swap(holder_);
    notice.key = key_;
    std::swap(admissions, admissions_);
    more.swap(more_admissions_);
  }
  how.latency = duration{latency_.load(std::memory_order_relaxed)};
  how.asked = asked_.load(std::memory_order_relaxed);
  // The books first: who gets the answer may count on them.
  for (const auto& each : more)
    each.who->settled(how, each.token);
  for (auto each = admissions.rbegin(); each != admissions.rend(); ++each)
    if (each->who != nullptr)
      each->who->settled(how, each->token);
  if (tell_holder)
    notify(holder, notice);
  else if (caller && answer)
    caller->enqueue(std::move(answer), nullptr);
  return true;
}

lease_ptr ensure_lease(caf::mailbox_element& what) {
  auto& content = what.content();
  const auto* c = call_of(content);
  if (c == nullptr)
    return nullptr;
  if (c->lease == nullptr && what.mid.is_request()) {
    auto& mine = content.get_mutable_as<call>(0);
    mine.lease = caf::make_counted<lease>(what.sender, what.mid, 0);
    return mine.lease;
  }
  return c->lease;
}

} // namespace skep::rt
