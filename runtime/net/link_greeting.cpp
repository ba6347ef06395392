#include "messages/codec.hpp"
#include "runtime/base/assert.hpp"
#include "runtime/net/link_core_impl.hpp"
#include "runtime/net/link_hello.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::net {

namespace {

// A name is taken while its session was heard within this time.
constexpr duration name_held = 2s;
// What a peer said in a hello is forgotten when neither it nor its proof came again for this long.
constexpr duration unproven_age_max = 2500ms;
// Strangers who said hello and have not proved yet that they hear us.
constexpr std::size_t unproven_max = 16;
// A peer nobody added is greeted for this long after its session.
constexpr duration forget_after = 30s;
// Hellos are answered at most this often per peer.
constexpr duration answer_gap = 10ms;
// How long a connection stays open for its last frame, and how many of these there may be.
constexpr duration retire_after = 1s;
constexpr std::size_t retired_max = 32;
constexpr std::size_t refusals_max = 8;

session_mark mark_of(const msg::node_hello& hello) {
  return {hello.incarnation, hello.attempt};
}

} // namespace

// -- peers and ways -------------------------------------------------------------------------------

link_peer* link_core::impl::find(const std::string& name) const {
  const auto entry = peers.find(name);
  return entry != peers.end() ? entry->second.get() : nullptr;
}

link_peer& link_core::impl::make_peer(const std::string& name, time_point now) {
  auto& entry = peers[name];
  if (!entry) {
    entry = std::make_shared<link_peer>();
    entry->id = next_id++;
    entry->name = name;
  }
  entry->next_hello = now;
  entry->hello_gap = config.hello_interval;
  return *entry;
}

expected<void> link_core::impl::connect(link_way& way, const std::string& name,
                                        const std::string& address) {
  SKEP_ASSERT(way.id == 0);
  const auto id = next_id++;
  if (auto done = socket.connect(id, name, address); !done)
    return done;
  way = {id, address};
  return {};
}

void link_core::impl::disconnect(link_way& way) {
  if (way.id != 0)
    socket.disconnect(way.id);
  way = {};
}

/// Disconnects a little later, so that the last frame can leave.
void link_core::impl::retire(link_way& way, time_point now) {
  if (retired.size() >= retired_max)
    return disconnect(way);
  retired.push_back({std::exchange(way, {}), {}, now + retire_after});
}

const link_way& link_core::impl::way_of(const link_session& s) const {
  return s.detour.id != 0 ? s.detour : s.owner->way;
}

void link_core::impl::forget(link_peer& peer) {
  drop_next(peer);
  disconnect(peer.way);
  peers.erase(std::string{peer.name});
}

void link_core::impl::keep_for_a_while(link_peer& peer, time_point now) {
  peer.forget_at = now + forget_after;
}

/// Ends what waited for its time: connections without a use, strangers who are gone.
void link_core::impl::expire(time_point now) {
  for (auto& each : retired)
    if (each.until <= now)
      disconnect(each.way);
  std::erase_if(retired, [&](const auto& each) { return each.until <= now; });
  for (const auto& peer : all_peers()) {
    if (peer->next && peer->next->bound && now - peer->next->bound_at > unproven_age_max)
      drop_next(*peer);
    if (!peer->live && now >= peer->forget_at)
      forget(*peer);
  }
}

// -- saying hello ---------------------------------------------------------------------------------

std::uint64_t link_core::impl::make_token() {
  for (;;) {
    std::uint64_t token = 0;
    if (config.seed != 0) {
      token = random();
    } else {
      std::random_device system;
      token = std::uint64_t{system()} << 32 | system();
    }
    if (token != 0 && !tokens.contains(token))
      return token;
  }
}

/// A fresh token for the next session; what was being opened is given up.
void link_core::impl::open_next(link_peer& peer) {
  drop_next(peer);
  peer.next = std::make_shared<link_session>(peer, ++attempts, make_token());
  tokens.emplace(peer.next->token, peer.next);
}

