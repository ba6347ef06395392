#pragma once

#include "runtime/actor/bounded_actor.hpp"
#include "runtime/actor/call_places.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/base/spinlock.hpp"
#include "runtime/node/pool_options.hpp"
#include "runtime/telemetry/window_ring.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// What a pool did and holds.
struct pool_stats {
  std::uint32_t size = 0;
  std::uint32_t idle = 0;
  std::uint64_t checkouts = 0;
  std::uint64_t spawned = 0;
  std::uint64_t evicted = 0;
  std::uint64_t discarded = 0;
  std::uint64_t refused = 0;
  /// Calls without an instance of their own.
  std::uint32_t overflow = 0;
  /// The most instances at work at once in the last five minutes.
  std::uint32_t busy_peak = 0;
};

/// The most instances that were at work at once in a stretch of time.
struct pool_peak {
  std::uint32_t busy = 0;
  void merge(const pool_peak& other) {
    busy = std::max(busy, other.busy);
  }
};

/// A balancer over interchangeable instances of one agent. Checkout happens on the sender's thread
/// inside enqueue: an idle instance (the most recently used, whose memory is warm) or a fresh one
/// gets the call and is back when the call's lease is settled, or as soon as somebody else's work
/// answers the call. Beyond size_max calls are let in to instances that have one already, as many
/// as overflow_max, until they claim a place of their own. The pool supervises its instances as a
/// set: one that failed is ended and replaced by the next checkout.
class pool : public rt::bounded_actor,
             public rt::settler,
             public rt::load_hint,
             public call_places {
public:
  /// `start` makes an instance; it is called on senders' threads, several at a time.
  pool(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
       std::string agent_name, pool_config bounds, std::function<caf::actor()> start);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void settled(const rt::outcome& how, std::uint64_t token) noexcept override;

  bool claim(const rt::lease& which) override;
  void leave(const rt::lease& which) override;
  failure no_place() const override;

  bool has_room() const noexcept override;
  /// From any thread.
  pool_stats stats() const;

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  struct instance {
    caf::actor who;
    time_point last_used{};
  };

  /// Which instance a call was given to, and whether it has that for itself.
  struct place {
    std::uint32_t slot = 0;
    bool own = true;
  };

  bool check_out(const rt::lease* which, place& at, caf::actor& who);
  std::optional<std::uint32_t> free_slot();
  bool overflow(place& at, caf::actor& who);
  caf::actor fill(std::uint32_t slot);
  void give_back(std::uint32_t slot, bool was_at_work = true);
  void discard(std::uint32_t slot);
  void note_peak(time_point at);
  void sweep();
  void schedule_sweep();

  const std::string agent_name_;
  const pool_config bounds_;
  const std::function<caf::actor()> start_;
  telemetry::counter& refusals_;
  std::vector<telemetry::registration> gauges_;

  mutable spinlock lock_; // Guards everything below.
  std::vector<instance> instances_;
  std::vector<std::uint32_t> idle_; // Back: most recently used.
  std::vector<std::uint32_t> vacant_;
  std::unordered_map<const rt::lease*, place> at_work_;
  std::size_t next_ = 0; // Whom the next call beyond size_max goes to.
  pool_stats stats_;
  telemetry::window_ring<pool_peak> peaks_{5min, 10};
  bool stopped_ = false;
};

} // namespace skep::actors
