#include "actors/gateway/pool_advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace skep::actors {

namespace {

// A proposal has a fifth to spare and is at most four times what there is: after such a step the
// figures are others, and so is the advice.
constexpr double headroom = 1.2;
constexpr double step_max = 4;
// From here on the next peak may be refused.
constexpr double nearly_full = 0.9;
// Fewer events than these say nothing about a setting.
constexpr double churn_min = 10;
constexpr double churn_share = 0.1;
constexpr double crashes_min = 5;
constexpr double crash_share = 0.05;
// Some idle instances cost nothing to speak of.
constexpr double idle_worth_naming = 16;
constexpr double idle_far_above = 4;
// A judgement on what nobody used needs time.
constexpr double long_enough_seconds = 240;

std::uint64_t whole(double value) {
  return static_cast<std::uint64_t>(std::ceil(value));
}

/// "size_max" of the agent "x" is an option of [agent.x.pool]; pass-through pools have none.
std::string option_of(const pool_figures& pool, const char* key) {
  return pool.name.starts_with("model/") ? std::string{} : "agent." + pool.name + ".pool." + key;
}

void judge_refusals(const pool_figures& p, std::vector<advice>& into) {
  if (p.refused > 0) {
    // By Little's law the instances needed grow with the calls offered.
    const double offered = (p.checkouts + p.refused) / std::max(1.0, p.checkouts);
    const double wanted
      = std::clamp(p.size_max * offered * headroom, p.size_max + 1, p.size_max * step_max);
    into.push_back({"refused", p.name, option_of(p, "size_max"), whole(wanted),
                    fmt::format("{:.0f} of {:.0f} calls were refused in the last {:.0f} s because "
                                "all {:.0f} instances were at work: raise size_max to {}",
                                p.refused, p.checkouts + p.refused, p.window_seconds, p.size_max,
                                whole(wanted))});
  } else if (p.busy_peak >= nearly_full * p.size_max && p.size_max > 1) {
    const auto wanted = whole(p.size_max * headroom);
    into.push_back({"nearly_full", p.name, option_of(p, "size_max"), wanted,
                    fmt::format("up to {:.0f} of {:.0f} instances were at work at once in the last "
                                "{:.0f} s: raise size_max to {} before calls are refused",
                                p.busy_peak, p.size_max, p.window_seconds, wanted)});
  }
}

void judge_churn(const pool_figures& p, std::vector<advice>& into) {
  const double restarted = std::min(p.spawned, p.evicted);
  if (restarted < churn_min || restarted < churn_share * p.checkouts)
    return;
  const auto wanted = whole(std::min(p.busy_peak * headroom, p.size_max));
  into.push_back({"churn", p.name, option_of(p, "idle_min"), wanted,
                  fmt::format("in the last {:.0f} s {:.0f} instances were ended after {:.0f} s of "
                              "idleness and {:.0f} started again, for {:.0f} calls: raise idle_min "
                              "to {}, or idle_ttl_ms above {:.0f}",
                              p.window_seconds, p.evicted, p.idle_ttl_seconds, p.spawned,
                              p.checkouts, wanted, p.idle_ttl_seconds * 1000)});
}

void judge_idleness(const pool_figures& p, std::vector<advice>& into) {
  if (p.window_seconds < long_enough_seconds || p.idle_min < idle_worth_naming
      || p.busy_peak * idle_far_above > p.idle_min)
    return;
  const auto wanted = std::max<std::uint64_t>(4, whole(p.busy_peak * headroom));
  into.push_back({"idle", p.name, option_of(p, "idle_min"), wanted,
                  fmt::format("at most {:.0f} of the {:.0f} instances kept idle were at work at "
                              "once in the last {:.0f} s: lower idle_min to {}",
                              p.busy_peak, p.idle_min, p.window_seconds, wanted)});
}

void judge_crashes(const pool_figures& p, std::vector<advice>& into) {
  if (p.discarded < crashes_min || p.discarded < crash_share * p.checkouts)
    return;
  into.push_back({"crashes",
                  p.name,
                  {},
                  0,
                  fmt::format("{:.0f} of {:.0f} calls in the last {:.0f} s ended their instance by "
                              "a crash: the log has the reasons",
                              p.discarded, p.checkouts, p.window_seconds)});
}

} // namespace

std::vector<advice> advise(const pool_figures& pool) {
  std::vector<advice> made;
  judge_refusals(pool, made);
  judge_churn(pool, made);
  judge_idleness(pool, made);
  judge_crashes(pool, made);
  return made;
}

std::vector<advice> advise(const connection_figures& p) {
  std::vector<advice> made;
  if (p.refused > 0)
    made.push_back({"refused",
                    p.name,
                    {},
                    0,
                    fmt::format("{:.0f} calls were refused in the last {:.0f} s, with {:.0f} of "
                                "{:.0f} connections at work and {:.0f} calls waiting: allow more "
                                "connections, or fewer calls at once",
                                p.refused, p.window_seconds, p.in_use, p.size, p.waiting)});
  else if (p.waiting > p.size && p.in_use >= p.size)
    made.push_back({"waiting",
                    p.name,
                    {},
                    whole(p.size * headroom),
                    fmt::format("{:.0f} calls wait for one of {:.0f} connections, all at work: "
                                "allow more connections if this lasts",
                                p.waiting, p.size)});
  if (p.lost >= crashes_min)
    made.push_back({"lost",
                    p.name,
                    {},
                    0,
                    fmt::format("{:.0f} connections broke in the last {:.0f} s: the network or the "
                                "server ends them",
                                p.lost, p.window_seconds)});
  return made;
}

} // namespace skep::actors
