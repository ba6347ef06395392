#pragma once

// tidy: allow size, one peer's state and the parts that work on it are read together

// What link_core.cpp (frames, timers) and link_greeting.cpp (hellos, ways, sessions' begin and end)
// share. For these two files only.
#include "runtime/net/link_core.hpp"
#include "runtime/net/link_receiver.hpp"
#include "runtime/net/link_sender.hpp"

#include <compare>
#include <map>
#include <random>
#include <unordered_map>
#include <utility>

namespace skep::net {

struct link_peer;

/// One connection of the socket.
struct link_way {
  link_peer_id id = 0; ///< 0: none.
  std::string address;
};

/// Orders the sessions a peer asks for; grows within a life, and lives grow.
struct session_mark {
  std::uint64_t incarnation = 0;
  std::uint64_t attempt = 0;
  auto operator<=>(const session_mark&) const = default;
};

/// A session: being opened, live, ended. Its token is bound to one token of the peer, once: so a
/// frame that carries ours can only come from the session of the peer whose hello we know.
struct link_session {
  link_session(link_peer& peer, std::uint64_t attempt_number, std::uint64_t our_token)
    : owner(&peer), attempt(attempt_number), token(our_token) {}

  session_mark mark() const {
    return {info.hello.incarnation, info.hello.attempt};
  }

  link_peer* owner; ///< Valid until `ended`.
  std::uint64_t attempt;
  std::uint64_t token; ///< The peer must put it on its frames.
  /// A hello of the peer came; it is in info.hello.
  bool bound = false;
  bool live = false;
  bool ended = false;
  time_point bound_at{};
  std::uint32_t window = 0; ///< What that hello grants.
  link_peer_info info;
  /// When the hello names another address than the one the peer is connected at.
  link_way detour;

  // Of a live session.
  std::optional<link_sender> sender;
  std::optional<link_receiver> receiver;
  time_point last_heard{};
  time_point next_beat{};
  std::uint64_t first_ping_us = 0;
  std::uint64_t last_ping_us = 0;
  std::uint64_t heard_ping_us = 0;
  time_point heard_ping_at{};
  duration round_trip{};
};

using link_session_ptr = std::shared_ptr<link_session>;

/// Somebody we know by name.
struct link_peer {
  link_peer_id id = 0;
  std::string name;
  /// add_peer() named it, with this address; else it came by itself.
  bool added = false;
  std::string added_address;
  link_way way;
  link_session_ptr live;
  link_session_ptr next; ///< Being opened, beside the live one or without.
  /// Of its last live session: hellos up to it are old.
  session_mark last;
  time_point next_hello{};
  duration hello_gap{};
  std::uint32_t greetings = 0;
  time_point answer_from = time_point::min();
  time_point rebind_from = time_point::min();
  time_point tell_refused_from = time_point::min();
  /// When a peer nobody added is forgotten, unless it has a session.
  time_point forget_at = time_point::max();
};

using link_peer_ptr = std::shared_ptr<link_peer>;

struct link_core::impl {
  impl(link_config c, link_socket& s, link_events& e, std::function<void()> w)
    : config(std::move(c)), socket(s), events(e), wake(std::move(w)),
      // Two lives with one seed must not have the same tokens.
      random(config.seed ^ config.incarnation << 32) {}

  // Frames and timers: link_core.cpp.
  void frame_came(std::string_view head_bytes, std::string_view body, std::string_view key_name,
                  time_point now);
  void session_frame(const frame_head& head, std::string_view body, std::string_view key_name,
                     time_point now);
  void data_came(const link_session_ptr& to, const frame_head& head, std::string_view body,
                 time_point now);
  void beat_came(const link_session_ptr& to, std::string_view body, time_point now);
  bool emit(link_peer_id to, const frame_head& head, const frame_body& body);
  bool emit_session(link_session& from, frame_kind kind, std::uint64_t sequence,
                    const frame_body& body);
  void send_ack(link_session& from, time_point now);
  bool pump(link_session& from, time_point now);
  void send_beats(const std::vector<link_session_ptr>& to, time_point now);
  void tick_peer(link_peer& peer, time_point now, std::vector<link_session_ptr>& beats);
  time_point peer_due(const link_peer& peer) const;
  std::vector<link_peer_ptr> all_peers() const;

  // Hellos, ways, sessions: link_greeting.cpp.
  link_peer* find(const std::string& name) const;
  link_peer& make_peer(const std::string& name, time_point now);
  expected<void> connect(link_way& way, const std::string& name, const std::string& address);
  void disconnect(link_way& way);
  void retire(link_way& way, time_point now);
  const link_way& way_of(const link_session& s) const;
  void hello_came(const frame_head& head, std::string_view body, std::string_view key_name,
                  time_point now);
  void refusal_came(std::string_view body, time_point now);
  bool name_is_free(const msg::node_hello& hello, std::string_view key_name, time_point now);
  link_peer* admit(const msg::node_hello& hello, std::string_view key_name, time_point now);
  void take_hello(link_peer& peer, msg::node_hello hello, std::uint32_t window, time_point now);
  bool answers_us(const link_peer& peer, const msg::node_hello& hello) const;
  bool bind_next(link_peer& peer, msg::node_hello hello, std::uint32_t window, time_point now);
  bool needs_new_token(const link_session& next, const msg::node_hello& hello) const;
  void open_next(link_peer& peer);
  void drop_next(link_peer& peer);
  void greet(link_peer& peer, time_point now);
  void answer(link_peer& peer, link_session& from, const msg::node_hello& hello, time_point now);
  bool send_hello(link_session& from, bool echoes = true);
  void establish(link_peer& peer, time_point now);
  void start_live(link_peer& peer, time_point now);
  void end_live(link_peer& peer, const failure& why, bool reconnect, time_point now);
  void refuse(const msg::node_hello& hello, std::string_view key_name, const msg::node_refusal& why,
              time_point now);
  void forget(link_peer& peer);
  void keep_for_a_while(link_peer& peer, time_point now);
  void expire(time_point now);
  std::uint64_t make_token();

  const link_config config;
  link_socket& socket;
  link_events& events;
  const std::function<void()> wake;
  std::string advertised;
  std::map<std::string, link_peer_ptr> peers;
  std::unordered_map<std::uint64_t, link_session_ptr> tokens;
  /// Connections that only wait for their last frame to leave; refusals have a name.
  struct retired_way {
    link_way way;
    std::string refused;
    time_point until;
  };
  std::vector<retired_way> retired;
  link_peer_id next_id = 1;
  std::uint64_t attempts = 0;
  std::mt19937_64 random;
  bool beats_wanted = false;
  bool closing = false;
  time_point last_tick{};
  link_stats count;
};

} // namespace skep::net
