#include "actors/cache/shard.hpp"

#include "messages/core.hpp"

#include <algorithm>

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

// A batch that is not acknowledged by then is sent again.
constexpr duration batch_deadline = 2s;
// A target is given up when this many batches in a row were lost, or refused for not being ready.
constexpr std::uint32_t failures_max = 3;
constexpr std::uint32_t refusals_max = 40;
constexpr duration batch_pause = 250ms;

telemetry::counter& count(telemetry::registry& metrics, const std::string& shard, const char* name,
                          const char* help) {
  return metrics.counter(name, help, {{"shard", shard}});
}

} // namespace

cache_shard::meters::meters(telemetry::registry& metrics, const std::string& shard)
  : hits(count(metrics, shard, "skep_cache_hits_total", "Lookups that found an answer.")),
    misses(count(metrics, shard, "skep_cache_misses_total", "Lookups that found none.")),
    stored(count(metrics, shard, "skep_cache_stored_total", "Answers kept.")),
    evicted(count(metrics, shard, "skep_cache_evicted_total", "Answers that made room.")),
    expired(count(metrics, shard, "skep_cache_expired_total", "Answers no longer fresh.")),
    refused(count(metrics, shard, "skep_cache_refused_total",
                  "Answers too large for the cache's bounds.")),
    handed_over(count(metrics, shard, "skep_cache_handed_over_total",
                      "Answers given to the new owners of their slots.")),
    given_up(count(metrics, shard, "skep_cache_handover_given_up_total",
                   "New owners that could not be given everything.")),
    filled(count(metrics, shard, "skep_cache_filled_total",
                 "Answers taken over from the previous owners of their slots.")),
    entries(metrics.gauge("skep_cache_entries", "Answers held.", {{"shard", shard}})),
    bytes(metrics.gauge("skep_cache_bytes", "Bytes held, overhead included.", {{"shard", shard}})) {
}

cache_shard::cache_shard(caf::actor_config& config, rt::environment& env,
                         const rt::actor_kind& kind, std::string shard_name,
                         cache_shard_config bounds)
  : bounded_actor(config, env, kind), bounds_(bounds), store_(bounds.store, now()),
    meters_(env.metrics(), shard_name) {}

caf::behavior cache_shard::make_behavior() {
  schedule_expiry();
  return {
    [this](const rt::call& c, const msg::cache_get_request& request) { get(c, request); },
    [this](const rt::call&, const msg::cache_put_request& request) { put(request); },
    [this](const rt::call& c, const msg::cache_clear_request& request) { clear(c, request); },
    [this](const rt::call& c, const msg::cache_fill_request& request) { fill(c, request); },
    [this](const handover_order& order) { begin_handover(order); },
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
  for (auto& each : givings_)
    each.entries.add(key_of(request.key));
  show();
}

void cache_shard::clear(const rt::call& c, const msg::cache_clear_request& request) {
  if (request.all) {
    store_.clear();
    cleared_.add_all(now());
  } else {
    store_.erase(key_of(request.key));
    cleared_.add(key_of(request.key), now());
  }
  show();
  reply(c, msg::ack{});
}

// -- hand-over ------------------------------------------------------------------------------------

void cache_shard::fill(const rt::call& c, const msg::cache_fill_request& request) {
  using std::chrono::milliseconds;
  for (const auto& each : request.entries) {
    const auto key = key_of(each.key);
    const milliseconds age{each.age_ms};
    if (each.left_ms == 0 || store_.peek(key, now()) || cleared_.cover(key, age, now()))
      continue;
    if (store_.put(key, each.value, milliseconds{each.left_ms}, now(), age))
      meters_.filled.inc();
    for (auto& other : givings_)
      other.entries.add(key);
  }
  show();
  reply(c, msg::ack{});
}

void cache_shard::begin_handover(const handover_order& order) {
  ++handover_;
  cancel_timer(std::exchange(drop_timer_, 0));
  givings_.clear();
  plan_ = order.plan;
  if (plan_->outdated)
    store_.clear();
  for (const auto& target : plan_->targets)
    givings_.push_back({target.store, handover_stream{store_, target.slots}});
  show();
  if (givings_.empty())
    end_handover();
  for (std::size_t to = 0; to < givings_.size(); ++to)
    send_batch(to);
}

void cache_shard::send_batch(std::size_t to) {
  auto& target = givings_[to];
  msg::cache_fill_request batch;
  batch.view = plan_->view;
  batch.entries = target.entries.batch(store_, now());
  const auto count = batch.entries.size();
  if (count == 0) {
    end_giving(to);
    return;
  }
  skep::context context;
  context.id = make_request_id();
  context.deadline = now() + batch_deadline;
  context.priority = priority::background;
  ask(target.to, std::move(context), std::move(batch),
      [this, to, count, which = handover_](const rt::answer& got) {
        if (which == handover_)
          batch_answered(to, count, got);
      });
}

void cache_shard::batch_answered(std::size_t to, std::size_t entries, const rt::answer& got) {
  auto& target = givings_[to];
  if (got.what == rt::answer::kind::reply) {
    meters_.handed_over.add(entries);
    target.failures = target.refusals = 0;
    target.entries.advance();
    send_batch(to);
    return;
  }
  // A node the view has just come to refuses until its view is in force.
  const bool later = got.why.code == errc::unavailable || got.why.code == errc::overloaded;
  if (later ? ++target.refusals >= refusals_max : ++target.failures >= failures_max) {
    meters_.given_up.inc();
    end_giving(to);
    return;
  }
  after(std::max<duration>(batch_pause, got.why.retry_after), [this, to, which = handover_] {
    if (which == handover_)
      send_batch(to);
  });
}

void cache_shard::end_giving(std::size_t to) {
  givings_[to].done = true;
  if (std::all_of(givings_.begin(), givings_.end(), [](const giving& each) { return each.done; }))
    end_handover();
}

/// Others may still ask here for what was handed over, so it stays for a while.
void cache_shard::end_handover() {
  ++handover_;
  givings_.clear();
  const auto ended = std::exchange(plan_, nullptr);
  if (!ended->owned.all())
    drop_timer_ = after(ended->keep, [this, owned = ended->owned] { drop_foreign(owned); });
}

void cache_shard::drop_foreign(const slot_set& owned) {
  drop_timer_ = 0;
  for (const auto& key : store_.keys([&](const auto& each) { return !owned[slot_of(each)]; }))
    store_.erase(key);
  show();
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
  meters_.hits.add(is.hits - shown_.hits);
  meters_.misses.add(is.misses - shown_.misses);
  meters_.stored.add(is.stored - shown_.stored);
  meters_.evicted.add(is.evicted - shown_.evicted);
  meters_.expired.add(is.expired - shown_.expired);
  meters_.refused.add(is.refused - shown_.refused);
  meters_.entries.set(static_cast<std::int64_t>(is.entries));
  meters_.bytes.set(static_cast<std::int64_t>(is.bytes));
  shown_ = is;
}

} // namespace skep::actors
