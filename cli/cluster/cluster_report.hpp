#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What a node says about its cluster (GET /cluster), and how it is told to people; pure.
namespace skep::cli::cluster {

/// A member of the view. Incarnations are 64 bits wide, so they travel as text.
struct member_row {
  std::string name;
  std::string address;
  std::string incarnation;
  std::uint64_t weight = 0;
  bool draining = false;
  /// Slots it owns in this view.
  std::uint64_t slots = 0;
};

/// A link of the node asked.
struct peer_row {
  std::string name;
  std::string address;
  bool up = false;
  std::string incarnation;
  double rtt_ms = 0;
  /// Suspicion of the failure detector.
  double phi = 0;
  std::uint64_t queued_messages = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t in_flight_bytes = 0;
  std::uint64_t window_bytes = 0;
  /// What it serves: "agent/assistant".
  std::vector<std::string> names;
};

/// The answer to GET /cluster.
struct cluster_picture {
  std::string node;
  std::string cluster;
  std::string membership;
  std::string standing;
  bool quorum = false;
  std::string incarnation;
  std::uint64_t view = 0;
  std::string proposer;
  std::vector<member_row> members;
  std::vector<peer_row> peers;
  /// Nodes that were turned away, and why.
  std::vector<std::string> refusals;

  /// Null when the view has no member of this name.
  const member_row* member(std::string_view name) const;
};

/// Reads the body; what is missing stays at its default, so that nodes of other versions are shown
/// as far as they can be. errc::malformed when it is no such object.
expected<cluster_picture> read_cluster(const std::string& body);

/// The picture as aligned tables for a terminal.
std::string report_of(const cluster_picture& picture);

/// "512 B", "1.5 KiB", "4.0 MiB".
std::string bytes_text(std::uint64_t bytes);

} // namespace skep::cli::cluster
