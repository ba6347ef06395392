#include "actors/cache/shard.hpp"

#include "actors/metric_names.hpp"
#include "messages/core.hpp"

#include <algorithm>
#include <random>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

// How often a quiet shard frees what is no longer fresh.
constexpr duration expiry_pause = 1s;

std::uint32_t in_seconds(duration d) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

// Ids of leases must differ between shards, nodes and restarts.
std::uint64_t random_seed() {
  std::random_device system;
  return std::uint64_t{system()} << 32 | system();
}

msg::cache_get_reply reply_of(const store::response_store::found& found) {
  msg::cache_get_reply made;
  made.value = *found.value;
  made.age_s = in_seconds(found.age);
  made.ttl_s = in_seconds(found.left);
  made.kind = found.kind;
  made.stale = found.stale;
  made.group = found.group;
  made.cost = found.cost;
  return made;
}

void tell_turn(msg::cache_get_reply& made, msg::cache_turn turn, const cache_lease& lease) {
  made.turn = static_cast<std::uint8_t>(turn);
  made.lease = lease.id;
  made.leader = lease.leader;
}

telemetry::counter& count(telemetry::registry& metrics, const std::string& shard, const char* name,
                          const char* help) {
  return metrics.counter(name, help, {{"shard", shard}});
}

telemetry::counter& count(telemetry::registry& metrics, const std::string& shard,
                          const telemetry::metric_info& what) {
  return metrics.counter(what.name, what.help, {{what.label, shard}});
}

telemetry::gauge& gauge(telemetry::registry& metrics, const std::string& shard,
                        const telemetry::metric_info& what) {
  return metrics.gauge(what.name, what.help, {{what.label, shard}});
}

telemetry::counter& second_level(telemetry::registry& metrics, const std::string& shard,
                                 const char* result) {
  return metrics.counter("skep_cache_second_level_total",
                         "What asking the second level brought; \"refused\": too many waited.",
                         {{"shard", shard}, {"result", result}});
}

} // namespace

cache_shard::meters::meters(telemetry::registry& metrics, const std::string& shard)
  : hits(count(metrics, shard, "skep_cache_hits_total", "Lookups that found an answer.")),
    misses(count(metrics, shard, "skep_cache_misses_total", "Lookups that found none.")),
    stored(count(metrics, shard, metric::cache_stored)),
    evicted(count(metrics, shard, metric::cache_evicted)),
    expired(count(metrics, shard, metric::cache_expired)),
    refused(count(metrics, shard, metric::cache_refused)),
    handed_over(count(metrics, shard, "skep_cache_handed_over_total",
                      "Answers given to the new owners of their slots.")),
    given_up(count(metrics, shard, "skep_cache_handover_given_up_total",
                   "New owners that could not be given everything.")),
    filled(count(metrics, shard, "skep_cache_filled_total",
                 "Answers taken over from the previous owners of their slots.")),
    leases_granted(count(metrics, shard, "skep_cache_leases_granted_total",
                         "Callers that won the right to produce an answer.")),
    leases_waited(count(metrics, shard, "skep_cache_leases_waited_total",
                        "Callers told that another one produces the answer.")),
    leases_lost(count(metrics, shard, "skep_cache_leases_lost_total",
                      "Leases whose holder a caller found gone.")),
    leases_expired(
      count(metrics, shard, "skep_cache_leases_expired_total", "Leases that ended by themselves.")),
    leases_refused(count(metrics, shard, "skep_cache_leases_refused_total",
                         "Callers that got no lease because there were too many.")),
    second_hits(second_level(metrics, shard, "hit")),
    second_misses(second_level(metrics, shard, "miss")),
    second_failures(second_level(metrics, shard, "failed")),
    second_refused(second_level(metrics, shard, "refused")),
    second_waits(metrics.gauge("skep_cache_second_level_waits",
                               "Lookups that wait for the second level.", {{"shard", shard}})),
    leases(gauge(metrics, shard, metric::cache_leases)),
    entries(gauge(metrics, shard, metric::cache_entries)),
    refusals(gauge(metrics, shard, metric::cache_refusals)),
    bytes(gauge(metrics, shard, metric::cache_bytes)),
    plain_bytes(count(metrics, shard, metric::cache_plain_bytes)),
    packed_bytes(count(metrics, shard, metric::cache_packed_bytes)) {}

cache_shard::cache_shard(caf::actor_config& config, rt::environment& env,
                         const rt::actor_kind& kind, std::string shard_name,
                         cache_shard_config bounds)
  : bounded_actor(config, env, kind), bounds_(std::move(bounds)), store_(bounds_.store, now()),
    leases_(bounds_.leases_max, random_seed(), now()), meters_(env.metrics(), shard_name) {}

