#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Tags 0x04xx: nodes among themselves. docs/wire-protocol.md explains who sends what when.
namespace skep::msg {

/// A message type a node understands.
struct spoken_message {
  std::uint32_t tag = 0;
  std::uint32_t version = 0;
  SKEP_RECORD(tag, version)
};

/// The body of a hello frame: who the sender is and what it needs of the receiver.
struct node_hello {
  std::string cluster;
  std::string node;
  /// Where the sender's ROUTER is reached: "tcp://10.0.0.1:7400".
  std::string address;
  /// One life of the process; a later life has a higher number.
  std::uint64_t incarnation = 0;
  /// Counts the sender's sessions with the receiver within this life, from 1.
  std::uint64_t attempt = 0;
  /// Frames to the sender must carry this from now on.
  std::uint64_t token = 0;
  /// The token the receiver gave the sender last; 0: none heard yet.
  std::uint64_t echo = 0;
  /// Hash of the `[cluster]` options all nodes must agree on; 0: a foreign peer, which has none.
  std::uint64_t config_digest = 0;
  /// Of messages/schema.json, for people. 0: not told. Nodes of different versions may meet:
  /// messages only grow at their end.
  std::uint64_t schema_hash = 0;
  /// What the sender understands; a foreign peer lists just what it speaks.
  std::vector<spoken_message> speaks;
  SKEP_MESSAGE(0x0401, 1, cluster, node, address, incarnation, attempt, token, echo, config_digest,
               schema_hash, speaks)
};

/// Why a hello was not accepted. Wire format: append only.
enum class refusal : std::uint8_t {
  none = 0,
  /// Another protocol major.
  protocol = 1,
  /// Another cluster's name.
  cluster = 2,
  /// The `[cluster]` options differ.
  config = 3,
  /// A live node has this name.
  name_taken = 4,
  /// The key does not belong to this name.
  key = 5,
  /// As many peers as peers_max already.
  full = 6,
};

/// The body of a refusal frame.
struct node_refusal {
  std::string node;              ///< Who refuses.
  std::uint8_t reason = 0;       ///< A refusal.
  std::string text;              ///< Says which and why, for people.
  std::uint64_t incarnation = 0; ///< Of the life that is refused.
  SKEP_MESSAGE(0x0402, 1, node, reason, text, incarnation)
};

/// The body of a beat frame: life, round-trip time, and what the cluster part has to say.
struct link_beat {
  /// The sender's clock in microseconds, to be echoed.
  std::uint64_t ping_us = 0;
  /// The last ping_us heard from the receiver; 0: none yet.
  std::uint64_t echo_us = 0;
  /// How long ago that ping came.
  std::uint64_t held_us = 0;
  /// An encoded member_state; empty from peers that are no members (foreign agents).
  std::string state;
  SKEP_MESSAGE(0x0403, 1, ping_us, echo_us, held_us, state)
};

/// A node as a view lists it.
struct member {
  std::string name;
  std::uint64_t incarnation = 0;
  std::string address;
  /// Share of the slots; 0 owns none.
  std::uint32_t weight = 1;
  /// Leaving: owns nothing any more and gets no new work.
  bool draining = false;
  SKEP_RECORD(name, incarnation, address, weight, draining)
};

/// Who belongs to the cluster: numbered, decided once per number, never changed.
struct cluster_view {
  std::uint64_t number = 0;
  /// Who proposed it.
  std::string proposer;
  /// Sorted by name.
  std::vector<member> members;
  SKEP_RECORD(number, proposer, members)
};

/// What a member tells all others with each beat: the whole of its state, so that a lost beat
/// costs nothing.
struct member_state {
  member self;
  /// Nodes the sender hears.
  std::vector<std::string> hears;
  /// The newest view the sender has installed; number 0: none.
  cluster_view installed;
  /// The proposal of the highest number the sender has voted for; number 0: none.
  cluster_view vote;
  /// The sender's ballot file cannot be written: it neither votes nor proposes.
  bool cannot_vote = false;
  SKEP_MESSAGE(0x0404, 2, self, hears, installed, vote, cannot_vote)
};

/// The names the sender serves ("agent/support"), all of them, sent to every peer when its session
/// begins and when they change. Nobody answers.
struct node_announce {
  std::vector<std::string> names;
  SKEP_MESSAGE(0x0405, 1, names)
};

/// Asks a node to leave the cluster in good order. Answered by ack once it has begun to.
struct node_drain_request {
  SKEP_MESSAGE(0x0406, 1)
};

} // namespace skep::msg
