#include "actors/flight/role.hpp"

#include "actors/flight/flight.hpp"
#include "actors/flight/flight_address.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/cluster/cluster_port.hpp"
#include "runtime/config/option.hpp"

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// `[flight]`.
struct flight_options {
  std::uint32_t actors = 4;
  std::uint64_t buffer_max = std::uint64_t{1} << 20;
  std::uint64_t buffers_max = std::uint64_t{256} << 20;
  std::uint32_t flights_max = 50'000;
  std::uint32_t followers_max = 200'000;
  milliseconds cache_timeout{250};
  milliseconds semantic_timeout{250};
  milliseconds negative_ttl{10'000};
  milliseconds linger{1000};
};

const config::table<flight_options>& flight_table() {
  using o = flight_options;
  static const config::table<o> rows{
    option{"actors", &o::actors, 1u, 1024u, "Actors the requests are spread over, by their keys."},
    option{"buffer_bytes", &o::buffer_max, std::uint64_t{131'072}, std::uint64_t{1} << 30,
           "Kept of one answer for those who follow it; a reader further behind is cut off."},
    option{"buffers_bytes", &o::buffers_max, std::uint64_t{1} << 20, std::uint64_t{1} << 40,
           "Kept of all answers in flight together; beyond it each keeps a window only."},
    option{"flights_max", &o::flights_max, 1u, 10'000'000u,
           "Answers in flight; one more is refused with 503."},
    option{"followers_max", &o::followers_max, 1u, 10'000'000u,
           "Requests that wait at one of the actors; one more is refused with 503."},
    option{"cache_timeout_ms", &o::cache_timeout, milliseconds{1}, milliseconds{60'000},
           "A cache that does not answer by then is passed over."},
    option{"semantic_timeout_ms", &o::semantic_timeout, milliseconds{1}, milliseconds{60'000},
           "A semantic cache that does not answer by then is passed over."},
    option{"negative_ttl_ms", &o::negative_ttl, milliseconds{0}, milliseconds{30'000},
           "How long a request the provider calls wrong (400, 413, 422) is refused without asking "
           "again; 0: always ask."},
    option{"linger_ms", &o::linger, milliseconds{0}, milliseconds{60'000},
           "How long a finished answer is kept for other nodes that were told to wait for it."},
  };
  return rows;
}

flight_config rules_from(const flight_options& from, const rt::cluster_port& cluster) {
  flight_config rules;
  rules.node = cluster.self();
  rules.buffer_max = from.buffer_max;
  rules.buffers_max = from.buffers_max / from.actors;
  rules.flights_max = std::max(1u, from.flights_max / from.actors);
  rules.followers_max = from.followers_max;
  rules.cache_deadline = from.cache_timeout;
  rules.semantic_deadline = from.semantic_timeout;
  rules.negative_ttl = from.negative_ttl;
  if (cluster.clustered())
    rules.linger = from.linger;
  return rules;
}

flight_peers peers_of(rt::role_context& node) {
  auto& env = node.env();
  auto& cluster = node.cluster();
  flight_peers peers;
  peers.cache = env.find("cache");
  peers.semantic = env.reach(env.directory().find("semantic")); // Its index is each node's own.
  peers.provider = [&env, &cluster](const std::string& name) {
    auto found = env.find("provider/" + name);
    // In a cluster another node may have it, now or later.
    return found || !cluster.clustered() ? found : cluster.route("provider/" + name);
  };
  peers.pool = [&env](const std::string& agent) {
    const auto guard = env.directory().find(agent.starts_with("model/") ? agent : "agent/" + agent);
    return guard ? rt::guard::of(guard).child() : caf::actor{};
  };
  peers.flights_of = [&cluster](const std::string& name) { return cluster.remote(name, "flight"); };
  return peers;
}

expected<void> build(rt::role_context& node) {
  const auto& from = node.config().get<flight_options>("flight");
  const auto rules = rules_from(from, node.cluster());
  const auto peers = peers_of(node);
  rt::mailbox_bounds bounds;
  bounds.messages_max = from.followers_max; // A stampede is for one actor.
  bounds.bytes_max = from.buffers_max;
  const auto& kind = node.kind("flight", bounds);
  auto& env = node.env();
  std::vector<caf::actor> flights;
  for (std::uint32_t n = 0; n < from.actors; ++n) {
    const auto number = std::to_string(n);
    rt::child_spec spec;
    spec.name = "flight/" + number;
    spec.guard.use_breaker = false;        // The providers behind it have breakers of their own.
    spec.guard.in_flight_max = 10'000'000; // Bounded by followers_max.
    spec.start = [&env, &kind, number, rules, peers] {
      return env.spawn<flight>(kind, number, rules, peers);
    };
    flights.push_back(node.supervise(std::move(spec)));
  }
  node.publish("flight", flight_address::make(env, std::move(flights)));
  return {};
}

} // namespace

rt::role flight_role() {
  rt::role made;
  made.name = "flight";
  made.publishes = {{"flight"}, {"flight/"}};
  made.needs = {"cache", "semantic"};
  made.declare = [](config::schema& accepted) {
    accepted.section("flight", config::cardinality::one, flight_table(),
                     "Answers being fetched; equal requests share one.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