caf::behavior cache_shard::make_behavior() {
  schedule_expiry();
  return {
    [this](const rt::call& c, const msg::cache_get_request& request) { get(c, request); },
    [this](const rt::call&, const msg::cache_put_request& request) { put(request); },
    [this](const rt::call&, const msg::cache_release_request& request) {
      leases_.release(key_of(request.key), request.lease);
      show();
    },
    [this](const rt::call& c, const msg::cache_clear_request& request) { clear(c, request); },
    [this](const rt::call& c, const msg::cache_fill_request& request) { fill(c, request); },
    [this](const handover_order& order) { begin_handover(order); },
  };
}

void cache_shard::get(const rt::call& c, const msg::cache_get_request& request) {
  const auto found
    = store_.get(key_of(request.key), now(), std::chrono::seconds{request.age_max_s});
  if (found)
    reply(c, serve(request, *found));
  else if (!ask_second_level(c, request))
    reply(c, without_value(request));
  show();
}

/// The value; whoever could renew one that is due wins the lease with it, unless somebody has it.
msg::cache_get_reply cache_shard::serve(const msg::cache_get_request& request,
                                        const store::response_store::found& found) {
  auto made = reply_of(found);
  if (request.lease_ms == 0 || !found.due)
    return made;
  const auto key = key_of(request.key);
  const auto* present = leases_.find(key, now());
  if (present != nullptr && present->id != request.lost_lease)
    return made;
  const auto got
    = leases_.acquire(key, request.node, milliseconds{request.lease_ms}, request.lost_lease, now());
  if (got.won)
    tell_turn(made, msg::cache_turn::won, *got.lease);
  return made;
}

/// A miss, or, for a caller that could produce the value, its turn.
expected<msg::cache_get_reply> cache_shard::without_value(const msg::cache_get_request& request) {
  if (request.lease_ms == 0)
    return fail(errc::cache_miss);
  const auto got = leases_.acquire(key_of(request.key), request.node,
                                   milliseconds{request.lease_ms}, request.lost_lease, now());
  if (got.lease == nullptr)
    return fail(errc::cache_miss);
  msg::cache_get_reply made;
  made.found = false;
  tell_turn(made, got.won ? msg::cache_turn::won : msg::cache_turn::wait, *got.lease);
  return made;
}

void cache_shard::put(const msg::cache_put_request& request) {
  const auto key = key_of(request.key);
  const milliseconds asked{request.ttl_ms};
  const auto ttl = asked.count() > 0 ? asked : bounds_.ttl;
  // A value that is refused still ends the one before it.
  if (!store_.put(key, request.value, {ttl, {}, request.group, request.kind, request.cost}, now()))
    store_.erase(key);
  leases_.end(key);
  for (auto& each : givings_)
    each.entries.add(key);
  show();
}

void cache_shard::clear(const rt::call& c, const msg::cache_clear_request& request) {
  if (request.all)
    store_.clear();
  else if (request.group != 0)
    store_.erase_group(request.group);
  else
    store_.erase(key_of(request.key));
  cleared_.add(request, now());
  show();
  reply(c, msg::ack{});
}

void cache_shard::schedule_expiry() {
  after(expiry_pause, [this] {
    store_.expire(now());
    leases_.expire(now());
    show();
    schedule_expiry();
  });
}

void cache_shard::show() {
  const auto is = store_.stats();
  meters_.hits.add(is.hits - shown_.hits);
  meters_.misses.add(is.misses - shown_.misses);
  meters_.stored.add(is.stored - shown_.stored);
  meters_.evicted.add(is.evicted - shown_.evicted);
  meters_.expired.add(is.expired - shown_.expired);
  meters_.refused.add(is.refused - shown_.refused);
  meters_.entries.set(static_cast<std::int64_t>(is.entries));
  meters_.refusals.set(static_cast<std::int64_t>(is.marked));
  meters_.bytes.set(static_cast<std::int64_t>(is.bytes));
  meters_.plain_bytes.add(is.plain_bytes - shown_.plain_bytes);
  meters_.packed_bytes.add(is.packed_bytes - shown_.packed_bytes);
  shown_ = is;
  const auto& leases = leases_.stats();
  meters_.leases_granted.add(leases.granted - leases_shown_.granted);
  meters_.leases_waited.add(leases.waited - leases_shown_.waited);
  meters_.leases_lost.add(leases.lost - leases_shown_.lost);
  meters_.leases_expired.add(leases.expired - leases_shown_.expired);
  meters_.leases_refused.add(leases.refused - leases_shown_.refused);
  meters_.leases.set(static_cast<std::int64_t>(leases_.size()));
  meters_.second_waits.set(static_cast<std::int64_t>(waits_));
  leases_shown_ = leases;
}

} // namespace skep::actors
