#pragma once

// tidy: allow size, the network and the nodes on it are read together

// A network of link_cores in one thread: virtual time, a seeded generator, and every fault a
// network can have. The same seed gives the same run.
#include "messages/codec.hpp"
#include "runtime/net/link_core.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

/// What the network does to each frame; shares are 0..1.
struct link_faults {
  double loss = 0;
  double duplication = 0;
  duration delay_min = 1ms;
  /// Above delay_min: frames overtake each other, also on one connection.
  duration delay_max = 1ms;
};

class link_node;

/// A frame as it stands on the network.
struct link_packet {
  std::string from;
  std::string to;
  net::frame_head head;
  std::string body;
};

/// Carries frames between nodes by address.
class link_net {
public:
  explicit link_net(std::uint64_t seed = 1) : random(seed) {}

  void add(link_node& node);
  void remove(link_node& node);
  void put(link_packet packet);
  /// Delivers to whoever has the address, at once.
  void deliver(const link_packet& packet);
  /// Does what is due next, at most until `until`; false when that time has come.
  bool step(time_point until);
  void run(duration time) {
    const auto until = now + time;
    while (step(until)) {
    }
  }
  /// Runs until `done`, for at most `limit`.
  bool run_until(const std::function<bool()>& done, duration limit = 10s) {
    const auto until = now + limit;
    while (!done())
      if (!step(until))
        return done();
    return true;
  }
  double share() {
    return std::uniform_real_distribution<double>{0, 1}(random);
  }

  time_point now{std::chrono::hours{1}};
  std::mt19937_64 random;
  link_faults faults;
  /// Frames this returns false for are lost.
  std::function<bool(const link_packet&)> filter;
  /// Everything that was sent, when kept.
  bool keeps = false;
  std::vector<link_packet> sent;
  /// Called after every step.
  std::function<void()> invariant;
  std::map<std::string, link_node*> nodes;

private:
  std::multimap<time_point, link_packet> flying_;
};

/// A link_core on that network, and what its events said.
class link_node final : public net::link_socket, public net::link_events {
public:
  link_node(link_net& on, net::link_config config)
    : net(on), address(config.advertise), core(std::move(config), *this, *this) {
    net.add(*this);
  }
  ~link_node() override {
    net.remove(*this);
  }
  link_node(const link_node&) = delete;
  link_node& operator=(const link_node&) = delete;

  expected<void> connect(net::link_peer_id peer, const std::string& name,
                         const std::string& where) override {
    if (where.rfind("sim://", 0) != 0)
      return fail(errc::bad_config, "no address of this network: " + where + " of " + name);
    ways[peer] = where;
    ways_max = std::max(ways_max, ways.size());
    return {};
  }
  void disconnect(net::link_peer_id peer) override {
    ways.erase(peer);
  }
  bool send(net::link_peer_id peer, const net::frame_head& head,
            const net::frame_body& body) override {
    if (pipe_full || !ways.contains(peer))
      return false;
    net.put({address, ways[peer], head, body ? *body : std::string{}});
    return true;
  }

  void peer_up(const net::link_peer_info& peer) override {
    outbox[peer.hello.node] = peer.outbox;
    log.push_back("up " + peer.hello.node);
    hellos[peer.hello.node] = peer.hello;
    if (on_up)
      on_up(peer);
  }
  void peer_down(const net::link_peer_info& peer, const failure& why) override {
    closed_first = closed_first && !peer.outbox->push("x");
    if (outbox[peer.hello.node] == peer.outbox)
      outbox.erase(peer.hello.node);
    log.push_back("down " + peer.hello.node + " " + std::string{to_string(why.code)});
    if (on_down)
      on_down(peer, why);
  }
  void message_came(const net::link_peer_info& peer, std::string_view bytes) override {
    got[peer.hello.node].emplace_back(bytes);
    if (on_message)
      on_message(peer, bytes);
  }
  void beat_came(const net::link_peer_info& peer, std::string_view said,
                 std::optional<time_point> echoed_at) override {
    beats[peer.hello.node].emplace_back(said, echoed_at);
    if (on_beat)
      on_beat(peer);
  }
  std::string beat_state() override {
    return state;
  }
  void refused(const msg::node_refusal& why, const std::string& peer, bool by_us) override {
    refusals.push_back({why, peer, by_us});
  }
  void ticked(time_point) override {
    ++ticks;
  }

