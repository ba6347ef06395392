#pragma once

// tidy: allow size, a whole cluster of caches for tests

// Nodes with nothing but their share of the cache, above a fake cluster.
#include "actors/cache/front.hpp"
#include "actors/cache/shard.hpp"
#include "tests/support/fake_cluster.hpp"

#include <caf/send.hpp>

namespace skep::test {

/// A cluster whose nodes are the parts of actors/cache, wired as its role does it.
struct cache_cluster {
  struct node {
    std::string name;
    fake_port* port = nullptr;
    actors::local_shards shards;
    const rt::actor_kind* front_kind = nullptr;
    std::shared_ptr<actors::handover_status> status;
    caf::actor front;
    caf::actor store;

    bool drained() const {
      return actors::handed_over(*port->state(), *status, rt::node_id(name));
    }
  };

  fake_cluster net;
  rt::test_system sys;
  std::map<std::string, node> nodes;
  std::uint64_t view = 0;
  std::uint32_t copies = 2;
  actors::cache_front_config rules;
  actors::cache_shard_config shard;

  /// Everything all nodes' shards ask on a miss; null unless with_second_level() was called.
  caf::actor second_level;

  explicit cache_cluster(rt::test_system::hops how = rt::test_system::hops::native) : sys(how) {
    net.use(sys.env());
  }
  ~cache_cluster() {
    nodes.clear();
    net.clear();
  }

  /// Nodes added from now on have a second level: a shard of its own, behind the network, on the
  /// node "redis".
  void with_second_level() {
    second_level = sys.spawn<actors::cache_shard>(sys.kind("cache"), "second level",
                                                  actors::cache_shard_config{});
    net.publish("redis", "cache/redis", second_level);
  }

  node& add(const std::string& name, std::size_t shards = 2) {
    auto& made = nodes[name];
    made.name = name;
    made.port = &net.add(name);
    start(made, shards);
    return made;
  }

  /// (Re)starts a node's actors: what it held is gone.
  void start(node& n, std::size_t shards = 2) {
    if (n.front)
      sys.kill(n.front);
    for (const auto& each : n.shards.orders)
      sys.kill(each);
    n.shards = {};
    if (second_level)
      shard.second_level = rules.second_level = n.port->remote("redis", "cache/redis");
    auto& env = sys.env();
    for (std::size_t s = 0; s < shards; ++s) {
      auto made = env.spawn<actors::cache_shard>(sys.kind("cache"), std::to_string(s), shard);
      n.shards.calls.push_back(sys.adopt(made));
      n.shards.orders.push_back(std::move(made));
    }
    n.status = std::make_shared<actors::handover_status>();
    n.front_kind = &sys.kind("front " + n.name, 100'000, std::size_t{1} << 30);
    const auto front
      = env.spawn<actors::cache_front>(*n.front_kind, *n.port, n.shards, rules, n.status);
    n.front = sys.adopt(front);
    caf::anon_send(front, msg::ack{});
    n.store = actors::cache_store::make(env, *n.port, n.shards, front, n.status);
    net.publish(n.name, "cache/store", n.store);
    sys.run();
  }

  /// Tells all nodes named of the next view, at once.
  void install(const std::vector<std::string>& members, const std::set<std::string>& draining = {},
               const std::map<std::string, std::uint64_t>& incarnations = {}) {
    ++view;
    for (const auto& name : members)
      tell_view(name, members, draining, incarnations);
    sys.run();
  }
  /// Tells one node of the view numbered `view`.
  void tell_view(const std::string& name, const std::vector<std::string>& members,
                 const std::set<std::string>& draining = {},
                 const std::map<std::string, std::uint64_t>& incarnations = {}) {
    nodes.at(name).port->set(fake_cluster::state(view, members, copies, draining, incarnations));
  }

  static msg::cache_key key(std::uint64_t n) {
    const auto high = (n + 1) * 0x9e37'79b9'7f4a'7c15ull;
    return {high ^ (high >> 29), n};
  }
  void put(const std::string& at, std::uint64_t n, const std::string& value,
           std::uint32_t ttl_ms = 0, std::uint64_t group = 0) {
    sys.tell(nodes.at(at).front, msg::cache_put_request{key(n), value, ttl_ms, 0, group});
  }
  /// What a get at that node finds; "-" for a miss, else the error's name.
  std::string get(const std::string& at, std::uint64_t n) {
    return text(
      sys.ask_for<msg::cache_get_reply>(nodes.at(at).front, msg::cache_get_request{key(n), 0}));
  }
  /// Asks as one who can produce the value. A miss without a lease is turn none, not found.
  msg::cache_get_reply get_lease(const std::string& at, std::uint64_t n, std::uint64_t lost = 0,
                                 std::uint32_t lease_ms = 10'000) {
    const auto got = ask_lease(at, n, lost, lease_ms);
    if (const auto* reply = got->last<msg::cache_get_reply>())
      return *reply;
    msg::cache_get_reply none;
    none.found = false;
    return none;
  }
  std::shared_ptr<rt::answers> ask_lease(const std::string& at, std::uint64_t n,
                                         std::uint64_t lost = 0, std::uint32_t lease_ms = 10'000) {
    msg::cache_get_request request;
    request.key = key(n);
    request.lease_ms = lease_ms;
    request.node = at;
    request.lost_lease = lost;
    return sys.ask(nodes.at(at).front, std::move(request));
  }
  /// Clears what the request says, from that node; true when it was acknowledged.
  bool clear(const std::string& at, const msg::cache_clear_request& what) {
    return sys.ask(nodes.at(at).front, what)->last<msg::ack>() != nullptr;
  }
  /// What the node itself holds.
  std::string holds(const std::string& at, std::uint64_t n) {
    const auto& held_by = nodes.at(at).shards.of(actors::slot_of(key(n)));
    return text(sys.ask_for<msg::cache_get_reply>(held_by, msg::cache_get_request{key(n), 0}));
  }
  static std::string text(const expected<msg::cache_get_reply>& got) {
    if (got)
      return got->value;
    return got.error().code == errc::cache_miss ? "-" : std::string{to_string(got.error().code)};
  }
  /// The names of a key's owners as a node sees them, the first one first.
  std::vector<std::string> owners(const std::string& at, std::uint64_t n) {
    const auto state = nodes.at(at).port->state();
    std::vector<std::string> names;
    for (const auto id : state->slots.owners(actors::slot_of(key(n))))
      names.push_back(state->member_of(id)->name);
    return names;
  }
  /// The first key from `from` on whose owners are exactly these, in this order.
  std::uint64_t key_of(const std::vector<std::string>& wanted, std::uint64_t from = 0) {
    while (owners(wanted.front(), from) != wanted)
      ++from;
    return from;
  }
  std::uint64_t counter(const char* name, telemetry::label_set labels = {}) {
    return sys.env().metrics().counter(name, "", std::move(labels)).value();
  }
  std::uint64_t found(const char* where) {
    return counter("skep_cache_found_total", {{"where", where}});
  }
};

} // namespace skep::test
