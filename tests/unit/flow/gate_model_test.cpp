// Explores every state a small gate can reach, under a virtual clock of whole seconds: in every
// order in which calls are admitted and refused, end in every way, and holds and leases run out,
// places and permits are given back.
#include "runtime/flow/gate.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr auto tick = 1s;
constexpr time_point start{1h};
constexpr auto patient = time_point::max();
constexpr int acquires_max = 2;        // Per tick; keeps the window's counts, so the space, finite.
constexpr std::size_t depth_max = 120; // The exploration must run dry before this.

/// What a call can end with: one code of every kind the gate tells apart.
constexpr std::array<gate_result, 6> endings{{
  {errc::none, {}, 100ms},
  {errc::provider_failed, {}, {}},
  {errc::rate_limited, 2 * tick, {}},
  {errc::quota_exhausted, {}, {}},
  {errc::quota_exhausted, 9 * tick, {}}, // More than quota_hold_max.
  {errc::cancelled, {}, {}},
}};

struct call_out {
  std::uint64_t ticket;
  time_point since;
  int era; // Of the quota, as the observer sees it.
};

/// A world: the gate, the calls that are out, and what an observer may expect of the quota hold.
struct world {
  gate route;
  time_point now = start;
  int acquires = 0;
  std::vector<call_out> pending;
  int era = 0;             // Counts the holds and their ends.
  time_point held_until{}; // Nobody may pass before.
  bool in_doubt = false;   // There was a hold, and no answer since.
};

gate_config tiny(bool use_limit, duration permit_ttl) {
  gate_config config;
  config.breaker.failures_max = 2;
  config.breaker.rate_window = 2 * tick;
  config.breaker.rate_buckets = 1;
  config.breaker.rate_samples_min = 2;
  config.breaker.open_min = tick;
  config.breaker.open_max = 2 * tick;
  config.breaker.retry_after_max = 2 * tick;
  config.breaker.permit_ttl = permit_ttl;
  config.in_flight_max = use_limit ? 3 : 2;
  config.use_limit = use_limit;
  config.limit.limit_initial = config.limit.limit_min = config.limit.limit_max = 2;
  config.use_quota_hold = true;
  config.quota_hold = 2 * tick;
  config.quota_hold_max = 3 * tick;
  return config;
}

class explorer {
public:
  explicit explorer(const gate_config& config) : config_(config) {}

  void run() {
    visit({.route = gate{config_}, .pending = {}});
    for (std::size_t depth = 0; !frontier_.empty(); ++depth) {
      REQUIRE(depth < depth_max);
      auto level = std::move(frontier_);
      frontier_.clear();
      for (const auto& w : level)
        expand(w);
    }
  }

  std::size_t states() const {
    return seen_.size();
  }
  std::size_t refused_by(gate_step step) const {
    return refused_[static_cast<std::size_t>(step)];
  }

private:
  std::vector<std::int64_t> digest(const world& w) const {
    auto out = w.route.fingerprint(w.now);
    for (const auto& p : w.pending) {
      out.push_back(p.era == w.era);
      out.push_back(std::min<duration>(w.now - p.since, config_.breaker.permit_ttl + tick).count());
      // What its ticket is worth shows in what each ending would leave.
      for (const auto& how : endings) {
        auto after = w.route;
        after.settle(p.ticket, how, w.now);
        const auto rest = after.fingerprint(w.now);
        out.insert(out.end(), rest.begin(), rest.end());
      }
    }
    out.push_back(w.acquires);
    out.push_back(std::max(w.held_until - w.now, duration::zero()).count());
    out.push_back(w.in_doubt);
    return out;
  }

  void visit(world w) {
    check_books(w);
    if (!seen_.insert(digest(w)).second)
      return;
    check_refusals_take_nothing(w);
    check_all_given_back(w);
    frontier_.push_back(std::move(w));
  }

  void expand(const world& w) {
    auto later = w;
    later.now += tick;
    later.acquires = 0;
    visit(std::move(later));
    if (w.acquires < acquires_max)
      visit_after_acquire(w);
    for (std::size_t i = 0; i < w.pending.size(); ++i)
      for (const auto& how : endings)
        visit_after_settle(w, i, how);
  }

  void visit_after_acquire(world w) {
    const auto answer = w.route.acquire(patient, w.now);
    ++refused_[static_cast<std::size_t>(answer.refused_by)];
    ++w.acquires;
    if (answer.admitted()) {
      check(w.now >= w.held_until);
      w.pending.push_back({answer.ticket, w.now, w.era});
      check(!w.in_doubt || probes_out(w) == 1);
    }
    visit(std::move(w));
  }