  bool up(const std::string& peer) const {
    return outbox.contains(peer);
  }
  expected<void> say(const std::string& peer, std::string_view text) {
    const auto entry = outbox.find(peer);
    return entry != outbox.end() ? entry->second->push(text) : fail(errc::node_down, peer);
  }
  std::size_t count(const std::string& event) const {
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), event));
  }
  net::link_peer_stats peer(const std::string& name) const {
    for (const auto& each : core.peers())
      if (each.name == name)
        return each;
    return {};
  }

  link_net& net;
  const std::string address;
  net::link_core core;
  std::map<net::link_peer_id, std::string> ways;
  std::size_t ways_max = 0;
  bool pipe_full = false;
  std::string state;
  std::map<std::string, std::shared_ptr<net::link_outbox>> outbox;
  std::map<std::string, msg::node_hello> hellos;
  std::map<std::string, std::vector<std::string>> got;
  std::map<std::string, std::vector<std::pair<std::string, std::optional<time_point>>>> beats;
  struct refusal_event {
    msg::node_refusal why;
    std::string peer;
    bool by_us = false;
  };
  std::vector<refusal_event> refusals;
  std::vector<std::string> log;
  bool closed_first = true;
  std::uint64_t ticks = 0;
  std::function<void(const net::link_peer_info&)> on_up;
  std::function<void(const net::link_peer_info&, const failure&)> on_down;
  std::function<void(const net::link_peer_info&, std::string_view)> on_message;
  std::function<void(const net::link_peer_info&)> on_beat;
};

inline void link_net::add(link_node& node) {
  nodes[node.address] = &node;
}

inline void link_net::remove(link_node& node) {
  if (const auto entry = nodes.find(node.address); entry != nodes.end() && entry->second == &node)
    nodes.erase(entry);
}

inline void link_net::put(link_packet packet) {
  if (keeps)
    sent.push_back(packet);
  if ((filter && !filter(packet)) || (faults.loss > 0 && share() < faults.loss))
    return;
  const int copies = faults.duplication > 0 && share() < faults.duplication ? 2 : 1;
  for (int n = 0; n < copies; ++n) {
    const auto spread = (faults.delay_max - faults.delay_min).count();
    const duration extra{
      spread > 0 ? std::uniform_int_distribution<duration::rep>{0, spread}(random) : 0};
    flying_.emplace(now + faults.delay_min + extra, packet);
  }
}

inline void link_net::deliver(const link_packet& packet) {
  const auto entry = nodes.find(packet.to);
  if (entry == nodes.end())
    return;
  const auto head = net::encode_head(packet.head);
  entry->second->core.frame_came({head.data(), head.size()}, packet.body, {}, now);
  entry->second->core.flush(now);
}

inline bool link_net::step(time_point until) {
  link_node* due = nullptr;
  auto at = until;
  for (const auto& [address, node] : nodes)
    if (const auto next = std::max(node->core.next_tick(), now); next < at) {
      at = next;
      due = node;
    }
  if (!flying_.empty() && flying_.begin()->first <= at && flying_.begin()->first < until) {
    now = std::max(now, flying_.begin()->first);
    const auto packet = std::move(flying_.begin()->second);
    flying_.erase(flying_.begin());
    deliver(packet);
  } else if (due != nullptr) {
    now = at;
    due->core.tick(now);
  } else {
    now = until;
    return false;
  }
  if (invariant)
    invariant();
  return true;
}

/// A node called `name` at "sim://name", small bounds, tokens from the seed.
inline net::link_config link_test_config(const std::string& name, std::uint64_t seed = 1) {
  net::link_config config;
  config.node = name;
  config.bind = "sim://" + name;
  config.advertise = config.bind;
  config.seed = seed + std::hash<std::string>{}(name);
  return config;
}

/// Two nodes that know each other.
struct link_pair {
  explicit link_pair(std::uint64_t seed = 1)
    : link_pair(link_test_config("a", seed), link_test_config("b", seed), seed) {}
  link_pair(net::link_config of_a, net::link_config of_b, std::uint64_t seed = 1)
    : net(seed), a(net, std::move(of_a)), b(net, std::move(of_b)) {}

  void greet() {
    static_cast<void>(a.core.add_peer("b", b.address, net.now));
    static_cast<void>(b.core.add_peer("a", a.address, net.now));
  }
  bool both_up() const {
    return a.up("b") && b.up("a");
  }
  bool meet() {
    greet();
    return net.run_until([this] { return both_up(); });
  }

  link_net net;
  link_node a;
  link_node b;
};

} // namespace skep::test
