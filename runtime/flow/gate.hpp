#pragma once

#include "messages/errc.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/flow/adaptive_limit.hpp"
#include "runtime/flow/circuit_breaker.hpp"
#include "runtime/flow/latency_floor.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace skep::flow {

/// The steps of admission, in their order.
enum class gate_step : std::uint8_t {
  admitted,  ///< No step refused.
  deadline,  ///< The call is late, or has less time left than the fastest answer takes.
  in_flight, ///< The fixed bound of calls at work.
  limit,     ///< The adaptive one.
  quota,     ///< The account's quota was found spent and the hold is not over.
  circuit,   ///< The breaker is open, or its probe is out.
};

/// What one gate admits.
struct gate_config {
  breaker_config breaker;
  bool use_breaker = true;
  /// Calls admitted and not yet ended.
  std::uint32_t in_flight_max = 100'000;
  adaptive_limit_config limit;
  bool use_limit = false;
  /// What a call that finds the gate full is told.
  duration full_retry_after = 100ms;
  /// A call with less time left than this is refused; zero: only one with none.
  duration remaining_min{};
  /// How far back the fastest answer is looked for, and how many there must be to believe it.
  duration floor_window = 30s;
  std::uint32_t floor_samples_min = 20;
  /// For the gate of the upstream itself. Those further in front hear of a spent quota, too, but
  /// for them it is one route's trouble among others.
  bool use_quota_hold = false;
  /// How long the route stays closed once the quota is spent; doubles with each probe that finds it
  /// still spent. An upstream's Retry-After counts if it is longer.
  duration quota_hold = 60s;
  /// The doubling ends, and a Retry-After is believed, up to here.
  duration quota_hold_max = 600s;
};

/// The gate's answer to a call. An admitted one is settled once, with the ticket.
struct gate_answer {
  gate_step refused_by = gate_step::admitted;
  errc code = errc::none;
  /// When refused: when it makes sense to ask again; zero for a call that is late.
  duration retry_after{};
  std::uint64_t ticket = 0;

  [[nodiscard]] bool admitted() const {
    return refused_by == gate_step::admitted;
  }
};

/// How an admitted call ended.
struct gate_result {
  errc code = errc::none;
  /// What the upstream asked for along with a failure; zero: nothing.
  duration retry_after{};
  /// What it took to begin its answer; zero: not measured.
  duration latency{};
  /// False: it was refused on the way, and nothing about the upstream is learnt.
  bool asked = true;
};

/// How a circuit or a hold stands.
struct gate_standing {
  breaker_state state = breaker_state::closed;
  /// How often it tripped; grows only.
  std::uint64_t trips = 0;
  /// While it is open: for how long still.
  duration wait{};
};

/// Admission of one upstream route, in this order: deadline, bulkhead (a fixed bound and, if asked
/// for, an adaptive one), quota hold, circuit breaker. The cheap steps that take nothing come
/// first; the breaker, whose permit is the scarcest thing, last, so that no later step can waste
/// one. O(1), and without allocation once made. Not thread-safe; copyable.
class gate {
public:
  explicit gate(const gate_config& config = {});

  /// May a call that has time until `deadline` go out now?
  [[nodiscard]] gate_answer acquire(time_point deadline, time_point now);

  /// An admitted call ended: its place and permits are given back, what it says about the upstream
  /// is learnt.
  void settle(std::uint64_t ticket, const gate_result& result, time_point now);

  /// A call without a deadline would be admitted.
  [[nodiscard]] bool would_admit(time_point now) const;

  [[nodiscard]] breaker_state circuit(time_point now) const {
    return breaker_.state(now);
  }
  [[nodiscard]] std::uint32_t in_flight() const {
    return in_flight_;
  }
  /// The calls that may be at work: the adaptive limit if there is one, and the bound.
  [[nodiscard]] std::uint32_t limit() const;
  /// How long the quota holds the route closed; zero when it does not.
  [[nodiscard]] duration quota_hold(time_point now) const;
  [[nodiscard]] const circuit_breaker& breaker() const {
    return breaker_;
  }
  [[nodiscard]] gate_standing circuit_standing(time_point now) const;
  [[nodiscard]] gate_standing quota_standing(time_point now) const;

  /// As circuit_breaker's. The adaptive limit's course is left out: it belongs to its own tests.
  [[nodiscard]] std::vector<std::int64_t> fingerprint(time_point now) const;

private:
  [[nodiscard]] bool hopeless(time_point deadline, time_point now) const;
  [[nodiscard]] std::optional<gate_answer> refuse_early(time_point deadline, time_point now);
  void teach_limit(const gate_result& how, time_point now);

  gate_config config_;
  circuit_breaker breaker_;
  // A breaker whose only failure is a spent quota and whose open time is the hold, so that the
  // probe after it is leased and judged by the same rules.
  circuit_breaker quota_;
  adaptive_limit limit_;
  latency_floor floor_;
  std::uint32_t in_flight_ = 0;
};

/// What the breaker learns of a call that ended like this; the table is docs/upstream-policy.md's.
breaker_outcome breaker_outcome_of(errc code);

} // namespace skep::flow
