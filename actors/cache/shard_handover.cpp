#include "actors/cache/shard.hpp"
#include "messages/core.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

// A batch that is not acknowledged by then is sent again.
constexpr duration batch_deadline = 2s;
// A target is given up when this many batches in a row were lost, or refused for not being ready.
constexpr std::uint32_t failures_max = 3;
constexpr std::uint32_t refusals_max = 40;
constexpr duration batch_pause = 250ms;

} // namespace

void cache_shard::fill(const rt::call& c, const msg::cache_fill_request& request) {
  using std::chrono::milliseconds;
  for (const auto& each : request.entries) {
    const auto key = key_of(each.key);
    const milliseconds age{each.age_ms};
    const auto known = store_.peek(key, now());
    if (each.left_ms == 0 || (known && !known->stale)
        || cleared_.cover(key, each.group, age, now()))
      continue;
    if (!store_.put(key, each.value,
                    {milliseconds{each.left_ms}, age, each.group, each.kind, each.cost}, now()))
      continue;
    meters_.filled.inc();
    leases_.end(key);
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

} // namespace skep::actors
