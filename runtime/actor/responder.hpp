#pragma once

#include "messages/failure.hpp"
#include "messages/message.hpp"
#include "messages/size.hpp"
#include "runtime/actor/lease.hpp"

#include <cstdint>
#include <functional>
#include <utility>

namespace skep::rt {

class bounded_actor;

/// A call an actor has taken on, with what to do when its caller gives up or grants credit.
struct held_call {
  lease_ptr token;
  std::function<void()> on_cancel;
  std::function<void(std::uint64_t bytes)> on_credit;
};

/// The answer an actor owes: one reply, one stream or one failure. Dropped without any of them, it
/// fails the call with errc::actor_failed. Lives in the state of the actor that took it.
class responder {
public:
  responder() = default;
  responder(bounded_actor& owner, lease_ptr token, std::uint64_t key);
  responder(responder&& other) noexcept;
  responder& operator=(responder&& other) noexcept;
  ~responder();

  /// Still owed; false once answered, cancelled or moved from.
  explicit operator bool() const;

  template <message T>
  void reply(T value) {
    if (auto token = release())
      token->reply(std::move(value));
  }
  void fail(const failure& why) {
    if (auto token = release())
      token->fail(why);
  }
  template <message T>
  bool open(T value) {
    return token_ && token_->open(std::move(value));
  }
  /// False when the caller is gone. Check credit() first: a producer without credit pauses.
  template <message T>
  bool chunk(T value) {
    const auto bytes = bytes_of(value);
    return token_ && token_->chunk(std::move(value), bytes);
  }
  template <message T>
  void end(T value) {
    if (auto token = release())
      token->end(std::move(value));
  }

  /// What the upstream took to begin its answer (lease::note_latency).
  void note_latency(duration latency) {
    if (token_)
      token_->note_latency(latency);
  }
  void note_not_asked() {
    if (token_)
      token_->note_not_asked();
  }

  /// Bytes the caller still takes.
  std::int64_t credit() const {
    return token_ ? token_->credit() : 0;
  }
  /// The credit the stream began with.
  std::uint64_t window() const {
    return token_ ? token_->window() : 0;
  }

  /// Called when the caller gave up; the responder is no longer owed then.
  void on_cancel(std::function<void()> fn);
  /// Called when there is credit again after there was none; on a relayed call, with every grant.
  void on_credit(std::function<void(std::uint64_t bytes)> fn);

private:
  lease_ptr release();

  bounded_actor* owner_ = nullptr;
  lease_ptr token_;
  std::uint64_t key_ = 0;
};

} // namespace skep::rt
