#pragma once

// tidy: allow size, one actor whose lookups, clears and watching share its state

#include "actors/cache/near_cache.hpp"
#include "actors/cache/slot_history.hpp"
#include "actors/cache/store.hpp"
#include "runtime/actor/bounded_actor.hpp"

namespace skep::actors {

/// `[cache]`, for the front.
struct cache_front_config {
  near_cache_config near;
  /// The longest another node is waited for, per node asked.
  duration remote_timeout = 100ms;
  /// How long after a change of owners the previous ones are still asked, and keep what they have.
  duration handover_keep = 30s;
  /// As the shards have it, for answers that name none.
  duration ttl = 1h;
  /// As the stores have it: which answers a caller that could renew them is sent to the owner for.
  double refresh_ahead = 0;
  /// Told of puts and clears; null: there is none.
  caf::actor second_level;
  /// Lookups that wait for shards or other nodes; further ones are refused as overload.
  std::size_t lookups_max = 4096;
};

/// To the front: the cluster has another state. Control; in-process only.
struct cluster_changed {
  rt::cluster_state_ptr state;
};

/// "cache": the cluster's cache as the agents of this node see it. What this node's shards answer
/// alone goes to them on the sender's thread; the rest waits in the front's mailbox: near-cache,
/// the slot's owners in turn, and, for a while after the owners changed, the previous ones. Leases
/// are granted by the first owner that can be reached; one won is held until the previous owners
/// have said that they have no value either. Puts go to every owner, and to the second level.
/// Without quorum every get is a miss and puts are dropped. Watches the cluster and tells the
/// shards what to hand over. Spawned by its supervisor, which must send it an ack for it to begin;
/// a restart costs the near-cache and what was being looked up. Serves cache_get_request,
/// cache_put_request, cache_release_request and cache_clear_request (messages/cache.hpp), the last
/// for all nodes.
class cache_front : public rt::bounded_actor {
public:
  cache_front(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
              rt::cluster_port& cluster, local_shards shards, cache_front_config rules,
              std::shared_ptr<handover_status> status);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  /// Where an answer was found; also the label of the metric.
  enum class place : std::uint8_t { local, near, remote, replica, previous };
  static constexpr std::size_t places = 5;

  struct meters {
    explicit meters(telemetry::registry& metrics);

    std::array<telemetry::counter*, places> found{};
    telemetry::counter& missed;
    telemetry::counter& failed;
    telemetry::counter& refused;
    telemetry::gauge& lookups;
    telemetry::counter& bypassed_gets;
    telemetry::counter& bypassed_puts;
    telemetry::gauge& near_entries;
    telemetry::gauge& near_bytes;
  };
  /// Whom to ask.
  struct source {
    place where = place::remote;
    std::uint64_t node = 0;
    /// Its miss is the owners' last word, and it may grant a lease.
    bool decides = true;
  };
  struct lookup {
    rt::responder out;
    skep::context context;
    msg::cache_get_request request;
    std::vector<source> sources;
    std::size_t at = 0;
    rt::request_key pending = 0;
    bool owner = false; // We own a copy, so the near-cache has no part in it.
    std::uint32_t change = 0;
    /// A lease without a value, while previous owners are asked for one.
    std::optional<msg::cache_get_reply> won;
    std::uint64_t winner = 0; // The node that granted it.
  };
  struct clearing {
    rt::responder out;
    skep::context context;
    msg::cache_clear_request request;
    bool everywhere = false;
    std::size_t waiting = 0;
  };
  using id = std::uint64_t;

  // On the sender's thread.
  bool pass(const msg::cache_get_request& get, caf::mailbox_element_ptr& what,
            caf::execution_unit* unit);
  bool pass(const msg::cache_put_request& put, caf::mailbox_element_ptr& what,
            caf::execution_unit* unit);
  bool pass(const msg::cache_release_request& release, caf::mailbox_element_ptr& what,
            caf::execution_unit* unit);
  bool alone(std::uint32_t slot, const rt::cluster_state& state) const;
  bool in_transition(std::uint32_t slot, const rt::cluster_state& state) const;

  // Looking up and writing (front_lookup.cpp).
  void get(const rt::call& c, const msg::cache_get_request& request);
  std::vector<source> sources_of(std::uint32_t slot, const rt::cluster_state& state) const;
  void ask_next(id which);
  void answered(id which, const rt::answer& got);
  bool serves(const lookup& l, const source& from, const msg::cache_get_reply& reply) const;
  bool due(const msg::cache_get_reply& reply) const;
  void found(id which, const source& from, msg::cache_get_reply reply);
  void put_back(const lookup& l, const msg::cache_get_reply& reply);
  void release(const lookup& l);
  skep::context outliving(skep::context context) const;
  void keep_near(const msg::cache_key& key, const msg::cache_get_reply& reply);
  void put(const rt::call& c, const msg::cache_put_request& request);
  void release(const rt::call& c, const msg::cache_release_request& request);

  // Clearing.
  void clear(const rt::call& c, const msg::cache_clear_request& request, bool everywhere);
  void clear_owners(id which);
  void ask_to_clear(const clearing& what, const caf::actor& where, std::function<void()> then);

  // Watching the cluster.
  void changed(const rt::cluster_state_ptr& state);
  rt::cluster_state_ptr newest();
  void order_handover(bool outdated);
  void publish();
  caf::actor store_of(std::uint64_t node);
  void forget_near();
  void forget_near(const msg::cache_key& key);
  void forget_near(const msg::cache_clear_request& what);
  void schedule_expiry();
  void show();

  rt::cluster_port& cluster_;
  const std::uint64_t self_;
  const local_shards shards_;
  const cache_front_config rules_;
  const std::shared_ptr<handover_status> status_;
  meters meters_;
  /// The slots that previous owners may have more of; written by the actor, read by senders.
  std::array<std::atomic<std::uint64_t>, flow::slot_map::slot_count / 64> moving_{};

  near_cache near_;
  slot_history history_;
  rt::cluster_port::subscription subscription_;
  std::unordered_map<std::uint64_t, caf::actor> stores_; // Of the present view's other members.
  std::unordered_map<id, lookup> lookups_;
  std::unordered_map<id, clearing> clearings_;
  id last_id_ = 0;
  /// Counts puts and clears by slot: an answer asked for before one must not enter the near-cache.
  std::array<std::uint32_t, flow::slot_map::slot_count> changes_{};
  /// While a clear is under way, a node it has not reached may still answer.
  recent_clears cleared_;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::cluster_changed)
