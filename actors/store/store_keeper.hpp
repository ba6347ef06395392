#pragma once

#include "messages/store.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/store/durable_store.hpp"

#include <memory>
#include <unordered_map>
#include <variant>

namespace skep::actors {

/// `[store]`, for the actor.
struct store_keeper_config {
  /// A call takes no longer, whatever its caller's deadline.
  std::chrono::milliseconds timeout{5'000};
  /// Between looks for expired entries, once there are no more.
  std::chrono::milliseconds sweep_interval{30'000};
  /// Expired entries removed in one step.
  std::size_t sweep_max = 256;
};

/// What the store brought.
using store_answer
  = std::variant<std::monostate, msg::store_put_reply, msg::store_get_reply, msg::store_scan_reply>;

/// To the actor: how a call of the store ended; without a job: look for expired entries, of which
/// `swept` went the last time. In-process control: at most as many are under way as the store
/// takes calls.
struct store_event {
  std::uint64_t job = 0;
  expected<store_answer> result = store_answer{};
  std::size_t swept = 0;
};

/// "store": the node's durable store as an actor, so that other nodes reach it, too. Spawned by its
/// supervisor behind a guard with a breaker; the store itself belongs to the role and outlives its
/// restarts. Serves store_put_request, store_get_request, store_erase_request and
/// store_scan_request (messages/store.hpp), in the order they come. Sweeps expired entries in small
/// steps, so that no call waits long for it; the first store_event it is sent starts that.
class store_keeper : public rt::bounded_actor {
public:
  store_keeper(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
               store_keeper_config rules, std::shared_ptr<store::durable_store> store);

protected:
  caf::behavior make_behavior() override;

private:
  void put(const rt::call& c, const msg::store_put_request& request);
  void get(const rt::call& c, const msg::store_get_request& request);
  void erase(const rt::call& c, const msg::store_erase_request& request);
  void scan(const rt::call& c, const msg::store_scan_request& request);
  duration time_for(const rt::call& c) const;
  /// What the store calls when a job is done: hands the result to this actor as `make` shapes it.
  template <class T, class Make>
  store::durable_callback<T> hearing(const rt::call& c, Make make);
  void ended(const store_event& event);
  void sweep();
  void swept(std::size_t count);

  const store_keeper_config rules_;
  const std::shared_ptr<store::durable_store> store_;
  std::unordered_map<std::uint64_t, rt::responder> jobs_;
  std::uint64_t last_id_ = 0;
  bool sweeping_ = false;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::store_event)
