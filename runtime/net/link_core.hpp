#pragma once

// tidy: allow size, the seam, the events and the core are read together

#include "messages/cluster.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/net/link_frame.hpp"
#include "runtime/net/link_outbox.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::net {

/// Bounds and names of one node's link.
struct link_config {
  std::string cluster = "skep";
  std::string node = "skep";
  /// Where the ROUTER listens; port * lets the system choose.
  std::string bind = "tcp://127.0.0.1:*";
  /// What peers are told to connect to; empty: the bound address.
  std::string advertise;
  /// One life of this process; a later life has a higher number.
  std::uint64_t incarnation = 1;
  std::uint64_t config_digest = 0;
  std::uint64_t schema_hash = 0;
  std::vector<msg::spoken_message> speaks;
  /// Peers at once; hellos of further ones are refused.
  std::size_t peers_max = 128;
  /// Bytes and messages waiting for one peer, those in flight not counted; what does not fit is
  /// refused to its sender.
  std::size_t queue_bytes_max = std::size_t{64} << 20;
  std::size_t queue_messages_max = 1u << 20;
  /// Messages are put together in frames of about this size.
  std::size_t frame_bytes = std::size_t{64} << 10;
  /// One message.
  std::size_t message_bytes_max = std::size_t{64} << 20;
  /// The credit this node grants each peer: bytes of data frames sent and not acknowledged.
  std::uint32_t window_bytes = 8u << 20;
  /// How often a peer hears of us, whatever else is said.
  duration beat_interval = 250ms;
  /// How often a hello is sent again to a peer there is no session with.
  duration hello_interval = 100ms;
  duration hello_interval_max = 1s;
  /// A data frame not acknowledged by then is sent again; doubles up to the second one.
  duration resend_min = 200ms;
  duration resend_max = 2s;
  /// Where the tokens come from; 0: the system's generator. Simulations give a seed to replay.
  std::uint64_t seed = 0;
};

/// Names one known peer on its link; never reused.
using link_peer_id = std::uint32_t;

/// The bytes of one frame body, shared between the first sending, the resendings and the socket.
using frame_body = std::shared_ptr<const std::string>;

/// The seam between protocol and sockets: ZeroMQ in a node, a seeded network in simulations. Called
/// on the link's thread only.
class link_socket {
public:
  virtual ~link_socket() = default;
  /// Opens the way to a peer; `name` binds it to its key where there are keys. Bad addresses are
  /// errc::bad_config.
  virtual expected<void> connect(link_peer_id peer, const std::string& name,
                                 const std::string& address)
    = 0;
  /// Closes it; what was not yet written is dropped.
  virtual void disconnect(link_peer_id peer) = 0;
  /// False when the pipe is full: the core keeps the frame and tries again. `body` may be null.
  virtual bool send(link_peer_id peer, const frame_head& head, const frame_body& body) = 0;
};

/// A peer as its hello described it.
struct link_peer_info {
  link_peer_id id = 0;
  msg::node_hello hello;
  /// Where messages to it go during this session; closed when the session ends.
  std::shared_ptr<link_outbox> outbox;
};

/// What a link tells the part above it, on the link's thread. Must be short.
class link_events {
public:
  virtual ~link_events() = default;
  /// A session began: `peer.outbox` takes messages.
  virtual void peer_up(const link_peer_info& peer) = 0;
  /// The session ended; no more of its messages come. Its outbox is closed already.
  virtual void peer_down(const link_peer_info& peer, const failure& why) = 0;
  /// Around the messages of one frame, so that what they cause can be done once.
  virtual void frame_begins() {}
  virtual void frame_ends() {}
  /// One message. The bytes are valid during the call only.
  virtual void message_came(const link_peer_info& peer, std::string_view bytes) = 0;
  /// The state a beat carried. Any frame of the session counts as life: see last_heard().
  /// `echoed_at`: when we sent the ping this beat echoes, so the peer has heard us no earlier than
  /// that; nothing when it echoes none of this session's.
  virtual void beat_came(const link_peer_info& peer, std::string_view state,
                         std::optional<time_point> echoed_at)
    = 0;
  /// What the next beats carry.
  virtual std::string beat_state() = 0;
  /// A peer refused us, or we refused it (`by_us`).
  virtual void refused(const msg::node_refusal& why, const std::string& peer, bool by_us) = 0;
  /// Called with every tick of the core, after its own work.
  virtual void ticked(time_point now) = 0;
};