void link_core::impl::drop_next(link_peer& peer) {
  if (!peer.next)
    return;
  const auto gone = std::exchange(peer.next, nullptr);
  tokens.erase(gone->token);
  gone->ended = true;
  disconnect(gone->detour);
}

bool link_core::impl::send_hello(link_session& from, bool echoes) {
  msg::node_hello hello;
  hello.cluster = config.cluster;
  hello.node = config.node;
  hello.address = advertised;
  hello.incarnation = config.incarnation;
  hello.attempt = from.attempt;
  hello.token = from.token;
  hello.echo = from.bound && echoes ? from.info.hello.token : 0;
  hello.config_digest = config.config_digest;
  hello.schema_hash = config.schema_hash;
  hello.speaks = config.speaks;
  std::string body;
  encode(hello, body);
  frame_head head;
  head.kind = frame_kind::hello;
  head.window = config.window_bytes;
  return emit(way_of(from).id, head, std::make_shared<const std::string>(std::move(body)));
}

/// Says hello to a peer without a session, ever more rarely. Every other time without an echo: what
/// we heard may have been forged, and a peer that still has a session ignores a wrong echo.
void link_core::impl::greet(link_peer& peer, time_point now) {
  if (peer.way.id == 0)
    static_cast<void>(connect(peer.way, peer.name, peer.added_address));
  if (!peer.next)
    open_next(peer);
  if (way_of(*peer.next).id != 0)
    send_hello(*peer.next, peer.greetings++ % 2 == 0);
  // Two nodes that started together should not go on in step.
  const auto jitter = peer.hello_gap * static_cast<int>(random() % 256) / 1024;
  peer.next_hello = now + peer.hello_gap + jitter;
  peer.hello_gap = std::min(peer.hello_gap * 2, config.hello_interval_max);
}

void link_core::impl::answer(link_peer& peer, link_session& from, const msg::node_hello& hello,
                             time_point now) {
  if (now < peer.answer_from)
    return;
  peer.answer_from = now + answer_gap;
  if (from.live && hello.echo == from.token)
    emit_session(from, frame_kind::ack, from.sender->last_sent(), nullptr); // Our proof was lost.
  else
    send_hello(from);
}

// -- hearing hello --------------------------------------------------------------------------------

void link_core::impl::hello_came(const frame_head& head, std::string_view body,
                                 std::string_view key_name, time_point now) {
  auto hello = read_hello(body);
  if (!hello) {
    ++count.malformed;
    return;
  }
  if (hello->node == config.node && hello->incarnation == config.incarnation
      && hello->address == advertised)
    return; // Our own voice: somebody gave us our own address.
  if (const auto why = examine(config, *hello, {head.major, key_name}))
    return refuse(*hello, key_name, *why, now);
  if (!name_is_free(*hello, key_name, now))
    return;
  auto* peer = find(hello->node);
  if (peer == nullptr || peer->way.id == 0)
    peer = admit(*hello, key_name, now);
  if (peer != nullptr)
    take_hello(*peer, std::move(*hello), head.window, now);
}

/// Refuses a hello whose name belongs to somebody else who is alive.
bool link_core::impl::name_is_free(const msg::node_hello& hello, std::string_view key_name,
                                   time_point now) {
  std::string holder;
  if (hello.node == config.node) {
    holder = advertised;
  } else if (const auto* peer = find(hello.node); peer != nullptr && peer->live
                                                  && peer->live->info.hello.address != hello.address
                                                  && now - peer->live->last_heard < name_held) {
    holder = peer->live->info.hello.address;
  }
  if (holder.empty())
    return true;
  refuse(hello, key_name,
         make_refusal(config, hello, msg::refusal::name_taken,
                      fmt::format("a live node at {} has the name {}; every node needs its own",
                                  holder, hello.node)),
         now);
  return false;
}

