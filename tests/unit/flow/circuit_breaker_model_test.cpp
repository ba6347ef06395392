// Explores every state a small breaker can reach, under a virtual clock of whole seconds.
#include "runtime/flow/circuit_breaker.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <set>
#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

using enum breaker_outcome;

constexpr auto tick = 1s;
constexpr time_point start{1h};
constexpr std::size_t pending_max = 3; // Calls out at once: one more than there are permits.
constexpr int acquires_max = 2;        // Per tick; keeps the window's counts, so the space, finite.
constexpr std::size_t depth_max = 100; // The exploration must run dry before this.

/// A call that is out, with what the observer knows of its admission.
struct call_out {
  admission call;
  int era;
  time_point since;
};

/// A world: the breaker, the calls that are out, and what an observer may expect of it.
struct world {
  circuit_breaker breaker;
  time_point now = start;
  int acquires = 0;
  std::vector<call_out> pending;
  int era = 0;                      // Counts the changes of state the observer has seen.
  time_point closed_to_all_until{}; // Set when the observer sees it trip.
  time_point hinted_until{};        // The farthest retry-after since the last success.
  std::uint32_t openings = 0;       // Since the observer last saw it closed.
  // Since the last change of state; as far as they can matter.
  std::uint32_t failures_in_a_row = 0;
  std::uint32_t successes = 0;
  std::uint32_t results = 0;

  /// Judged without looking at tickets: the breaker has changed since.
  bool stale(const call_out& out) const {
    return out.era != era;
  }
};

breaker_config tiny(std::uint32_t permits_max, std::uint32_t successes_min) {
  breaker_config config;
  config.failures_max = 3;
  config.rate_window = 4 * tick; // Two ticks a bucket, so that phases differ.
  config.rate_buckets = 2;
  config.rate_samples_min = 4;
  config.open_min = tick;
  config.open_max = 5 * tick;
  config.retry_after_max = 6 * tick;
  config.permits_max = permits_max;
  config.permit_ttl = 3 * tick;
  config.successes_min = successes_min;
  return config;
}

std::vector<std::int64_t> digest(const world& w) {
  auto out = w.breaker.fingerprint(w.now);
  auto left = [&w](time_point until) { return std::max<std::int64_t>(0, (until - w.now).count()); };
  for (const auto& p : w.pending) {
    out.push_back(w.stale(p) ? -1 : p.call.probe);
    if (w.stale(p) || !p.call.probe)
      continue;
    // Beyond the lease's end, age makes no difference.
    out.push_back(std::min<duration>(w.now - p.since, w.breaker.config().permit_ttl).count());
    // Which lease it holds shows in what giving it back would leave.
    auto without = w.breaker;
    without.settle(p.call, ignored, w.now);
    auto rest = without.fingerprint(w.now);
    out.insert(out.end(), rest.begin(), rest.end());
  }
  out.push_back(w.acquires);
  out.push_back(left(w.closed_to_all_until));
  out.push_back(left(w.hinted_until));
  out.push_back(std::min(w.openings, 4u));
  out.push_back(std::min(w.successes, w.breaker.config().successes_min));
  out.push_back(std::min(w.results, w.breaker.config().rate_samples_min));
  return out;
}

/// A failure, in a row or not.
bool bad(breaker_outcome outcome) {
  return outcome == failure || outcome == overloaded;
}

class explorer {
public:
  explicit explorer(breaker_config config) : config_(config) {}

