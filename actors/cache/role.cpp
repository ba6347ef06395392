#include "actors/cache/role.hpp"

#include "actors/cache/shard.hpp"
#include "runtime/config/option.hpp"

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
};

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
           {{"s3-fifo", store::policy_kind::s3_fifo}, {"lru", store::policy_kind::lru}},
           "Who makes room: S3-FIFO resists scans, LRU is what people know."},
    option{"queue_max", &cache_config::queue_max, 1u, 1'000'000u,
           "Lookups waiting at one shard; further ones go on as misses."},
  };
  return rows;
}

expected<void> build(rt::role_context& node) {
  const auto& from = node.config().get<cache_config>("cache");
  rt::mailbox_bounds bounds;
  bounds.messages_max = from.queue_max;
  const auto& kind = node.kind("cache", bounds);
  auto& env = node.env();
  for (std::uint32_t n = 0; n < from.shards; ++n) {
    cache_shard_config shard;
    shard.store.bytes_max = from.bytes_max / from.shards;
    shard.store.entries_max = std::max<std::uint64_t>(1, from.entries_max / from.shards);
    shard.store.value_bytes_max = from.value_max;
    shard.store.policy = from.policy;
    shard.ttl = from.ttl;
    const auto number = std::to_string(n);
    rt::child_spec spec;
    spec.name = "cache/" + number;
    spec.guard.use_breaker = false; // Nothing behind it can be down.
    spec.start
      = [&env, &kind, number, shard] { return env.spawn<cache_shard>(kind, number, shard); };
    node.supervise(std::move(spec));
  }
  return {};
}

} // namespace

rt::role cache_role() {
  rt::role made;
  made.name = "cache";
  made.declare = [](config::schema& accepted) {
    accepted.section("cache", config::cardinality::one, cache_table(), "The response cache.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
