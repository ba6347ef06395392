#pragma once

#include "actors/cache/handover.hpp"
#include "actors/cache/lease_table.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/store/response_store.hpp"

namespace skep::actors {

/// `[cache]`, for one shard.
struct cache_shard_config {
  store::store_config store;
  /// For answers that name none.
  std::chrono::milliseconds ttl{3'600'000};
  /// Beyond this many keys being produced at once, callers get no leases.
  std::size_t leases_max = 65'536;
  /// Asked before a key is a miss; speaks this header's messages. Null: there is none.
  caf::actor second_level;
  /// The longest it is waited for.
  duration second_level_timeout = 50ms;
  /// Gets that wait for it; further ones go on without.
  std::size_t second_level_waits_max = 4096;
};

/// One shard of the response cache: owns its keys, shares nothing. Spawned by its supervisor; what
/// it held is gone after a restart, which costs time and money but no answer. Grants the leases of
/// its keys, asks the second level before it says that there is nothing. Serves cache_get_request,
/// cache_put_request, cache_release_request, cache_clear_request and cache_fill_request
/// (messages/cache.hpp); on a handover_order it sends the entries of some slots to other nodes.
class cache_shard : public rt::bounded_actor {
public:
  cache_shard(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
              std::string shard_name, cache_shard_config bounds);

protected:
  caf::behavior make_behavior() override;

private:
  struct meters {
    meters(telemetry::registry& metrics, const std::string& shard);

    telemetry::counter& hits;
    telemetry::counter& misses;
    telemetry::counter& stored;
    telemetry::counter& evicted;
    telemetry::counter& expired;
    telemetry::counter& refused;
    telemetry::counter& handed_over;
    telemetry::counter& given_up;
    telemetry::counter& filled;
    telemetry::counter& leases_granted;
    telemetry::counter& leases_waited;
    telemetry::counter& leases_lost;
    telemetry::counter& leases_expired;
    telemetry::counter& leases_refused;
    telemetry::counter& second_hits;
    telemetry::counter& second_misses;
    telemetry::counter& second_failures;
    telemetry::counter& second_refused;
    telemetry::gauge& second_waits;
    telemetry::gauge& leases;
    telemetry::gauge& entries;
    telemetry::gauge& refusals;
    telemetry::gauge& bytes;
    telemetry::counter& plain_bytes;
    telemetry::counter& packed_bytes;
  };
  /// One node this shard hands entries to; one batch is on its way at a time.
  struct giving {
    caf::actor to;
    handover_stream entries;
    std::uint32_t failures = 0;
    std::uint32_t refusals = 0;
    bool done = false;
  };
  /// A get that waits for the second level.
  struct waiter {
    rt::responder out;
    msg::cache_get_request request;
  };

  void get(const rt::call& c, const msg::cache_get_request& request);
  msg::cache_get_reply serve(const msg::cache_get_request& request,
                             const store::response_store::found& found);
  expected<msg::cache_get_reply> without_value(const msg::cache_get_request& request);
  void put(const msg::cache_put_request& request);
  void clear(const rt::call& c, const msg::cache_clear_request& request);

  // The second level (shard_second_level.cpp).
  bool ask_second_level(const rt::call& c, const msg::cache_get_request& request);
  void second_level_answered(const store::key128& key, const rt::answer& got);
  bool keep(const store::key128& key, const msg::cache_get_reply& reply);

  // Hand-over (shard_handover.cpp).
  void fill(const rt::call& c, const msg::cache_fill_request& request);
  void begin_handover(const handover_order& order);
  void send_batch(std::size_t to);
  void batch_answered(std::size_t to, std::size_t entries, const rt::answer& got);
  void end_giving(std::size_t to);
  void end_handover();
  void drop_foreign(const slot_set& owned);

  void schedule_expiry();
  void show();

  const cache_shard_config bounds_;
  store::response_store store_;
  store::store_stats shown_;
  lease_table leases_;
  lease_stats leases_shown_;
  meters meters_;
  recent_clears cleared_;
  /// Gets by key, each asked for once at the second level.
  std::unordered_map<store::key128, std::vector<waiter>, store::key128_hash> waiting_;
  std::size_t waits_ = 0;                     // All in waiting_.
  std::shared_ptr<const handover_plan> plan_; // Null when nothing is handed over.
  std::vector<giving> givings_;
  std::uint64_t handover_ = 0; // Counts them, so that answers to an older one are known.
  std::uint64_t drop_timer_ = 0;
};

} // namespace skep::actors