/// Makes a stranger a peer, if there is room.
link_peer* link_core::impl::admit(const msg::node_hello& hello, std::string_view key_name,
                                  time_point now) {
  std::size_t connected = 0;
  std::size_t unproven = 0;
  for (const auto& [name, each] : peers) {
    connected += each->way.id != 0 ? 1u : 0u;
    unproven
      += !each->added && each->way.id != 0 && each->last == session_mark{} && !each->live ? 1u : 0u;
  }
  if (connected >= config.peers_max) {
    refuse(hello, key_name,
           make_refusal(config, hello, msg::refusal::full,
                        fmt::format("this node has {} peers already", config.peers_max)),
           now);
    return nullptr;
  }
  const auto* known = find(hello.node);
  if (unproven >= unproven_max && (known == nullptr || !known->added)) {
    ++count.hellos_refused;
    return nullptr;
  }
  link_way way;
  if (auto done = connect(way, hello.node, hello.address); !done) {
    ++count.malformed;
    return nullptr;
  }
  auto& peer = make_peer(hello.node, now);
  peer.way = std::move(way);
  if (known == nullptr)
    peer.forget_at = now + unproven_age_max;
  return &peer;
}

/// A hello that answers a token we do not have was provoked by a forged or an old one: it must not
/// touch a live session.
bool link_core::impl::answers_us(const link_peer& peer, const msg::node_hello& hello) const {
  return hello.echo == 0 || hello.echo == peer.live->token
         || (peer.next && hello.echo == peer.next->token);
}

void link_core::impl::take_hello(link_peer& peer, msg::node_hello hello, std::uint32_t window,
                                 time_point now) {
  if (peer.live) {
    if (hello.token == peer.live->info.hello.token)
      return answer(peer, *peer.live, hello, now);
    if (mark_of(hello) <= peer.live->mark() || !answers_us(peer, hello)) {
      ++count.duplicates;
      return;
    }
  } else if (hello.incarnation == peer.last.incarnation && hello.attempt <= peer.last.attempt) {
    ++count.duplicates;
    return;
  }
  const auto echo = hello.echo;
  if (!peer.next)
    open_next(peer);
  if (!bind_next(peer, std::move(hello), window, now))
    return;
  if (echo == peer.next->token)
    establish(peer, now);
  else
    answer(peer, *peer.next, peer.next->info.hello, now);
}

/// The token of `next` is bound to another hello. The same life that echoes our token has never
/// used it: it would not have asked anew. Anybody else may have, so frames with it can be about.
bool link_core::impl::needs_new_token(const link_session& next,
                                      const msg::node_hello& hello) const {
  return hello.echo != next.token || hello.incarnation != next.info.hello.incarnation
         || mark_of(hello) <= next.mark();
}

/// Makes the hello the one the session being opened is about; false when it is an old one.
bool link_core::impl::bind_next(link_peer& peer, msg::node_hello hello, std::uint32_t window,
                                time_point now) {
  if (peer.next->bound && hello.token != peer.next->info.hello.token) {
    const bool stale = now - peer.next->bound_at > unproven_age_max;
    // The number may be forged; but our fresh token is echoed by nobody else.
    if (mark_of(hello) <= peer.next->mark() && !stale && hello.echo != peer.next->token) {
      ++count.duplicates;
      return false;
    }
    if (needs_new_token(*peer.next, hello)) {
      // Not too often: two nodes that both begin anew at each other's hello would never meet.
      if (now < peer.rebind_from)
        return false;
      peer.rebind_from = now + config.hello_interval;
      open_next(peer);
    }
  }
  auto& next = *peer.next;
  const auto& address = hello.address;
  if (address != way_of(next).address) {
    disconnect(next.detour);
    if (address != peer.way.address && !connect(next.detour, peer.name, address)) {
      ++count.malformed;
      return false;
    }
  }
  next.bound = true;
  next.bound_at = now;
  next.window = window;
  next.info.id = peer.id;
  next.info.hello = std::move(hello);
  if (!peer.added && !peer.live)
    peer.forget_at = std::max(peer.forget_at, now + unproven_age_max);
  return true;
}

// -- sessions begin and end -----------------------------------------------------------------------

