#include "runtime/net/link_core.hpp"

#include "messages/codec.hpp"
#include "runtime/net/link_core_impl.hpp"
#include "runtime/net/link_hello.hpp"

#include <algorithm>

namespace skep::net {

namespace {

// Whatever else is due, the parts above are called this often.
constexpr duration tick_interval = 100ms;

std::uint64_t to_us(time_point at) {
  return static_cast<std::uint64_t>(
    std::chrono::floor<std::chrono::microseconds>(at.time_since_epoch()).count());
}

time_point from_us(std::uint64_t us) {
  return time_point{std::chrono::microseconds{us}};
}

} // namespace

// -- the public face ------------------------------------------------------------------------------

link_core::link_core(link_config config, link_socket& socket, link_events& events,
                     std::function<void()> wake)
  : impl_(std::make_unique<impl>(
    std::move(config), socket, events, wake ? std::move(wake) : [] {})) {
  impl_->advertised
    = impl_->config.advertise.empty() ? impl_->config.bind : impl_->config.advertise;
}

link_core::~link_core() = default;

expected<link_peer_id> link_core::add_peer(const std::string& name, const std::string& address,
                                           time_point now) {
  auto& m = *impl_;
  if (name.empty() || name == m.config.node)
    return fail(errc::bad_config, "link: node " + m.config.node + " cannot be its own peer");
  if (auto* known = m.find(name);
      known != nullptr && known->added && known->added_address == address)
    return known->id;
  auto* peer = m.find(name);
  const bool moves = peer == nullptr || (!peer->live && peer->way.address != address);
  if (moves) {
    const bool counts = peer == nullptr || peer->way.id == 0;
    const auto connected = std::count_if(m.peers.begin(), m.peers.end(),
                                         [](const auto& each) { return each.second->way.id != 0; });
    if (counts && static_cast<std::size_t>(connected) >= m.config.peers_max)
      return fail(errc::overloaded,
                  "link: as many peers as peers_max already, no room for node " + name);
    link_way way;
    if (auto done = m.connect(way, name, address); !done)
      return fail(done.error());
    peer = &m.make_peer(name, now);
    m.disconnect(peer->way);
    peer->way = std::move(way);
  }
  peer->added = true;
  peer->added_address = address;
  peer->forget_at = time_point::max();
  return peer->id;
}

void link_core::remove_peer(const std::string& name, const failure& why, time_point now) {
  auto* found = impl_->find(name);
  if (found == nullptr)
    return;
  const auto peer = impl_->peers.at(name);
  peer->added = false;
  impl_->drop_next(*peer);
  if (peer->live) {
    impl_->emit_session(*peer->live, frame_kind::goodbye, peer->live->sender->last_sent(), nullptr);
    impl_->retire(peer->way, now);
    // The record stays for a while: it knows which hellos are old ones.
    impl_->end_live(*peer, why, false, now);
  } else if (peer->last == session_mark{}) {
    impl_->forget(*peer);
  } else {
    impl_->disconnect(peer->way);
    impl_->keep_for_a_while(*peer, now);
  }
}

void link_core::close_session(const std::string& name, const failure& why, time_point now) {
  auto* peer = impl_->find(name);
  if (peer == nullptr || !peer->live)
    return;
  // Where only its way to us is cut, it learns at once that we are through with it.
  impl_->emit_session(*peer->live, frame_kind::goodbye, peer->live->sender->last_sent(), nullptr);
  impl_->end_live(*peer, why, true, now);
}

void link_core::goodbye(time_point now) {
  impl_->closing = true;
  const failure why{errc::shutting_down, "node " + impl_->config.node + " is stopping"};
  for (const auto& peer : impl_->all_peers()) {
    impl_->drop_next(*peer);
    if (!peer->live)
      continue;
    impl_->emit_session(*peer->live, frame_kind::goodbye, peer->live->sender->last_sent(), nullptr);
    impl_->end_live(*peer, why, false, now);
  }
}

void link_core::beat_now(time_point) {
  impl_->beats_wanted = true;
}

void link_core::frame_came(std::string_view head, std::string_view body, std::string_view key_name,
                           time_point now) {
  impl_->frame_came(head, body, key_name, now);
}

bool link_core::flush(time_point now) {
  if (impl_->beats_wanted) {
    impl_->beats_wanted = false;
    std::vector<link_session_ptr> all;
    for (const auto& [name, peer] : impl_->peers)
      if (peer->live)
        all.push_back(peer->live);
    impl_->send_beats(all, now);
  }
  bool done = true;
  for (const auto& [name, peer] : impl_->peers)
    if (peer->live)
      done = impl_->pump(*peer->live, now) && done;
  return done;
}

void link_core::tick(time_point now) {
  auto& m = *impl_;
  m.last_tick = now;
  if (!m.closing) {
    m.expire(now);
    std::vector<link_session_ptr> beats;
    for (const auto& peer : m.all_peers())
      m.tick_peer(*peer, now, beats);
    m.send_beats(beats, now);
    flush(now);
  }
  m.events.ticked(now);
}

time_point link_core::next_tick() const {
  if (impl_->beats_wanted)
    return impl_->last_tick;
  auto next = impl_->last_tick + std::min(tick_interval, impl_->config.beat_interval);
  if (impl_->closing)
    return next;
  for (const auto& [name, peer] : impl_->peers)
    next = std::min(next, impl_->peer_due(*peer));
  return next;
}

bool link_core::waiting() const {
  return impl_->beats_wanted
         || std::any_of(impl_->peers.begin(), impl_->peers.end(), [](const auto& each) {
              const auto& live = each.second->live;
              return live && live->sender->could_send(*live->info.outbox);
            });
}

std::optional<time_point> link_core::last_heard(const std::string& name) const {
  const auto* peer = impl_->find(name);
  return peer != nullptr && peer->live ? std::optional{peer->live->last_heard} : std::nullopt;
}

const link_config& link_core::config() const {
  return impl_->config;
}

void link_core::set_advertised(std::string address) {
  impl_->advertised = std::move(address);
}

link_stats link_core::stats() const {
  auto all = impl_->count;
  for (const auto& [name, peer] : impl_->peers) {
    if (!peer->live)
      continue;
    all.refused += peer->live->info.outbox->refused();
    all.messages_out += peer->live->sender->messages_out();
    all.messages_in += peer->live->receiver->messages_in();
  }
  return all;
}

std::vector<link_peer_stats> link_core::peers() const {
  std::vector<link_peer_stats> all;
  for (const auto& [name, peer] : impl_->peers) {
    if (!peer->added && !peer->live)
      continue;
    auto& s = all.emplace_back();
    s.name = name;
    s.address = peer->way.address;
    if (!peer->live)
      continue;
    const auto& live = *peer->live;
    s.up = true;
    s.incarnation = live.info.hello.incarnation;
    s.round_trip = live.round_trip;
    s.last_heard = live.last_heard;
    s.queued_messages = live.info.outbox->queued_messages();
    s.queued_bytes = live.info.outbox->queued_bytes();
    s.in_flight_bytes = live.sender->in_flight_bytes();
    s.window_bytes = live.sender->window();
  }
  return all;
}

// -- frames that come -----------------------------------------------------------------------------

void link_core::impl::frame_came(std::string_view head_bytes, std::string_view body,
                                 std::string_view key_name, time_point now) {
  ++count.frames_in;
  count.bytes_in += head_bytes.size() + body.size();
  if (closing)
    return;
  const auto head = decode_head(head_bytes);
  if (!head)
    ++count.malformed;
  else if (head->kind == frame_kind::hello)
    hello_came(*head, body, key_name, now);
  else if (head->kind == frame_kind::refusal)
    refusal_came(body, now);
  else if (head->major == protocol_major)
    session_frame(*head, body, key_name, now);
  else
    ++count.malformed;
}

void link_core::impl::session_frame(const frame_head& head, std::string_view body,
                                    std::string_view key_name, time_point now) {
  const auto entry = tokens.find(head.token);
  const auto session = entry != tokens.end() ? entry->second : nullptr;
  if (!session || !session->bound || (!key_name.empty() && key_name != session->owner->name)) {
    ++count.malformed;
    return;
  }
  if (!session->live) {
    if (head.kind == frame_kind::goodbye)
      return drop_next(*session->owner);
    establish(*session->owner, now);
  }
  if (session->ended)
    return;
  session->last_heard = now;
  if (!session->sender->heard(head, now, session->round_trip)) {
    ++count.malformed;
    return;
  }
  if (head.kind == frame_kind::data) {
    data_came(session, head, body, now);
  } else {
    session->receiver->peer_sent(head.sequence, now);
    if (head.kind == frame_kind::beat)
      beat_came(session, body, now);
    else if (head.kind == frame_kind::goodbye)
      end_live(*session->owner,
               failure{errc::shutting_down, "node " + session->owner->name + " said goodbye"}, true,
               now);
  }
  if (!session->ended && session->receiver->ack_at() <= now)
    send_ack(*session, now);
}

void link_core::impl::data_came(const link_session_ptr& to, const frame_head& head,
                                std::string_view body, time_point now) {
  switch (to->receiver->came(head.sequence, body.size(), now)) {
    case link_receiver::verdict::duplicate: ++count.duplicates; return;
    case link_receiver::verdict::gap: ++count.gaps; return;
    case link_receiver::verdict::taken: break;
  }
  events.frame_begins();
  const bool sound = to->receiver->deliver(body, [&](std::string_view bytes) {
    events.message_came(to->info, bytes);
    return !to->ended;
  });
  events.frame_ends();
  if (sound || to->ended)
    return;
  ++count.malformed;
  end_live(*to->owner,
           failure{errc::malformed, "node " + to->owner->name + " sent data that is no records"},
           true, now);
}

void link_core::impl::beat_came(const link_session_ptr& to, std::string_view body, time_point now) {
  const auto beat = decode<msg::link_beat>(body, {beat_bytes_max, 16, 8});
  if (!beat) {
    ++count.malformed;
    return;
  }
  if (beat->ping_us != 0) {
    if (beat->ping_us <= to->heard_ping_us) {
      ++count.duplicates; // Overtaken by a newer one.
      return;
    }
    to->heard_ping_us = beat->ping_us;
    to->heard_ping_at = now;
  }
  std::optional<time_point> echoed_at;
  if (beat->echo_us != 0 && beat->echo_us >= to->first_ping_us
      && beat->echo_us <= to->last_ping_us) {
    echoed_at = from_us(beat->echo_us);
    const auto passed = to_us(now) - beat->echo_us;
    if (beat->held_us <= passed) {
      const duration sample = std::chrono::microseconds{passed - beat->held_us};
      // Weights of RFC 6298.
      to->round_trip = to->round_trip == duration{} ? sample : (7 * to->round_trip + sample) / 8;
    }
  }
  events.beat_came(to->info, beat->state, echoed_at);
}

// -- frames that go -------------------------------------------------------------------------------

bool link_core::impl::emit(link_peer_id to, const frame_head& head, const frame_body& body) {
  if (to == 0 || !socket.send(to, head, body))
    return false;
  ++count.frames_out;
  count.bytes_out += frame_head::size + (body ? body->size() : 0);
  return true;
}

bool link_core::impl::emit_session(link_session& from, frame_kind kind, std::uint64_t sequence,
                                   const frame_body& body) {
  frame_head head;
  head.kind = kind;
  head.token = from.info.hello.token;
  head.sequence = sequence;
  head.ack = from.receiver->received();
  head.window = config.window_bytes;
  if (!emit(way_of(from).id, head, body))
    return false;
  from.receiver->acked();
  return true;
}

void link_core::impl::send_ack(link_session& from, time_point now) {
  if (!emit_session(from, frame_kind::ack, from.sender->last_sent(), nullptr))
    from.receiver->not_acked(now);
}

bool link_core::impl::pump(link_session& from, time_point now) {
  return from.sender->pump(
    *from.info.outbox, now,
    [this, &from](std::uint64_t sequence, const frame_body& body, bool first) {
      if (!emit_session(from, frame_kind::data, sequence, body))
        return false;
      count.resent += first ? 0u : 1u;
      return true;
    });
}

void link_core::impl::send_beats(const std::vector<link_session_ptr>& to, time_point now) {
  if (to.empty())
    return;
  msg::link_beat beat;
  beat.state = events.beat_state();
  beat.ping_us = to_us(now);
  for (const auto& each : to) {
    if (each->ended)
      continue;
    beat.echo_us = each->heard_ping_us;
    beat.held_us = beat.echo_us != 0 ? to_us(now) - to_us(each->heard_ping_at) : 0;
    std::string body;
    encode(beat, body);
    const bool sent = emit_session(*each, frame_kind::beat, each->sender->last_sent(),
                                   std::make_shared<const std::string>(std::move(body)));
    each->next_beat = now + (sent ? config.beat_interval : config.beat_interval / 8);
    if (!sent)
      continue;
    each->last_ping_us = beat.ping_us;
    if (each->first_ping_us == 0)
      each->first_ping_us = beat.ping_us;
  }
}

// -- timers ---------------------------------------------------------------------------------------

void link_core::impl::tick_peer(link_peer& peer, time_point now,
                                std::vector<link_session_ptr>& beats) {
  if (!peer.live) {
    // Whom nobody added and who never had a session is only answered.
    if ((peer.added || peer.way.id != 0) && (peer.added || peer.last != session_mark{})
        && now >= peer.next_hello)
      greet(peer, now);
    return;
  }
  auto& live = *peer.live;
  live.sender->check_timer(now, live.round_trip);
  if (now >= live.next_beat)
    beats.push_back(peer.live);
  else if (now >= live.receiver->ack_at())
    send_ack(live, now);
}

time_point link_core::impl::peer_due(const link_peer& peer) const {
  if (!peer.live)
    return peer.added || (peer.way.id != 0 && peer.last != session_mark{}) ? peer.next_hello
                                                                           : time_point::max();
  const auto& live = *peer.live;
  return std::min({live.next_beat, live.receiver->ack_at(), live.sender->due(live.round_trip)});
}

std::vector<link_peer_ptr> link_core::impl::all_peers() const {
  std::vector<link_peer_ptr> all;
  all.reserve(peers.size());
  for (const auto& [name, each] : peers)
    all.push_back(each);
  return all;
}

} // namespace skep::net