  /// Calls out that were let through to see whether there is quota again, and still have their
  /// lease.
  long probes_out(const world& w) const {
    return std::count_if(w.pending.begin(), w.pending.end(), [&](const call_out& p) {
      return p.era == w.era && w.now - p.since < config_.breaker.permit_ttl;
    });
  }

  void visit_after_settle(world w, std::size_t i, const gate_result& how) {
    const auto p = w.pending[i];
    w.pending.erase(w.pending.begin() + static_cast<std::ptrdiff_t>(i));
    w.route.settle(p.ticket, how, w.now);
    const bool counts = p.era == w.era;
    if (counts && how.code == errc::quota_exhausted) {
      const auto hold = w.route.quota_hold(w.now);
      check(hold >= std::max<duration>(config_.quota_hold,
                                       std::min(how.retry_after, config_.quota_hold_max)));
      check(hold <= config_.quota_hold_max);
      w.held_until = w.now + hold;
      w.in_doubt = true;
      ++w.era;
    } else if (counts && w.in_doubt && how.code == errc::none) {
      check(w.route.quota_hold(w.now) == duration::zero());
      w.in_doubt = false;
      ++w.era;
    }
    visit(std::move(w));
  }

  void check_books(const world& w) {
    check(w.route.in_flight() == w.pending.size());
    check(w.route.in_flight() <= w.route.limit());
    auto copy = w.route;
    check(copy.acquire(patient, w.now).admitted() == w.route.would_admit(w.now));
    check(w.now >= w.held_until || w.route.quota_hold(w.now) == w.held_until - w.now);
    check(w.in_doubt || w.route.quota_hold(w.now) == duration::zero());
  }

  /// A step that refuses leaves what earlier steps gave untaken.
  void check_refusals_take_nothing(const world& w) {
    const auto before = w.route.fingerprint(w.now);
    auto copy = w.route;
    check(copy.acquire(w.now, w.now).refused_by == gate_step::deadline);
    check(copy.fingerprint(w.now) == before);
    const auto answer = copy.acquire(patient, w.now);
    if (answer.admitted())
      return;
    check(copy.fingerprint(w.now) == before);
    check(answer.retry_after > duration::zero());
    check((answer.code == errc::quota_exhausted) == (answer.refused_by == gate_step::quota));
  }

  /// However the calls out end: once the waits are over there is room, and no permit is missing.
  /// With leases longer than every wait nothing but giving permits back can have freed them.
  void check_all_given_back(const world& w) {
    for (const auto& how : endings) {
      auto route = w.route;
      for (const auto& p : w.pending)
        route.settle(p.ticket, how, w.now);
      check(route.in_flight() == 0);
      check(route.breaker().permits_inflight(w.now) == 0);
      const auto wait = std::max(config_.quota_hold_max, config_.breaker.open_max);
      auto now = w.now + wait;
      check(route.would_admit(now));
      const auto call = route.acquire(patient, now);
      route.settle(call.ticket, {errc::none, {}, {}}, now);
      check(route.would_admit(now));
      check(route.circuit(now) == breaker_state::closed);
    }
  }

  // Catch's macros are too slow for millions of checks; a failure still names its line.
  void check(bool ok, int line = __builtin_LINE()) {
    if (!ok)
      FAIL("an invariant of gate_model_test.cpp does not hold, line " << line);
  }

  gate_config config_;
  std::set<std::vector<std::int64_t>> seen_;
  std::vector<world> frontier_;
  std::array<std::size_t, 6> refused_{};
};

/// With short leases a probe may outlive its own; with long ones nothing but giving a permit back
/// frees it. Which bulkhead it is makes no difference to that.
void explore(bool use_limit) {
  const duration permit_ttl = use_limit ? 2 * tick : 8 * tick;
  explorer all{tiny(use_limit, permit_ttl)};
  all.run();
  CAPTURE(use_limit, permit_ttl.count(), all.states());
  // The exploration is worth something only if it went everywhere.
  CHECK(all.states() > 3'000);
  CHECK(all.refused_by(gate_step::admitted) > 500);
  CHECK(all.refused_by(use_limit ? gate_step::limit : gate_step::in_flight) > 500);
  CHECK(all.refused_by(gate_step::quota) > 500);
  CHECK(all.refused_by(gate_step::circuit) > 100);
}

} // namespace

// Two cases, so that sanitized builds explore them side by side.
TEST_CASE("every reachable state of a gate with a fixed bound keeps its promises",
          "[flow][gate][model]") {
  explore(false);
}

TEST_CASE("every reachable state of a gate with an adaptive limit keeps its promises",
          "[flow][gate][model]") {
  explore(true);
}
