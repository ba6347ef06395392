#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/config/document.hpp"
#include "runtime/config/schema.hpp"
#include "runtime/config/secret.hpp"
#include "runtime/node/role.hpp"
#include "runtime/node/status.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace skep::rt {

/// `[node]`.
struct node_config {
  std::string name = "skep";
  /// Threads that run actors; 0: one per core, at least 2.
  std::uint32_t threads = 0;
  /// Messages an actor may handle before another gets its worker.
  std::uint32_t throughput_max = 500;
  bool force_wire = false;
  bool debug_kill = false;
  std::chrono::milliseconds drain_timeout{30'000};
  /// File descriptors kept for links, Redis, the store and the log.
  std::uint32_t descriptors_reserve = 128;
  /// What requests are told apart with; empty: see identity_source.
  config::secret identity_secret;
  /// Empty: nothing is kept.
  std::string data_dir;
};

/// `[supervision]`.
struct supervision_config {
  std::uint32_t restarts_max = 10;
  std::chrono::milliseconds restarts_window{30'000};
  std::chrono::milliseconds backoff_min{20};
  std::chrono::milliseconds backoff_max{5'000};
};

/// One process's worth of skep: the actor system, a supervisor per role, everything built from one
/// configuration.
class node {
public:
  /// The schema of the node itself and of all roles, their sections in the order given.
  static config::schema schema_of(std::span<const role> roles);

  /// Builds each role after those it needs. On failure everything already started is stopped again.
  static expected<std::unique_ptr<node>> start(const config::document& config,
                                               std::span<const role> roles);
  ~node();

  node_status& status();
  environment& env();

  /// Stops accepting, waits until what runs has ended or the drain time-out passed; true when
  /// nothing was cut.
  bool drain();
  /// The drain's time-out, from the configuration.
  std::chrono::milliseconds drain_timeout() const;

private:
  struct impl;
  explicit node(std::unique_ptr<impl> state);

  std::unique_ptr<impl> impl_;
};

} // namespace skep::rt