/// How one peer's link is doing.
struct link_peer_stats {
  std::string name;
  std::string address;
  bool up = false;
  std::uint64_t incarnation = 0;
  /// Smoothed; zero: not known yet.
  duration round_trip{};
  time_point last_heard{};
  std::uint64_t queued_messages = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t in_flight_bytes = 0;
  /// What the peer grants: in flight plus credit left is this.
  std::uint64_t window_bytes = 0;
};

/// What a link did. Counters only grow.
struct link_stats {
  std::uint64_t messages_out = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t frames_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  /// Messages a full queue refused.
  std::uint64_t refused = 0;
  /// Frames that were none of ours: bad head, unknown token, not decodable.
  std::uint64_t malformed = 0;
  /// Data frames seen before (resendings) or ahead of a gap; dropped.
  std::uint64_t duplicates = 0;
  std::uint64_t gaps = 0;
  std::uint64_t resent = 0;
  std::uint64_t sessions = 0;
  std::uint64_t hellos_refused = 0;
};

/// The link protocol of one node without any socket: sessions (a hello each way, each side choosing
/// the token the other must put on its frames, so that frames of an older session or of a stranger
/// are dropped), sequence numbers, cumulative acknowledgements, resending from the first frame
/// missing (go-back-N), a window of unacknowledged bytes granted by the receiver, beats.
/// docs/wire-protocol.md is its page. Messages between two nodes arrive at most once and in order
/// within a session; a session that ends says so to both sides' parts above.
///
/// One thread (the link's) for everything except the outboxes.
class link_core {
public:
  /// `wake` is what outboxes call when a message comes into an empty one, on the pusher's thread;
  /// without it flush() has to be called often enough.
  link_core(link_config config, link_socket& socket, link_events& events,
            std::function<void()> wake = {});
  ~link_core();
  link_core(const link_core&) = delete;
  link_core& operator=(const link_core&) = delete;

  /// A peer to keep a session with (a seed, a member of the view). Known names get the new address.
  expected<link_peer_id> add_peer(const std::string& name, const std::string& address,
                                  time_point now);
  /// Ends the session with a goodbye and forgets the peer; should it say hello again, it is let in.
  void remove_peer(const std::string& name, const failure& why, time_point now);
  /// Ends the session (the failure detector says so); a known peer is greeted again.
  void close_session(const std::string& name, const failure& why, time_point now);
  /// Says goodbye to every peer; each session ends at both sides. The link is silent afterwards.
  void goodbye(time_point now);
  /// Sends a beat to every peer with the next flush(), for news that should not wait.
  void beat_now(time_point now);

  /// A frame arrived. `key_name`: the name the sender's key belongs to, empty without keys.
  void frame_came(std::string_view head, std::string_view body, std::string_view key_name,
                  time_point now);
  /// Moves messages from outboxes into frames and frames into the socket. False when something
  /// still waits for a full pipe (not for credit).
  bool flush(time_point now);
  /// Hellos, beats, resendings. To be called at next_tick() or a little later.
  void tick(time_point now);
  time_point next_tick() const;
  /// Messages wait that flush() could put into frames now. What an idle thread asks before it
  /// sleeps.
  bool waiting() const;

  /// When any frame of the peer's session came last; nothing without a session.
  std::optional<time_point> last_heard(const std::string& name) const;
  const link_config& config() const;
  /// The address peers are told.
  void set_advertised(std::string address);
  link_stats stats() const;
  std::vector<link_peer_stats> peers() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace skep::net
