#pragma once

#include "messages/context.hpp"
#include "messages/message.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/base/expected.hpp"

#include <caf/actor.hpp>
#include <caf/type_erased_value.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skep::rt {

class bounded_actor;
struct answer;
struct actor_kind;

/// Everything one request brought, in order.
class answers {
public:
  struct one {
    int kind = 0; // An answer::kind.
    failure why;
    caf::type_erased_value_ptr payload;
  };

  void add(const answer& got);
  std::size_t size() const {
    return all_.size();
  }
  /// The last answer came.
  bool complete() const {
    return complete_;
  }
  /// Exactly how many times an end was announced; more than one is a broken promise.
  int ends() const {
    return ends_;
  }
  /// Why it failed; errc::none when it did not.
  failure why() const;
  /// The words reply, open, chunk, end, failed, in the order they came: "open chunk chunk end".
  std::string story() const;
  /// The n-th payload, null when it is not a T.
  template <class T>
  const T* get(std::size_t n) const {
    return n < all_.size() ? cast<T>(all_[n].payload) : nullptr;
  }
  /// The last payload, null when it is not a T.
  template <class T>
  const T* last() const {
    return all_.empty() ? nullptr : cast<T>(all_.back().payload);
  }

private:
  template <class T>
  static const T* cast(const caf::type_erased_value_ptr& value) {
    const bool fits = value && value->matches(caf::type_nr<T>::value, &typeid(T));
    return fits ? static_cast<const T*>(value->get()) : nullptr;
  }

  std::vector<one> all_;
  bool complete_ = false;
  int ends_ = 0;
};

/// An actor system that moves only when the test says so: one thread, a virtual clock, CAF's test
/// coordinator. With `force_wire` every spawned actor is reached through codec and sockets.
class test_system {
public:
  enum class hops { native, force_wire };

  explicit test_system(hops how = hops::native);
  test_system(const test_system&) = delete;
  test_system& operator=(const test_system&) = delete;
  /// Ends every actor: two that hold each other's handles would hang the system's destructor.
  ~test_system();

  environment& env();
  time_point now() const;
  /// A kind of actor for tests, registered under `name` with these bounds.
  const actor_kind& kind(const std::string& name, std::uint32_t messages_max = 1024,
                         std::size_t bytes_max = 1u << 20);

  /// Spawns A(config, env, args…) and gives the handle others reach it by.
  template <class A, class... Ts>
  caf::actor spawn(Ts&&... args) {
    return adopt(env().spawn<A>(std::forward<Ts>(args)...));
  }
  /// Takes over somebody else's actor: killed at the end; gives the handle others reach it by.
  caf::actor adopt(caf::actor who);

  /// Runs until every actor is idle.
  void run();
  /// Moves the clock, firing timers in order, and runs in between.
  void advance(duration by);

  /// A context with this much time left.
  skep::context context(duration deadline = 10s) const;

  /// Sends a request and runs; the answers so far and those to come are in the result.
  template <message T>
  std::shared_ptr<answers> ask(const caf::actor& to, T payload, skep::context context,
                               std::uint64_t window = 0);
  template <message T>
  std::shared_ptr<answers> ask(const caf::actor& to, T payload) {
    return ask(to, std::move(payload), context());
  }
  /// Sends a request whose answer is one R; runs and returns it. Unanswered is a failure, too.
  template <message R, message T>
  expected<R> ask_for(const caf::actor& to, T payload) {
    auto got = ask(to, std::move(payload));
    if (const auto* value = got->template last<R>())
      return *value;
    return got->complete() ? fail(got->why()) : fail(errc::none, "not answered yet");
  }
  /// Sends what nobody answers, then runs.
  template <message T>
  void tell(const caf::actor& to, T payload);

  /// Gives up or grants credit to a request made with ask().
  void give_up(const std::shared_ptr<answers>& request);
  void grant(const std::shared_ptr<answers>& request, std::uint64_t bytes);

  /// Ends an actor as a crash would, then runs.
  void kill(const caf::actor& who);

private:
  struct impl;
  bounded_actor& prober();
  std::function<void(const answer&)> recorder(const std::shared_ptr<answers>& into);
  void remember(const std::shared_ptr<answers>& request, std::uint64_t key);

  std::unique_ptr<impl> impl_;
};

} // namespace skep::rt

#include "runtime/testing/test_system_ask.hpp"