/// The peer has proved that it has the token of `next`: this is its session now.
void link_core::impl::establish(link_peer& peer, time_point now) {
  const auto session = peer.next;
  if (peer.live) {
    const bool restarted = peer.live->info.hello.incarnation != session->info.hello.incarnation;
    end_live(
      peer,
      failure{errc::node_down, fmt::format("node {} {}", peer.name,
                                           restarted ? "was restarted" : "began a new session")},
      false, now);
    if (session->ended)
      return; // Whoever heard of it has removed the peer.
  }
  start_live(peer, now);
}

void link_core::impl::start_live(link_peer& peer, time_point now) {
  peer.live = std::exchange(peer.next, nullptr);
  auto& live = *peer.live;
  if (live.detour.id != 0) {
    disconnect(peer.way);
    peer.way = std::exchange(live.detour, {});
  }
  live.live = true;
  live.last_heard = now;
  live.next_beat = now;
  live.sender.emplace(config, live.window);
  live.receiver.emplace(config);
  link_outbox::bounds bounds;
  bounds.bytes_max = config.queue_bytes_max;
  bounds.messages_max = config.queue_messages_max;
  bounds.block_bytes = config.frame_bytes;
  bounds.message_bytes_max = config.message_bytes_max;
  live.info.outbox = std::make_shared<link_outbox>(peer.name, bounds, wake);
  peer.last = live.mark();
  peer.forget_at = time_point::max();
  peer.hello_gap = config.hello_interval;
  ++count.sessions;
  emit_session(live, frame_kind::ack, 0, nullptr); // The proof that we have the peer's token.
  const auto session = peer.live;
  events.peer_up(session->info);
}

void link_core::impl::end_live(link_peer& peer, const failure& why, bool reconnect,
                               time_point now) {
  const auto gone = std::exchange(peer.live, nullptr);
  tokens.erase(gone->token);
  gone->ended = true;
  gone->info.outbox->close();
  count.refused += gone->info.outbox->refused();
  count.messages_out += gone->sender->messages_out();
  count.messages_in += gone->receiver->messages_in();
  peer.next_hello = now + config.hello_interval;
  peer.hello_gap = config.hello_interval;
  if (!peer.added)
    keep_for_a_while(peer, now);
  if (reconnect) {
    // What the old pipe still holds is of no use to anybody.
    const auto address = peer.added ? peer.added_address : peer.way.address;
    disconnect(peer.way);
    static_cast<void>(connect(peer.way, peer.name, address)); // Else greet() tries again.
  }
  events.peer_down(gone->info, why);
}

// -- refusals -------------------------------------------------------------------------------------

/// Tells the sender of a hello why not, over a connection of its own; but strangers cannot make us
/// connect to many places: one refusal a second per name, and few at once.
void link_core::impl::refuse(const msg::node_hello& hello, std::string_view key_name,
                             const msg::node_refusal& why, time_point now) {
  ++count.hellos_refused;
  std::size_t open = 0;
  for (const auto& each : retired) {
    if (each.refused == hello.node)
      return;
    open += each.refused.empty() ? 0u : 1u;
  }
  if (open >= refusals_max)
    return;
  link_way way;
  const auto name = key_name.empty() ? hello.node : std::string{key_name};
  if (connect(way, name, hello.address)) {
    std::string body;
    encode(why, body);
    frame_head head;
    head.kind = frame_kind::refusal;
    emit(way.id, head, std::make_shared<const std::string>(std::move(body)));
  }
  retired.push_back({std::move(way), hello.node, now + retire_after});
  events.refused(why, hello.node, true);
}

void link_core::impl::refusal_came(std::string_view body, time_point now) {
  const auto why = read_refusal(body);
  if (!why) {
    ++count.malformed;
    return;
  }
  auto* peer = find(why->node);
  if (why->incarnation != config.incarnation || peer == nullptr || peer->live || peer->way.id == 0)
    return; // Not about us, or not from somebody we greet.
  peer->hello_gap = config.hello_interval_max;
  peer->next_hello = std::max(peer->next_hello, now + config.hello_interval_max);
  if (now < peer->tell_refused_from)
    return;
  peer->tell_refused_from = now + config.hello_interval_max;
  events.refused(*why, peer->name, false);
}

} // namespace skep::net
