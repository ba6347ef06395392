#pragma once

#include "messages/errc.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/flow/outlier_detector.hpp"
#include "runtime/flow/picker.hpp"
#include "runtime/flow/slow_start.hpp"

#include <caf/actor.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::telemetry {
class counter;
class gauge;
} // namespace skep::telemetry

namespace skep::actors {

struct balancer_member;

/// How a balancer treats members that do badly.
struct health_rules {
  /// Off: nobody is ejected.
  bool eject = true;
  flow::outlier_config outlier;
  flow::slow_start_config slow_start;
};

/// Takes a balancer's outliers out of its picker for a while, and lets members that come back, from
/// an ejection or because the circuit of their guard closed, begin with a small share of their
/// calls. settled(), refused() and nobody_left() are for any thread and take no lock; they say when
/// the owner should call look(), which is for its own thread alone.
class member_health {
public:
  member_health(const std::vector<balancer_member>& members, flow::picker& picker,
                const health_rules& rules, telemetry::registry& metrics, const std::string& name);

  /// A call at this member ended so.
  [[nodiscard]] bool settled(std::size_t member, errc code) noexcept;
  /// The member would not take a call.
  [[nodiscard]] bool refused(std::size_t member) noexcept;
  /// No member would take a call.
  [[nodiscard]] bool nobody_left() noexcept;

  /// Does what is due and says when to come again; nothing: when told to.
  std::optional<time_point> look(time_point now);

  /// What a weight of 1 is in the picker, so that a part of it is a whole number.
  static constexpr std::uint32_t weight_unit = 100;

private:
  using slot_index = flow::picker::slot_index;

  /// What other threads saw of a member.
  struct sighting {
    std::atomic<bool> tripped{false};
    std::atomic<bool> refused{false};
  };
  enum class phase : std::uint8_t { full, circuit_open, newcomer };
  struct state {
    phase what = phase::full;
    time_point since{};
    std::uint32_t weight = 0; // As the picker has it.
  };

  bool wake() noexcept;
  bool usable(std::size_t member) const;
  void eject_tripped(time_point now);
  void sweep(time_point now);
  void put_out(std::size_t member);
  void bring_back(const std::vector<std::size_t>& members, time_point now);
  void watch_circuits(time_point now);
  bool watch_circuit(std::size_t member, bool forget, time_point now);
  void set_weights(time_point now);
  void begin(std::size_t member, phase what, time_point now);
  void show();

  const std::vector<balancer_member>& members_;
  flow::picker& picker_;
  const health_rules rules_;
  flow::outlier_detector detector_;
  const flow::outlier_detector::usable_fn usable_;
  std::unique_ptr<sighting[]> seen_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> failing_{false}; // Somebody failed since the last sweep.
  std::atomic<bool> panic_{false};
  // Owner's thread.
  std::vector<state> states_;
  std::size_t newcomers_ = 0;
  std::optional<time_point> sweep_at_;
  std::optional<time_point> watch_at_;
  flow::outlier_detector::totals shown_;
  telemetry::counter& failing_ejections_;
  telemetry::counter& rate_ejections_;
  telemetry::counter& suppressed_;
  telemetry::gauge& ejected_;
  telemetry::gauge& starting_;
};

} // namespace skep::actors
