#include "actors/cache/store.hpp"

#include "runtime/telemetry/registry.hpp"

#include <caf/make_actor.hpp>

namespace skep::actors {

namespace {

// Views settle within some of the cluster's ticks.
constexpr std::chrono::milliseconds retry_after{250};

// For what no view routed.
constexpr auto any_view = std::numeric_limits<std::uint64_t>::max();

telemetry::counter& refusals(rt::environment& env, const char* reason) {
  return env.metrics().counter("skep_cache_store_refused_total",
                               "Calls of other nodes that this node's store must not take.",
                               {{"reason", reason}});
}

} // namespace

cache_store::cache_store(caf::actor_config& config, rt::environment& env, rt::cluster_port& cluster,
                         local_shards shards, caf::actor front,
                         std::shared_ptr<const handover_status> status)
  : actor_proxy(config), cluster_(cluster), shards_(std::move(shards)), front_(std::move(front)),
    status_(std::move(status)), stale_(refusals(env, "stale_view")),
    not_owning_(refusals(env, "not_owning")), behind_(refusals(env, "behind")) {}

cache_store::~cache_store() = default;

caf::actor cache_store::make(rt::environment& env, rt::cluster_port& cluster, local_shards shards,
                             caf::actor front, std::shared_ptr<const handover_status> status) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<cache_store, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, env, cluster, std::move(shards),
    std::move(front), std::move(status)));
}

bool cache_store::takes(std::uint64_t view, bool reads, const rt::lease_ptr& token) {
  const auto state = cluster_.state();
  const auto refuse = [&](telemetry::counter& counted, const char* why) {
    counted.inc();
    if (token)
      token->fail(failure{errc::unavailable, why, retry_after});
    return false;
  };
  if (!state->owning)
    return refuse(not_owning_, "this node owns nothing now");
  if (state->view && view < state->view->number)
    return refuse(stale_, "written by an older view");
  if (reads && status_->seen.load(std::memory_order_acquire) < view_mark(*state))
    return refuse(behind_, "this node has a new view and has not acted on it yet");
  return true;
}

void cache_store::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  const auto* c = rt::call_of(what->content());
  if (c == nullptr)
    return; // Exits and the like are for actors; this is an address.
  const auto token = rt::ensure_lease(*what);
  if (const auto* get = payload_of<msg::cache_get_request>(*what)) {
    if (takes(any_view, true, token))
      shards_.of(slot_of(get->key))->enqueue(std::move(what), unit);
  } else if (const auto* put = payload_of<msg::cache_put_request>(*what)) {
    if (takes(put->view, false, token))
      shards_.of(slot_of(put->key))->enqueue(std::move(what), unit);
  } else if (const auto* release = payload_of<msg::cache_release_request>(*what)) {
    if (takes(any_view, false, token))
      shards_.of(slot_of(release->key))->enqueue(std::move(what), unit);
  } else if (const auto* fill = payload_of<msg::cache_fill_request>(*what)) {
    const auto slot = fill->entries.empty() ? 0 : slot_of(fill->entries.front().key);
    if (takes(fill->view, false, token))
      shards_.of(slot)->enqueue(std::move(what), unit);
  } else if (const auto* clear = payload_of<msg::cache_clear_request>(*what)) {
    front_->enqueue(caf::make_mailbox_element(what->sender, what->mid, {}, *c, local_clear{*clear}),
                    unit);
  } else if (token) {
    token->fail(failure{errc::unexpected_message, "cache/store does not serve this message"});
  }
}

void cache_store::kill_proxy(caf::execution_unit* unit, caf::error reason) {
  cleanup(std::move(reason), unit);
}

const char* cache_store::name() const {
  return "cache/store";
}

} // namespace skep::actors
