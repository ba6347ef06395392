#include "actors/cache/shard.hpp"

#include "messages/core.hpp"

namespace skep::actors {

namespace {

// How often a quiet shard frees what is no longer fresh.
constexpr duration expiry_pause = 1s;

store::key128 key_of(const msg::cache_key& key) {
  return {key.high, key.low};
}

std::uint32_t in_seconds(duration d) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

telemetry::counter& count(rt::environment& env, const std::string& shard, const char* name,
                          const char* help) {
  return env.metrics().counter(name, help, {{"shard", shard}});
}

} // namespace

cache_shard::cache_shard(caf::actor_config& config, rt::environment& env,
                         const rt::actor_kind& kind, std::string shard_name,
                         cache_shard_config bounds)
  : bounded_actor(config, env, kind), bounds_(bounds), store_(bounds.store, now()),
    hits_(count(env, shard_name, "skep_cache_hits_total", "Lookups that found an answer.")),
    misses_(count(env, shard_name, "skep_cache_misses_total", "Lookups that found none.")),
    stored_(count(env, shard_name, "skep_cache_stored_total", "Answers kept.")),
    evicted_(count(env, shard_name, "skep_cache_evicted_total", "Answers that made room.")),
    expired_(count(env, shard_name, "skep_cache_expired_total", "Answers no longer fresh.")),
    refused_(count(env, shard_name, "skep_cache_refused_total",
                   "Answers too large for the cache's bounds.")),
    entries_(env.metrics().gauge("skep_cache_entries", "Answers held.", {{"shard", shard_name}})),
    bytes_(env.metrics().gauge("skep_cache_bytes", "Bytes held, overhead included.",
                               {{"shard", shard_name}})) {}

caf::behavior cache_shard::make_behavior() {
  schedule_expiry();
  return {
    [this](const rt::call& c, const msg::cache_get_request& request) { get(c, request); },
    [this](const rt::call&, const msg::cache_put_request& request) { put(request); },
    [this](const rt::call& c, const msg::cache_clear_request& request) { clear(c, request); },
  };
}

void cache_shard::get(const rt::call& c, const msg::cache_get_request& request) {
  const auto found
    = store_.get(key_of(request.key), now(), std::chrono::seconds{request.age_max_s});
  show();
  if (!found) {
    refuse(c, failure{errc::cache_miss});
    return;
  }
  reply(c, msg::cache_get_reply{*found->value, in_seconds(found->age), in_seconds(found->left)});
}

void cache_shard::put(const msg::cache_put_request& request) {
  const std::chrono::milliseconds asked{request.ttl_ms};
  store_.put(key_of(request.key), request.value, asked.count() > 0 ? asked : bounds_.ttl, now());
  show();
}

void cache_shard::clear(const rt::call& c, const msg::cache_clear_request& request) {
  if (request.all)
    store_.clear();
  else
    store_.erase(key_of(request.key));
  show();
  reply(c, msg::ack{});
}

void cache_shard::schedule_expiry() {
  after(expiry_pause, [this] {
    store_.expire(now());
    show();
    schedule_expiry();
  });
}

void cache_shard::show() {
  const auto is = store_.stats();
  hits_.add(is.hits - shown_.hits);
  misses_.add(is.misses - shown_.misses);
  stored_.add(is.stored - shown_.stored);
  evicted_.add(is.evicted - shown_.evicted);
  expired_.add(is.expired - shown_.expired);
  refused_.add(is.refused - shown_.refused);
  entries_.set(static_cast<std::int64_t>(is.entries));
  bytes_.set(static_cast<std::int64_t>(is.bytes));
  shown_ = is;
}

} // namespace skep::actors