  void run() {
    visit({.breaker = circuit_breaker{config_}, .pending = {}});
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
  int states_in(breaker_state state) const {
    return in_state_[static_cast<std::size_t>(state)];
  }

private:
  void visit(world w) {
    // Before the look at what was seen: equal digests must not hide a query that answers otherwise.
    check_bounds(w);
    if (!seen_.insert(digest(w)).second)
      return;
    ++in_state_[static_cast<std::size_t>(w.breaker.state(w.now))];
    check_stale_results_change_nothing(w);
    check_recovers_although_all_calls_are_lost(w);
    frontier_.push_back(std::move(w));
  }

  void expand(const world& w) {
    visit_after_tick(w);
    if (w.acquires < acquires_max && w.pending.size() < pending_max)
      visit_after_acquire(w);
    for (std::size_t i = 0; i < w.pending.size(); ++i) {
      visit_after_settle(w, i, success, {});
      visit_after_settle(w, i, ignored, {});
      visit_after_settle(w, i, failure, {});
      visit_after_settle(w, i, overloaded, {});
      visit_after_settle(w, i, failure, 9 * tick); // More than retry_after_max.
      auto abandoned = w;
      abandoned.pending.erase(abandoned.pending.begin() + static_cast<std::ptrdiff_t>(i));
      visit(std::move(abandoned));
    }
  }

  void visit_after_tick(world w) {
    auto before = w.breaker.state(w.now);
    w.now += tick;
    w.acquires = 0;
    w.era += w.breaker.state(w.now) != before;
    visit(std::move(w));
  }

  void visit_after_acquire(world w) {
    auto hint = w.breaker.retry_after(w.now);
    auto before = w.breaker.state(w.now);
    auto call = w.breaker.acquire(w.now);
    check(call.granted == (hint == duration::zero()));
    check(call.granted || call.retry_after == hint);
    check(!call.granted || w.now >= w.closed_to_all_until);
    check(before != breaker_state::closed || call.granted);
    check(call.probe == (call.granted && before == breaker_state::half_open));
    ++w.acquires;
    if (call.granted)
      w.pending.push_back({call, w.era, w.now});
    visit(std::move(w));
  }

  void visit_after_settle(world w, std::size_t i, breaker_outcome outcome, duration hint) {
    auto before = w.breaker.state(w.now);
    auto p = w.pending[i];
    w.pending.erase(w.pending.begin() + static_cast<std::ptrdiff_t>(i));
    w.breaker.settle(p.call, outcome, w.now, hint);
    auto after = w.breaker.state(w.now);
    if (!w.stale(p))
      observe_result(w, before, after, outcome, hint);
    else
      check(after == before);
    visit(std::move(w));
  }

  void observe_result(world& w, breaker_state before, breaker_state after, breaker_outcome outcome,
                      duration hint) {
    if (bad(outcome) && hint > duration::zero())
      w.hinted_until = std::max(w.hinted_until, w.now + std::min(hint, config_.retry_after_max));
    if (outcome == success)
      w.hinted_until = {};
    count_result(w, outcome);
    check_must_change(w, before, after, outcome);
    if (after == before)
      return;
    ++w.era;
    if (after == breaker_state::open) {
      check(bad(outcome));
      auto doubled
        = std::min<duration>(config_.open_min * (1 << std::min(w.openings, 8u)), config_.open_max);
      w.closed_to_all_until = std::max(w.now + doubled, w.hinted_until);
      check(w.breaker.retry_after(w.now) == w.closed_to_all_until - w.now);
      ++w.openings;
    } else {
      check(before == breaker_state::half_open && outcome == success);
      w.openings = 0;
    }
    w.hinted_until = {};
    w.failures_in_a_row = w.successes = w.results = 0;
  }

  void count_result(world& w, breaker_outcome outcome) {
    w.failures_in_a_row = outcome == failure   ? w.failures_in_a_row + 1
                          : outcome == success ? 0
                                               : w.failures_in_a_row;
    w.successes += outcome == success;
    w.results += outcome != ignored;
  }

  void check_must_change(const world& w, breaker_state before, breaker_state after,
                         breaker_outcome outcome) {
    if (before == breaker_state::closed) {
      auto in_a_row = outcome == failure && w.failures_in_a_row >= config_.failures_max;
      check(after == breaker_state::open || !in_a_row);
      check(after == breaker_state::closed || in_a_row || w.results >= config_.rate_samples_min);
    } else {
      check((after == breaker_state::open) == bad(outcome));
      check((after == breaker_state::closed)
            == (outcome == success && w.successes >= config_.successes_min));
    }
  }

  void check_bounds(const world& w) {
    auto permits = w.breaker.permits_inflight(w.now);
    check(permits <= config_.permits_max);
    check(permits == 0 || w.breaker.state(w.now) == breaker_state::half_open);
    auto wait = w.breaker.retry_after(w.now);
    check(wait >= duration::zero());
    auto copy = w.breaker;
    check(copy.acquire(w.now).granted == (wait == duration::zero()));
    check(wait <= std::max(config_.open_max, config_.retry_after_max));
    check((w.now < w.closed_to_all_until) == (w.breaker.state(w.now) == breaker_state::open));
  }

  void check_stale_results_change_nothing(const world& w) {
    auto before = w.breaker.fingerprint(w.now);
    for (auto outcome : {success, failure, overloaded, ignored}) {
      auto b = w.breaker;
      b.settle(admission{}, outcome, w.now, 9 * tick); // Refused, so never sent.
      for (const auto& p : w.pending)
        if (w.stale(p))
          b.settle(p.call, outcome, w.now, 9 * tick);
      check(b.fingerprint(w.now) == before);
    }
  }

  /// All calls out are lost; fresh ones succeed. The breaker must close in bounded time.
  void check_recovers_although_all_calls_are_lost(const world& w) {
    auto b = w.breaker;
    auto longest = std::max(config_.open_max, config_.retry_after_max) + config_.permit_ttl;
    auto deadline = w.now + longest + static_cast<int>(config_.successes_min) * tick;
    auto now = w.now;
    for (; b.state(now) != breaker_state::closed && now <= deadline; now += tick)
      if (auto call = b.acquire(now); call.granted)
        b.settle(call, success, now);
    check(b.state(now) == breaker_state::closed);
  }

  // Catch's macros are too slow for millions of checks; a failure still names its line.
  void check(bool ok, int line = __builtin_LINE()) {
    if (!ok)
      FAIL("an invariant of circuit_breaker_model_test.cpp does not hold, line " << line);
  }

  breaker_config config_;
  std::set<std::vector<std::int64_t>> seen_;
  std::vector<world> frontier_;
  int in_state_[3] = {};
};

} // namespace

TEST_CASE("every reachable state of a breaker keeps its promises", "[flow][breaker][model]") {
  auto permits_max = GENERATE(1u, 2u);
  auto successes_min = GENERATE(1u, 2u);
  explorer all{tiny(permits_max, successes_min)};
  all.run();
  CAPTURE(permits_max, successes_min);
  // The exploration is worth something only if it went everywhere.
  CHECK(all.states() > 20'000);
  CHECK(all.states_in(breaker_state::closed) > 100);
  CHECK(all.states_in(breaker_state::open) > 200);
  CHECK(all.states_in(breaker_state::half_open) > 200);
}
