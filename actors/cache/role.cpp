#include "actors/cache/role.hpp"

#include "actors/cache/front.hpp"
#include "actors/cache/shard.hpp"
#include "messages/core.hpp"
#include "runtime/config/option.hpp"
#include "runtime/store/value_codec.hpp"

#include <caf/send.hpp>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// `[cache]`.
struct cache_config {
  std::uint32_t shards = 4;
  std::uint64_t bytes_max = std::uint64_t{64} << 20;
  std::uint64_t entries_max = 1'000'000;
  std::uint64_t value_max = std::uint64_t{1} << 20;
  milliseconds ttl{3'600'000};
  store::policy_kind policy = store::policy_kind::s3_fifo;
  std::uint32_t queue_max = 4096;
  std::uint64_t near_bytes = std::uint64_t{8} << 20;
  milliseconds near_ttl{2000};
  milliseconds remote_timeout{100};
  milliseconds handover_keep{30'000};
  std::uint32_t ttl_jitter = 10;
  milliseconds stale{0};
  std::uint32_t refresh_ahead = 0;
  std::uint32_t leases_max = 65'536;
  std::vector<std::string> dictionaries;
  std::uint64_t compress_min = 512;
  milliseconds second_level_timeout{50};
};

using dictionaries = std::vector<store::dictionary_ptr>;

double share_of(std::uint32_t percent) {
  return static_cast<double>(percent) / 100;
}

const config::table<cache_config>& cache_table() {
  static const config::table<cache_config> rows{
    option{"shards", &cache_config::shards, 0u, 1024u,
           "Actors the keys are spread over; 0 turns the response cache off."},
    option{"memory_bytes", &cache_config::bytes_max, std::uint64_t{4096}, std::uint64_t{1} << 40,
           "Memory of all shards together; the least useful answers make room."},
    option{"entries_max", &cache_config::entries_max, std::uint64_t{1}, std::uint64_t{1} << 32,
           "Answers of all shards together."},
    option{"value_bytes", &cache_config::value_max, std::uint64_t{1}, std::uint64_t{1} << 30,
           "Larger answers are refused and counted."},
    option{"ttl_ms", &cache_config::ttl, milliseconds{1}, milliseconds{2'592'000'000},
           "How long an answer stays fresh."}
      .alias_env("CACHE_TTL", 1000),
    option{"policy",
           &cache_config::policy,
           {{"s3-fifo", store::policy_kind::s3_fifo},
            {"lru", store::policy_kind::lru},
            {"cost-aware", store::policy_kind::cost_aware}},
           "Who makes room: S3-FIFO resists scans, LRU is what people know, cost-aware keeps what "
           "is dear for its size."},
    option{"queue_max", &cache_config::queue_max, 1u, 1'000'000u,
           "Lookups waiting at one shard or at the front; further ones go on as misses."},
    option{"near_bytes", &cache_config::near_bytes, std::uint64_t{0}, std::uint64_t{1} << 40,
           "Memory for answers of other nodes, kept for moments; 0 keeps none."},
    option{"near_ttl_ms", &cache_config::near_ttl, milliseconds{1}, milliseconds{60'000},
           "How long an answer of another node is served without asking that node."},
    option{"remote_timeout_ms", &cache_config::remote_timeout, milliseconds{1},
           milliseconds{60'000}, "How long a lookup waits for one node before it asks the next."},
    option{"handover_keep_ms", &cache_config::handover_keep, milliseconds{0},
           milliseconds{3'600'000},
           "How long after a change of owners the previous ones are asked and keep their answers."},
    option{"ttl_jitter_percent", &cache_config::ttl_jitter, 0u, 50u,
           "Answers stop being fresh up to this much earlier, each by another share, so that what "
           "was stored together is not asked for again together."},
    option{"stale_ms", &cache_config::stale, milliseconds{0}, milliseconds{2'592'000'000},
           "How long an answer no longer fresh is still served while one caller renews it."},
    option{"refresh_ahead_percent", &cache_config::refresh_ahead, 0u, 90u,
           "In this last share of its freshness an answer is renewed by the first who asks; 0 "
           "waits for its end."},
    option{"leases_max", &cache_config::leases_max, 1u, 1'000'000u,
           "Answers one shard knows to be in the making; who asks for further ones makes them "
           "alone."},
    option{
      "dictionaries", &cache_config::dictionaries,
      "Files that `skep cache train` made: answers are compressed with the first and read with "
      "any; none keeps them as they are."},
    option{"compress_min_bytes", &cache_config::compress_min, std::uint64_t{1},
           std::uint64_t{1} << 30, "Smaller answers are not compressed."},
    option{"second_level_timeout_ms", &cache_config::second_level_timeout, milliseconds{1},
           milliseconds{60'000},
           "How long a lookup waits for the second level, where there is one."},
  };
  return rows;
}

rt::mailbox_bounds bounds_of(const cache_config& from) {
  rt::mailbox_bounds bounds;
  bounds.messages_max = from.queue_max;
  return bounds;
}

cache_shard_config shard_config(const cache_config& from, const caf::actor& second_level) {
  cache_shard_config made;
  made.store.bytes_max = from.bytes_max / from.shards;
  made.store.entries_max = std::max<std::uint64_t>(1, from.entries_max / from.shards);
  made.store.value_bytes_max = from.value_max;
  made.store.policy = from.policy;
  made.store.ttl_jitter = share_of(from.ttl_jitter);
  made.store.stale = from.stale;
  made.store.refresh_ahead = share_of(from.refresh_ahead);
  made.ttl = from.ttl;
  made.leases_max = from.leases_max;
  made.second_level = second_level;
  made.second_level_timeout = from.second_level_timeout;
  made.second_level_waits_max = from.queue_max;
  return made;
}

local_shards start_shards(rt::role_context& node, const cache_config& from,
                          const dictionaries& known, const caf::actor& second_level) {
  const auto& kind = node.kind("cache", bounds_of(from));
  auto& env = node.env();
  local_shards shards;
  for (std::uint32_t n = 0; n < from.shards; ++n) {
    auto shard = shard_config(from, second_level);
    if (!known.empty()) // Not shared: a codec is for one thread at a time.
      shard.store.codec
        = std::make_shared<const store::value_codec>(known, store::codec_config{from.compress_min});
    const auto number = std::to_string(n);
    rt::child_spec spec;
    spec.name = "cache/" + number;
    spec.guard.use_breaker = false; // Nothing behind it can be down.
    spec.start
      = [&env, &kind, number, shard] { return env.spawn<cache_shard>(kind, number, shard); };
    shards.orders.push_back(node.supervise(std::move(spec)));
    shards.calls.push_back(env.reach(shards.orders.back()));
  }
  return shards;
}

caf::actor start_front(rt::role_context& node, const cache_config& from, const local_shards& shards,
                       const caf::actor& second_level,
                       const std::shared_ptr<handover_status>& status) {
  cache_front_config rules;
  rules.near.bytes_max = from.near_bytes;
  rules.near.ttl = from.near_ttl;
  rules.remote_timeout = from.remote_timeout;
  rules.handover_keep = from.handover_keep;
  rules.ttl = from.ttl;
  rules.refresh_ahead = share_of(from.refresh_ahead);
  rules.second_level = second_level;
  rules.lookups_max = from.queue_max;
  const auto& kind = node.kind("cache_front", bounds_of(from));
  auto& env = node.env();
  auto& cluster = node.cluster();
  rt::child_spec spec;
  spec.name = "cache";
  spec.guard.use_breaker = false; // Other nodes that are down cost a lookup, not the front.
  spec.start = [&env, &kind, &cluster, shards, rules, status] {
    auto made = env.spawn<cache_front>(kind, cluster, shards, rules, status);
    caf::anon_send(made, msg::ack{}); // Watches the cluster from now on.
    return made;
  };
  return node.supervise(std::move(spec));
}

expected<dictionaries> load(const std::vector<std::string>& paths) {
  dictionaries made;
  for (const auto& path : paths) {
    auto one = store::load_dictionary(path);
    if (!one)
      return fail(one.error());
    made.push_back(std::move(*one));
  }
  return made;
}

std::vector<config::violation> check_dictionaries(const config::document& doc) {
  const auto read = load(doc.get<cache_config>("cache").dictionaries);
  if (read)
    return {};
  return {{"cache.dictionaries", read.error().detail}};
}

expected<void> build(rt::role_context& node) {
  const auto& from = node.config().get<cache_config>("cache");
  if (from.shards == 0)
    return {};
  const auto known = load(from.dictionaries);
  if (!known)
    return fail(known.error());
  // This node's own, if it has one: the cluster's other nodes ask theirs.
  const auto second_level = node.env().reach(node.env().directory().find("cache/redis"));
  const auto shards = start_shards(node, from, *known, second_level);
  const auto status = std::make_shared<handover_status>();
  auto front = start_front(node, from, shards, second_level, status);
  auto& cluster = node.cluster();
  node.publish("cache/store",
               cache_store::make(node.env(), cluster, shards, std::move(front), status));
  node.drained_when([&cluster, status, self = rt::node_id(cluster.self())] {
    return handed_over(*cluster.state(), *status, self);
  });
  return {};
}

} // namespace

rt::role cache_role() {
  rt::role made;
  made.name = "cache";
  made.publishes = {{"cache"}, {"cache/"}};
  made.needs = {"redis"};
  made.declare = [](config::schema& accepted) {
    accepted.section("cache", config::cardinality::one, cache_table(), "The response cache.");
    accepted.rule(check_dictionaries);
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
