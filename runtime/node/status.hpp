#pragma once

#include "runtime/base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <string>

namespace skep::rt {

/// Where a node stands in its life.
enum class node_phase : std::uint8_t { starting, ready, draining, failed };

/// What all parts of a node may read of it. Thread-safe.
struct node_status {
  std::string name;
  std::atomic<node_phase> phase{node_phase::starting};
  time_point started_at = clock::now();
  /// Somebody asked this node over HTTP or from another node to stop in good order.
  std::atomic<bool> drain_requested{false};
  /// The debug command that kills an actor by name is allowed.
  bool debug_kill = false;
  /// Where clients reach the node, "127.0.0.1:8080"; set before the phase becomes ready.
  std::string endpoint;
  /// Of admin.listen; empty when operations are served at `endpoint`.
  std::string operations_endpoint;
};

} // namespace skep::rt
