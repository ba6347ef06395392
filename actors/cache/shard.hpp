#pragma once

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
};

/// One shard of the response cache: owns its keys, shares nothing. Spawned by its supervisor; what
/// it held is gone after a restart, which costs time and money but no answer. Serves
/// cache_get_request, cache_put_request and cache_clear_request (messages/cache.hpp).
class cache_shard : public rt::bounded_actor {
public:
  cache_shard(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
              std::string shard_name, cache_shard_config bounds);

protected:
  caf::behavior make_behavior() override;

private:
  void get(const rt::call& c, const msg::cache_get_request& request);
  void put(const msg::cache_put_request& request);
  void clear(const rt::call& c, const msg::cache_clear_request& request);
  void schedule_expiry();
  void show();

  const cache_shard_config bounds_;
  store::response_store store_;
  store::store_stats shown_;
  telemetry::counter& hits_;
  telemetry::counter& misses_;
  telemetry::counter& stored_;
  telemetry::counter& evicted_;
  telemetry::counter& expired_;
  telemetry::counter& refused_;
  telemetry::gauge& entries_;
  telemetry::gauge& bytes_;
};

} // namespace skep::actors
