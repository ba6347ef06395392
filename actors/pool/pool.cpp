#include "actors/pool/pool.hpp"

#include "actors/metric_names.hpp"
#include "messages/core.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace skep::actors {

namespace {

// Whom to try for a call beyond size_max: some may be about to start or to end.
constexpr std::size_t overflow_tries_max = 16;

void end_instance(const caf::actor& who) {
  if (who)
    caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
}

} // namespace

pool::pool(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
           std::string agent_name, pool_config bounds, std::function<caf::actor()> start)
  : bounded_actor(config, env, kind), agent_name_(std::move(agent_name)), bounds_(bounds),
    start_(std::move(start)),
    refusals_(env.metrics().counter(metric::pool_refused.name, metric::pool_refused.help,
                                    {{metric::pool_refused.label, agent_name_}})) {
  const auto* const label = metric::pool_size.label;
  const auto show = [&](const telemetry::metric_info& what, auto read) {
    gauges_.push_back(
      env.metrics().gauge_callback(what.name, what.help, {{what.label, agent_name_}},
                                   [this, read] { return static_cast<double>(read(stats())); }));
  };
  const auto total = [&](const telemetry::metric_info& what, auto read) {
    gauges_.push_back(
      env.metrics().counter_callback(what.name, what.help, {{what.label, agent_name_}},
                                     [this, read] { return static_cast<double>(read(stats())); }));
  };
  show(metric::pool_size, [](const pool_stats& s) { return s.size; });
  show(metric::pool_idle, [](const pool_stats& s) { return s.idle; });
  show({"skep_pool_utilisation", "Share of size_max at work.", label}, [this](const pool_stats& s) {
    return static_cast<double>(s.size - s.idle)
           / std::max(1.0, static_cast<double>(bounds_.size_max));
  });
  show(metric::pool_busy_peak, [](const pool_stats& s) { return s.busy_peak; });
  show({"skep_pool_overflow", "Calls beyond size_max of which it is not known yet what they need.",
        label},
       [](const pool_stats& s) { return s.overflow; });
  show(metric::pool_size_max, [this](const pool_stats&) { return bounds_.size_max; });
  show(metric::pool_idle_min, [this](const pool_stats&) { return bounds_.idle_min; });
  show(metric::pool_idle_ttl,
       [this](const pool_stats&) { return static_cast<double>(bounds_.idle_ttl.count()) / 1000; });
  total(metric::pool_checkouts, [](const pool_stats& s) { return s.checkouts; });
  total(metric::pool_spawned, [](const pool_stats& s) { return s.spawned; });
  total(metric::pool_evicted, [](const pool_stats& s) { return s.evicted; });
  total(metric::pool_discarded, [](const pool_stats& s) { return s.discarded; });
}

caf::behavior pool::make_behavior() {
  if (bounds_.warm_up) {
    for (std::uint32_t n = 0; n < std::min(bounds_.idle_min, bounds_.size_max); ++n) {
      std::uint32_t slot = 0;
      {
        std::lock_guard guard{lock_};
        slot = static_cast<std::uint32_t>(instances_.size());
        instances_.emplace_back();
        ++stats_.size;
      }
      caf::anon_send(fill(slot), msg::ack{}); // Its behaviour is built before the first call.
      give_back(slot, false);
    }
  }
  schedule_sweep();
  return {[](const msg::ack&) {
    // Woken by its owner, so that it warms up before the first call.
  }};
}

// -- checkout, on the sender's thread -------------------------------------------------------------

void pool::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  if (what->mid.is_response() || rt::call_of(what->content()) == nullptr) {
    bounded_actor::enqueue(std::move(what), unit);
    return;
  }
  const auto token = rt::ensure_lease(*what);
  place at;
  caf::actor who;
  if (!check_out(token.get(), at, who)) {
    refusals_.inc();
    if (token)
      token->fail(no_place());
    return;
  }
  if (!who)
    who = fill(at.slot);
  const auto name = reinterpret_cast<std::uint64_t>(token.get());
  if (token && !token->on_settled(caf::strong_actor_ptr{ctrl()}, *this, name)) {
    settled({}, name); // Given up before it arrived.
    return;
  }
  who->enqueue(std::move(what), unit);
  if (!token)
    give_back(at.slot);
}

bool pool::check_out(const rt::lease* which, place& at, caf::actor& who) {
  std::lock_guard guard{lock_};
  if (stopped_)
    return false;
  if (const auto found = free_slot()) {
    at.slot = *found;
    who = instances_[at.slot].who;
  } else if (which == nullptr || !overflow(at, who)) {
    ++stats_.refused;
    return false;
  }
  if (which != nullptr)
    at_work_[which] = at;
  ++stats_.checkouts;
  return true;
}

/// A place for one more call, whose instance may still have to be started. Under the lock.
std::optional<std::uint32_t> pool::free_slot() {
  std::uint32_t slot = 0;
  if (!idle_.empty()) {
    slot = idle_.back();
    idle_.pop_back();
    return slot;
  }
  if (!vacant_.empty()) {
    slot = vacant_.back();
    vacant_.pop_back();
  } else if (instances_.size() < bounds_.size_max) {
    slot = static_cast<std::uint32_t>(instances_.size());
    instances_.emplace_back();
  } else {
    return std::nullopt;
  }
  ++stats_.size;
  return slot;
}

