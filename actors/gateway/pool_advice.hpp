#pragma once

#include <cstdint>
#include <string>
#include <vector>

// What to change about a pool, by rule: each piece of advice cites the figures it follows from, and
// a pool that does well gets none. Pure.
namespace skep::actors {

/// One agent pool as its metrics show it. Counts of the window are over `window_seconds`.
struct pool_figures {
  std::string name;
  double size = 0;
  double idle = 0;
  double size_max = 0;
  double idle_min = 0;
  double idle_ttl_seconds = 0;
  /// The most at work at once in the window.
  double busy_peak = 0;
  double window_seconds = 0;
  double checkouts = 0;
  double refused = 0;
  double spawned = 0;
  double evicted = 0;
  double discarded = 0;
};

/// One pool of connections: to a provider's host, or to Redis. These size themselves within bounds.
struct connection_figures {
  /// "fetch/HOST", "redis".
  std::string name;
  /// Connections that may be at work now.
  double size = 0;
  double in_use = 0;
  /// Calls waiting for a connection now.
  double waiting = 0;
  double window_seconds = 0;
  /// Calls refused at the pool's bound, and connections lost, in the window.
  double refused = 0;
  double lost = 0;
};

/// One thing to change.
struct advice {
  /// Which rule spoke; stable, for programs.
  std::string rule;
  std::string pool;
  /// The option to change; empty when it is not one.
  std::string option;
  /// What to set it to; 0 when there is no figure to give.
  std::uint64_t proposed = 0;
  /// The figures and what to do, for people.
  std::string reason;
};

/// Rules: refusals, a pool nearly full, instances started over and over, far more idle instances
/// than needed, instances that crash.
std::vector<advice> advise(const pool_figures& pool);
/// Rules: refusals, calls that wait although every connection is at work, connections that break.
std::vector<advice> advise(const connection_figures& pool);

} // namespace skep::actors
