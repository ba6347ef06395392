#include "runtime/node/cluster_node.hpp"

#include "messages/schema.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/ballot_file.hpp"
#include "runtime/cluster/etcd_membership.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/net/node_link.hpp"

#include <future>
#include <random>
#include <thread>

namespace skep::rt {

namespace {

// How long the last words to etcd may take.
constexpr duration farewell_timeout = 500ms;

/// Grows from one life to the next, and two lives begun in the same millisecond still differ.
std::uint64_t fresh_incarnation() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  return static_cast<std::uint64_t>(ms) << 20 | (std::random_device{}() & 0xf'ffff);
}

std::uint64_t schema_hash() {
  return fnv1a(schema_json(built_in_schema())) | 1;
}

std::vector<msg::spoken_message> spoken() {
  std::vector<msg::spoken_message> all;
  for (const auto& each : built_in_schema())
    if (each.tag != 0)
      all.push_back({each.tag, each.version});
  return all;
}

std::vector<std::string> seed_names(const cluster_options& from) {
  std::vector<std::string> names;
  for (const auto& each : from.seeds)
    names.push_back(split_entry(each).first);
  return names;
}

cluster_rules rules_of(const cluster_node::parts& parts, std::uint64_t life,
                       const cluster_options& from) {
  cluster_rules rules;
  rules.cluster = from.name;
  rules.back_end = from.membership == membership_kind::etcd ? "etcd" : "static";
  rules.self.name = parts.node;
  rules.families = parts.families;
  rules.self.incarnation = life;
  rules.self.weight = from.weight;
  for (const auto& each : from.seeds)
    rules.seeds.push_back(split_entry(each));
  rules.copies = from.replicas;
  rules.routes.local_in_flight_max = from.local_in_flight_max;
  rules.routes.nodes_max = from.peers_max;
  rules.detector.beat_interval = from.beat_interval;
  rules.detector.phi_max = from.phi_max;
  rules.detector.pause_max = from.pause_max;
  return rules;
}

net::link_config link_of(const std::string& node, std::uint64_t life, const cluster_options& from,
                         std::uint64_t identity) {
  net::link_config link;
  link.cluster = from.name;
  link.node = node;
  link.bind = from.listen;
  link.advertise = from.advertise;
  link.incarnation = life;
  link.config_digest = digest_of(from, identity);
  link.schema_hash = schema_hash();
  link.speaks = spoken();
  link.peers_max = from.peers_max;
  link.queue_bytes_max = from.queue_bytes_max;
  link.queue_messages_max = from.queue_messages_max;
  link.message_bytes_max = from.message_bytes_max;
  link.window_bytes = from.window_bytes;
  link.beat_interval = from.beat_interval;
  return link;
}

expected<net::link_keys> keys_of(const std::string& node, const cluster_options& from) {
  net::link_keys keys;
  if (from.secret_key.empty())
    return keys;
  keys.secret_key = from.secret_key.reveal();
  for (const auto& each : from.public_keys)
    keys.allowed.push_back(split_entry(each));
  for (const auto& [name, key] : keys.allowed)
    if (name == node)
      keys.public_key = key;
  if (keys.public_key.empty())
    return fail(errc::bad_config, "[cluster] public_keys has no entry for this node, " + node);
  return keys;
}

} // namespace

cluster_node::cluster_node(const parts& from, const cluster_options& options)
  : from_(from), options_(options), incarnation_(fresh_incarnation()),
    cluster_(from_.env, types_, rules_of(from_, incarnation_, options_)) {
  cluster_.on_drain_request(from_.on_drain_request);
}

cluster_node::~cluster_node() {
  stop();
}

expected<void> cluster_node::start() {
  if (options_.membership == membership_kind::fixed) {
    auto opened = ballot_file::open(options_.data_dir, from_.node);
    if (!opened)
      return fail(opened.error());
    ballots_ = std::move(*opened);
  }
  auto keys = keys_of(from_.node, options_);
  if (!keys)
    return fail(keys.error());
  auto link = net::node_link::start(link_of(from_.node, incarnation_, options_, from_.identity),
                                    std::move(*keys), cluster_);
  if (!link)
    return fail(link.error());
  link_ = std::move(*link);
  export_link();
  const auto address = options_.advertise.empty() ? link_->endpoint() : options_.advertise;
  log::info("cluster: {} listens at {} as {}", options_.name, link_->endpoint(), from_.node);
  std::promise<void> begun;
  auto done = begun.get_future();
  link_->post([&](net::link_core& core) {
    cluster_.start(
      address, core,
      [link = link_.get()](std::function<void(net::link_core&)> task) {
        link->post(std::move(task));
      },
      [this](const msg::member& self, membership_events events) {
        return make_membership(self, std::move(events));
      },
      from_.env.now());
    begun.set_value();
  });
  done.wait();
  return {};
}

std::unique_ptr<membership> cluster_node::make_membership(const msg::member& self,
                                                          membership_events events) {
  if (options_.membership == membership_kind::fixed) {
    static_membership_config config;
    config.self = self;
    config.seeds = seed_names(options_);
    config.lease = options_.lease;
    return make_static_membership(std::move(config), *ballots_, std::move(events), from_.env.now());
  }
  etcd_membership_config config;
  config.self = self;
  config.cluster = options_.name;
  config.endpoints = options_.etcd.endpoints;
  config.ttl = options_.etcd.ttl;
  config.request_timeout = options_.etcd.request_timeout;
  auto post = [link = link_.get()](std::function<void()> task) {
    link->post([task = std::move(task)](net::link_core&) { task(); });
  };
  return make_etcd_membership(std::move(config), from_.fetch, std::move(post), std::move(events));
}

void cluster_node::export_link() {
  auto& metrics = from_.env.metrics();
  const auto total
    = [&](const char* name, const char* help, std::uint64_t net::link_stats::*field) {
        metrics_.push_back(metrics.counter_callback(name, help, {}, [link = link_.get(), field] {
          return static_cast<double>(link->stats().*field);
        }));
      };
  total("skep_link_messages_out_total", "Messages sent to peers.", &net::link_stats::messages_out);
  total("skep_link_messages_in_total", "Messages from peers.", &net::link_stats::messages_in);
  total("skep_link_frames_out_total", "Frames sent.", &net::link_stats::frames_out);
  total("skep_link_frames_in_total", "Frames received.", &net::link_stats::frames_in);
  total("skep_link_bytes_out_total", "Bytes sent.", &net::link_stats::bytes_out);
  total("skep_link_bytes_in_total", "Bytes received.", &net::link_stats::bytes_in);
  total("skep_link_refused_total", "Messages a full queue to a peer refused.",
        &net::link_stats::refused);
  total("skep_link_malformed_total", "Frames that were none of ours.", &net::link_stats::malformed);
  total("skep_link_duplicates_total", "Frames seen before.", &net::link_stats::duplicates);
  total("skep_link_gaps_total", "Frames ahead of a missing one.", &net::link_stats::gaps);
  total("skep_link_resent_total", "Frames sent again.", &net::link_stats::resent);
  total("skep_link_sessions_total", "Sessions begun.", &net::link_stats::sessions);
  total("skep_link_hellos_refused_total", "Hellos refused.", &net::link_stats::hellos_refused);
  const auto gauge
    = [&](const char* name, const char* help, std::uint64_t net::link_peer_stats::*field) {
        metrics_.push_back(metrics.gauge_callback(name, help, {}, [link = link_.get(), field] {
          std::uint64_t sum = 0;
          for (const auto& each : link->peers())
            sum += each.*field;
          return static_cast<double>(sum);
        }));
      };
  gauge("skep_link_queued_bytes", "Bytes waiting for peers.", &net::link_peer_stats::queued_bytes);
  gauge("skep_link_queued_messages", "Messages waiting for peers.",
        &net::link_peer_stats::queued_messages);
  gauge("skep_link_in_flight_bytes", "Bytes sent and not acknowledged.",
        &net::link_peer_stats::in_flight_bytes);
}

void cluster_node::stop() {
  metrics_.clear();
  if (link_) {
    std::promise<void> left;
    auto done = left.get_future();
    link_->post([&](net::link_core&) {
      cluster_.leave_membership();
      left.set_value();
    });
    done.wait();
    // What leaving said to etcd has not gone out yet.
    const auto deadline = clock::now() + farewell_timeout;
    while (from_.fetch.stats().active > 0 && clock::now() < deadline)
      std::this_thread::sleep_for(1ms);
  }
  link_.reset();
  cluster_.stop();
}

} // namespace skep::rt
