#pragma once

// tidy: allow size, templates and the contract all admission hangs on

#include "messages/failure.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/spinlock.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/intrusive_ptr.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/ref_counted.hpp>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace skep::rt {

/// How a call ended, as those see it who admitted it.
struct outcome {
  errc code = errc::none;
  std::chrono::milliseconds retry_after{0};
  /// What the upstream took to begin its answer, as the holder noted it; zero: it noted nothing.
  duration latency{};
  /// False: the holder ended it by itself; how it ended says nothing about the upstream.
  bool asked = true;
};

/// Whoever admitted a call and wants to know how it ended: a guard, a balancer, a pool.
class settler {
public:
  /// Called exactly once per admission, on the thread that ended the call. Must not block.
  virtual void settled(const outcome& how, std::uint64_t token) noexcept = 0;

protected:
  ~settler() = default;
};

/// The part of a stream a response carries; stands before the payload.
enum class stream_phase : std::uint8_t { open, chunk, end };

/// To a call's holder: the caller gave up; stop working on it. Control.
struct cancel_notice {
  std::uint64_t key = 0;
};

/// To a call's holder: there is credit again after there was none; to a relay: every grant.
/// Control.
struct credit_notice {
  std::uint64_t key = 0;
  std::uint64_t bytes = 0;
};

/// The obligation to answer one call, from admission to its end; in-process only. It is settled
/// exactly once: by a reply, a stream's end, a failure, a cancel, or, when everybody dropped it, by
/// its destructor (errc::actor_failed). Breakers, limiters, in-flight counts and the books hang on
/// it. Thread-safe.
class lease : public caf::ref_counted {
public:
  /// `caller` gets the answers under `mid`'s response id; null when nobody waits. `window` is the
  /// credit in bytes a stream starts with.
  lease(caf::strong_actor_ptr caller, caf::message_id mid, std::uint64_t window);
  ~lease() override;

  // -- The holder's side: each returns false when the call was already settled --------------------

  template <class T>
  bool reply(T value) {
    return deliver(element(std::move(value)), ends::well);
  }
  template <class T>
  bool open(T value) {
    return deliver(element(stream_phase::open, std::move(value)), ends::not_yet);
  }
  /// `cost` in bytes is taken from the credit; it may go below zero by one chunk.
  template <class T>
  bool chunk(T value, std::size_t cost) {
    credit_.fetch_sub(static_cast<std::int64_t>(cost), std::memory_order_relaxed);
    return deliver(element(stream_phase::chunk, std::move(value)), ends::not_yet);
  }
  template <class T>
  bool end(T value) {
    return deliver(element(stream_phase::end, std::move(value)), ends::well);
  }
  bool fail(const failure& why);

  /// For code that carries payloads it does not know (the wire): `what` must be made with mid().
  bool deliver_raw(caf::mailbox_element_ptr what, bool last);

  /// From now on cancel and credit notices go to `holder` with `key`. A relay (the wire) hears of
  /// every grant, a producer only of credit after there was none. False when already settled.
  bool hold(caf::strong_actor_ptr holder, std::uint64_t key, bool relay = false);

  /// Bytes the producer may still send; at or below zero it must pause.
  std::int64_t credit() const {
    return credit_.load(std::memory_order_acquire);
  }
  std::uint64_t window() const {
    return window_;
  }

  /// The upstream's own latency, for those who admitted the call: they cannot tell it from the time
  /// the caller took to read. The last one noted counts.
  void note_latency(duration latency) {
    latency_.store(latency.count(), std::memory_order_relaxed);
  }

  /// The holder is about to end the call by a code that might as well be the upstream's, but it is
  /// ours (a rate limit) or its caller's (who waits no longer): nobody shall learn from it.
  void note_not_asked() {
    asked_.store(false, std::memory_order_relaxed);
  }

  // -- The caller's side --------------------------------------------------------------------------

  /// Settles as cancelled, sends the caller nothing, tells the holder.
  void cancel();
  /// Grants a stream more bytes; wakes a producer that had none.
  void grant(std::uint64_t bytes);

  // -- Admission ----------------------------------------------------------------------------------

  /// Calls `who` when the call ends; `keep` keeps it alive until then. False when already settled.
  bool on_settled(caf::strong_actor_ptr keep, settler& who, std::uint64_t token);

  bool is_settled() const {
    return settled_.load(std::memory_order_acquire);
  }
  /// The caller has been sent an answer, or the beginning of one; it may still lie in its mailbox.
  bool is_answered() const {
    return answered_.load(std::memory_order_acquire);
  }
  bool is_held() const {
    return held_.load(std::memory_order_acquire);
  }
  /// The id of answers.
  caf::message_id response_id() const {
    return mid_.response_id();
  }

  caf::message_id request_id() const {
    return mid_;
  }
  /// Who waits for the answers; null when settled.
  caf::strong_actor_ptr caller() const;

private:
  struct admission {
    caf::strong_actor_ptr keep;
    settler* who = nullptr;
    std::uint64_t token = 0;
  };
  enum class ends { not_yet, well };

  template <class... Ts>
  caf::mailbox_element_ptr element(Ts&&... values) {
    return caf::make_mailbox_element(nullptr, mid_.response_id(), {}, std::forward<Ts>(values)...);
  }
  bool deliver(caf::mailbox_element_ptr what, ends how);
  bool settle(outcome how, caf::mailbox_element_ptr answer, bool tell_holder);

  // Most calls pass a balancer and a guard; more admissions go to the vector.
  std::array<admission, 2> admissions_;
  std::vector<admission> more_admissions_;
  caf::strong_actor_ptr caller_;
  caf::strong_actor_ptr holder_;
  std::uint64_t key_ = 0;
  bool relay_ = false;
  std::atomic<bool> asked_{true};
  const caf::message_id mid_;
  const std::uint64_t window_;
  std::atomic<std::int64_t> credit_;
  std::atomic<duration::rep> latency_{0};
  std::atomic<bool> settled_{false};
  std::atomic<bool> answered_{false};
  std::atomic<bool> held_{false};
  mutable spinlock
    lock_; // Guards everything above that is neither const nor atomic, and settled_'s change.
};

using lease_ptr = caf::intrusive_ptr<lease>;

} // namespace skep::rt
