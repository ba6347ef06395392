#include "runtime/node/cluster_options.hpp"

#include "runtime/base/fnv.hpp"

#include <algorithm>
#include <optional>

namespace skep::rt {

namespace {

using config::option;
using config::violation;
using std::chrono::milliseconds;
using std::chrono::seconds;
using c = cluster_options;

// A CURVE key in Z85.
constexpr std::size_t key_characters = 40;

bool is_entry(const std::string& text) {
  const auto at = text.find('=');
  return at != std::string::npos && at > 0 && at + 1 < text.size();
}

bool is_address(const std::string& text) {
  return text.starts_with("tcp://") && text.find(':', 6) != std::string::npos;
}

std::optional<violation> check_keys(const c& from) {
  for (const auto& each : from.public_keys)
    if (!is_entry(each) || split_entry(each).second.size() != key_characters)
      return violation{"public_keys", "\"" + each + "\" must read name=KEY with a key of "
                                        + std::to_string(key_characters)
                                        + " characters (skep cluster keygen)"};
  if (from.secret_key.empty() != from.public_keys.empty())
    return violation{"secret_key", "secret_key and public_keys belong together"};
  return std::nullopt;
}

std::optional<violation> check_cluster(const c& from) {
  if (from.name.empty())
    return std::nullopt; // Not in use.
  if (!is_address(from.listen))
    return violation{"listen", "must read tcp://ADDRESS:PORT"};
  for (const auto& each : from.seeds)
    if (!is_entry(each) || !is_address(split_entry(each).second))
      return violation{"seeds", "\"" + each + "\" must read name=tcp://ADDRESS:PORT"};
  if (from.membership == membership_kind::fixed && from.seeds.empty())
    return violation{"seeds", "must name every node that votes, with membership = \"static\""};
  for (const auto& each : from.etcd.endpoints)
    if (config::has_user(each))
      return violation{"etcd", "an endpoint must not hold a user or password: it is printed"};
  if (from.lease < 2 * from.beat_interval)
    return violation{"lease_ms", "must be at least twice beat_interval_ms"};
  const bool outside
    = !is_loopback(from.listen) || (!from.advertise.empty() && !is_loopback(from.advertise));
  if (outside && from.secret_key.empty() && !from.plain)
    return violation{"secret_key", "beyond this machine the cluster needs keys (skep cluster "
                                   "keygen), or plain = true in a network you trust"};
  if (from.advertise.empty() && from.listen.find("//0.0.0.0") != std::string::npos)
    return violation{"advertise", "must say where peers reach a node that listens on 0.0.0.0"};
  return check_keys(from);
}

const config::table<etcd_options>& etcd_table() {
  static const config::table<etcd_options> rows{
    option{"endpoints", &etcd_options::endpoints, "HTTP addresses of etcd, tried in turn."},
    option{"ttl_s", &etcd_options::ttl, seconds{2}, seconds{600},
           "The lease: a node that dies is out after this, etcd may be away for less."},
    option{"request_timeout_ms", &etcd_options::request_timeout, milliseconds{10},
           milliseconds{60'000}, "One request to etcd."},
  };
  return rows;
}

const config::table<c>& cluster_table() {
  static const config::table<c> rows
    = config::table<c>{
        option{"name", &c::name, "The cluster's name; empty: this node is on its own."},
        option{"listen", &c::listen, "Where peers connect to: tcp://ADDRESS:PORT."},
        option{"advertise", &c::advertise, "What peers are told instead of the bound address."},
        option{"seeds", &c::seeds,
               "name=tcp://ADDRESS:PORT of every node that votes, this one included."},
        option{"membership",
               &c::membership,
               {{"static", membership_kind::fixed}, {"etcd", membership_kind::etcd}},
               "static: the seeds vote; etcd: leases and watches there decide."},
        option{"replicas", &c::replicas, 1u, 4u, "Copies of each cached answer, on other nodes."},
        option{"weight", &c::weight, 0u, 1000u, "Share of the cache slots; 0 owns none."},
        option{"data_dir", &c::data_dir, "Where the number of the last vote is kept."},
        option{"plain", &c::plain, "Allow a cluster without keys beyond this machine."},
        option{"secret_key", &c::secret_key, "env.NAME of this node's CURVE key; turns keys on."},
        option{"public_keys", &c::public_keys, "name=KEY of every node that may connect."},
        option{"beat_interval_ms", &c::beat_interval, milliseconds{10}, milliseconds{60'000},
               "How often peers hear of this node."},
        option{"phi_max", &c::phi_max, 1.0, 100.0,
               "Suspicion above which a silent peer counts as lost (phi accrual)."},
        option{"pause_max_ms", &c::pause_max, milliseconds{0}, milliseconds{600'000},
               "Silence that is forgiven on top of what the history explains."},
        option{"lease_ms", &c::lease, milliseconds{20}, milliseconds{600'000},
               "A node that no majority answers for this long serves nothing it owns."},
        option{"queue_bytes", &c::queue_bytes_max, std::uint64_t{65'536}, std::uint64_t{1} << 34,
               "Bytes waiting for one peer; further messages are refused."},
        option{"queue_messages_max", &c::queue_messages_max, 16u, 1u << 30,
               "Messages waiting for one peer; further ones are refused."},
        option{"window_bytes", &c::window_bytes, 65'536u, 1u << 30,
               "What a peer may send before this node acknowledged it."},
        option{"message_bytes", &c::message_bytes_max, std::uint64_t{65'536},
               std::uint64_t{1} << 30, "The largest message."},
        option{"peers_max", &c::peers_max, 1u, 1024u, "Nodes and foreign peers at once."},
        option{"local_in_flight_max", &c::local_in_flight_max, 1u, 1'000'000u,
               "Calls of one name at work here beyond which other nodes take part."},
        option{"etcd", &c::etcd, etcd_table(), "With membership = \"etcd\"."},
      }
        .check(check_cluster);
  return rows;
}

/// One text more, told apart from the next by a byte no UTF-8 has.
std::uint64_t fold(std::uint64_t hash, std::string_view text) {
  return fnv1a("\xff", fnv1a(text, hash));
}

} // namespace

void declare_cluster(config::schema& accepted) {
  accepted.section("cluster", config::cardinality::one, cluster_table(),
                   "Nodes that serve as one.");
}

std::pair<std::string, std::string> split_entry(const std::string& entry) {
  const auto at = entry.find('=');
  return {entry.substr(0, at), entry.substr(at + 1)};
}

std::uint64_t digest_of(const cluster_options& options, std::uint64_t identity) {
  std::vector<std::string> seeds;
  for (const auto& each : options.seeds)
    seeds.push_back(split_entry(each).first);
  std::sort(seeds.begin(), seeds.end());
  auto hash = fold(fnv1a({}), options.name);
  hash = fold(hash, options.membership == membership_kind::etcd ? "etcd" : "static");
  hash = fold(hash, std::to_string(options.replicas));
  hash = fold(hash, std::to_string(options.lease.count()));
  if (options.membership == membership_kind::fixed)
    for (const auto& each : seeds)
      hash = fold(hash, each);
  if (identity != 0)
    hash = fold(hash, std::to_string(identity));
  return hash | 1;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("tcp://127.") || address.starts_with("tcp://localhost:")
         || address.starts_with("tcp://[::1]:");
}

} // namespace skep::rt
