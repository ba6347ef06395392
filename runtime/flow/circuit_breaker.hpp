#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/flow/rolling_counter.hpp"

#include <cstdint>
#include <vector>

namespace skep::flow {

/// When a breaker trips, how long it stays open and how it tries again.
struct breaker_config {
  std::uint32_t failures_max = 5;      ///< Consecutive failures that trip it.
  duration rate_window = 10s;          ///< The failure rate looks back this far.
  std::uint32_t rate_buckets = 10;     ///< Resolution of the window.
  std::uint32_t rate_samples_min = 20; ///< Below this many results the rate says nothing.
  double failure_rate_max = 0.5;       ///< A rate at or above this trips it.
  duration open_min = 1s;              ///< First open time; doubles with each failed probation.
  duration open_max = 60s;             ///< The doubling ends here.
  duration retry_after_max = 300s;     ///< An upstream's Retry-After is believed up to this.
  std::uint32_t permits_max = 1;       ///< Probes in flight while half-open.
  duration permit_ttl = 30s;       ///< A probe without a result by then no longer bars the next.
  std::uint32_t successes_min = 1; ///< Successful probes that close it.
};

enum class breaker_state : std::uint8_t { closed, open, half_open };

/// How a call ended.
enum class breaker_outcome : std::uint8_t {
  success,
  failure,
  /// The upstream turned the call away because it has too much to do (429, 503, 529). A failure in
  /// the rate and of a probe, but none in a row: an upstream that sheds the excess turns many calls
  /// away between two it serves, and is used to the full all the same.
  overloaded,
  /// It says nothing about the upstream (a cancel).
  ignored,
};

/// The breaker's answer to a call; the caller keeps it and settles it once.
struct admission {
  bool granted = false;
  bool probe = false;       ///< It holds a half-open permit.
  std::uint32_t ticket = 0; ///< Tells settle() what the result counts for.
  duration retry_after{};   ///< When refused: when it makes sense to ask again, above zero.
};

/// What a breaker did since it was made; grows only.
struct breaker_counts {
  std::uint64_t trips = 0;
  std::uint64_t refusals = 0;
  std::uint64_t permits_expired = 0;
};

/// Stops calls to an upstream that fails, and finds out when it is well again. Trips on consecutive
/// failures or on the failure rate of a window (linkerd2-proxy's unified design). Half-open permits
/// are leases: a probe that never reports frees its place after `permit_ttl`, so it cannot hold the
/// breaker for ever. What it reports after that still counts while the probation lasts: otherwise
/// an upstream that takes longer than the lease, to answer or to fail, would stay half-open without
/// end. Not thread-safe; copyable.
class circuit_breaker {
public:
  explicit circuit_breaker(breaker_config config = {});

  /// May a call go out now? A granted admission must be settled once.
  [[nodiscard]] admission acquire(time_point now);

  /// Reports how an admitted call ended, once per call: `granted` and `ticket` are all that is
  /// read. Results of calls from before the last change of state change nothing. `retry_after_hint`
  /// is what the upstream asked for along with a failure; the breaker stays open at least that long
  /// if this failure, or one that follows it, trips it.
  void settle(const admission& call, breaker_outcome outcome, time_point now,
              duration retry_after_hint = {});

  /// The state as a caller at `now` would find it.
  [[nodiscard]] breaker_state state(time_point now) const;

  /// Zero if a call would be admitted, else how long to wait before asking.
  [[nodiscard]] duration retry_after(time_point now) const;

  /// Probes out at `now`, at most `permits_max`.
  [[nodiscard]] std::uint32_t permits_inflight(time_point now) const;

  [[nodiscard]] const breaker_counts& counts() const {
    return counts_;
  }
  [[nodiscard]] const breaker_config& config() const {
    return config_;
  }

  /// Numbers such that two breakers with equal ones behave alike from `now` on: for tests that
  /// explore the state space. Ids and counters are left out.
  [[nodiscard]] std::vector<std::int64_t> fingerprint(time_point now) const;

private:
  struct lease {
    std::uint32_t ticket;
    time_point expires;
  };

  void enter(breaker_state next);
  void trip(time_point now);
  void advance(time_point now);
  void drop_lease(std::uint32_t ticket);
  [[nodiscard]] bool of_this_state(std::uint32_t ticket) const;
  void settle_closed(breaker_outcome outcome, time_point now, duration hint);
  void settle_probe(breaker_outcome outcome, time_point now, duration hint);
  void note_hint(time_point now, duration hint);
  [[nodiscard]] bool rate_tripped(time_point now) const;
  [[nodiscard]] duration open_time() const;

  breaker_config config_;
  breaker_state state_ = breaker_state::closed;
  // One sequence numbers states and permits. Calls of a closed breaker carry its state's number, a
  // probe one of its own; so a ticket of this state is never below era_.
  std::uint32_t last_ticket_ = 1;
  std::uint32_t era_ = 1;
  std::uint32_t failures_ = 0; // Consecutive ones while closed.
  std::uint32_t probed_ = 0;   // Successful probes of this probation.
  std::uint32_t reopened_ = 0; // Openings since it was last closed: the exponent of the back-off.
  time_point open_until_{};
  time_point hint_until_{}; // The farthest Retry-After since the last success.
  std::vector<lease> leases_;
  rolling_counter window_successes_;
  rolling_counter window_failures_;
  breaker_counts counts_;
};

} // namespace skep::flow