/// Instances take one call after the other, each in no time, so any of them will do. Under the
/// lock.
bool pool::overflow(place& at, caf::actor& who) {
  if (stats_.overflow >= bounds_.overflow_max)
    return false;
  for (std::size_t n = 0; n < std::min(overflow_tries_max, instances_.size()); ++n) {
    at = {static_cast<std::uint32_t>(next_++ % instances_.size()), false};
    who = instances_[at.slot].who;
    if (who) {
      ++stats_.overflow;
      return true;
    }
  }
  return false;
}

bool pool::claim(const rt::lease& which) {
  {
    std::lock_guard guard{lock_};
    const auto known = at_work_.find(&which);
    if (known == at_work_.end() || known->second.own)
      return true;
    if (const auto slot = stopped_ ? std::nullopt : free_slot()) {
      --stats_.overflow;
      known->second = {*slot, true};
      return true;
    }
    ++stats_.refused;
  }
  refusals_.inc();
  return false;
}

void pool::leave(const rt::lease& which) {
  settled({}, reinterpret_cast<std::uint64_t>(&which));
}

failure pool::no_place() const {
  return failure{errc::overloaded, "all instances of agent " + agent_name_ + " are at work",
                 bounds_.retry_after};
}

caf::actor pool::fill(std::uint32_t slot) {
  auto fresh = start_(); // Outside the lock: this is the slow part.
  std::lock_guard guard{lock_};
  instances_[slot].who = fresh;
  ++stats_.spawned;
  return fresh;
}

void pool::settled(const rt::outcome& how, std::uint64_t token) noexcept {
  place at;
  caf::actor gone;
  {
    std::lock_guard guard{lock_};
    const auto known = at_work_.find(reinterpret_cast<const rt::lease*>(token));
    if (known == at_work_.end())
      return; // It left before it ended.
    at = known->second;
    at_work_.erase(known);
    if (!at.own) {
      --stats_.overflow;
      // The one whose place it is gets a new instance when it comes back.
      if (how.code == errc::actor_failed)
        gone = std::exchange(instances_[at.slot].who, nullptr);
    }
  }
  // After these it may be dead or in a state nobody can vouch for.
  if (!at.own)
    end_instance(gone);
  else if (how.code == errc::actor_failed || how.code == errc::unavailable)
    discard(at.slot);
  else
    give_back(at.slot);
}

// A busy level is highest just before an instance comes back, and then the time is read anyway.
void pool::note_peak(time_point at) {
  auto& peak = peaks_.at(at);
  peak.busy = std::max(peak.busy, stats_.size - static_cast<std::uint32_t>(idle_.size()));
}

void pool::give_back(std::uint32_t slot, bool was_at_work) {
  const auto at = now();
  caf::actor late;
  {
    std::lock_guard guard{lock_};
    if (was_at_work)
      note_peak(at);
    instances_[slot].last_used = at;
    if (stopped_)
      late = std::exchange(instances_[slot].who, nullptr);
    else
      idle_.push_back(slot);
  }
  end_instance(late);
}

void pool::discard(std::uint32_t slot) {
  const auto at = now();
  caf::actor gone;
  {
    std::lock_guard guard{lock_};
    note_peak(at);
    gone = std::exchange(instances_[slot].who, nullptr);
    vacant_.push_back(slot);
    --stats_.size;
    ++stats_.discarded;
  }
  end_instance(gone);
}

// -- upkeep, on the pool's own thread -------------------------------------------------------------

void pool::schedule_sweep() {
  const auto pause = std::max<duration>(10ms, bounds_.idle_ttl / 4);
  after(pause, [this] {
    sweep();
    schedule_sweep();
  });
}

void pool::sweep() {
  const auto oldest_kept = now() - bounds_.idle_ttl;
  std::vector<caf::actor> gone;
  {
    std::lock_guard guard{lock_};
    // The front of the list was used least recently.
    std::size_t count = 0;
    while (idle_.size() - count > bounds_.idle_min
           && instances_[idle_[count]].last_used <= oldest_kept) {
      const auto slot = idle_[count++];
      gone.push_back(std::exchange(instances_[slot].who, nullptr));
      vacant_.push_back(slot);
    }
    idle_.erase(idle_.begin(), idle_.begin() + static_cast<std::ptrdiff_t>(count));
    stats_.size -= static_cast<std::uint32_t>(count);
    stats_.evicted += count;
  }
  for (const auto& who : gone)
    end_instance(who);
}

bool pool::has_room() const noexcept {
  std::lock_guard guard{lock_};
  return !stopped_ && (!idle_.empty() || !vacant_.empty() || instances_.size() < bounds_.size_max);
}

pool_stats pool::stats() const {
  const auto at = now();
  std::lock_guard guard{lock_};
  auto s = stats_;
  s.idle = static_cast<std::uint32_t>(idle_.size());
  // What is at work now has not come back yet.
  s.busy_peak = std::max(peaks_.sum(at).busy, s.size - s.idle);
  return s;
}

void pool::on_stop() {
  std::vector<instance> gone;
  {
    std::lock_guard guard{lock_};
    stopped_ = true;
    idle_.clear();
    gone = instances_; // Busy ones keep their slots until their calls are settled.
  }
  for (const auto& each : gone)
    end_instance(each.who);
}

} // namespace skep::actors
