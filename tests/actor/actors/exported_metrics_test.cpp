// The metrics that code of ours reads are exported by those who should.
#include "actors/cache/shard.hpp"
#include "actors/metric_names.hpp"
#include "actors/roles.hpp"
#include "runtime/actor/metric_names.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/io/metric_names.hpp"
#include "runtime/net/metric_names.hpp"
#include "runtime/node/node.hpp"
#include "runtime/store/value_codec.hpp"
#include "runtime/telemetry/metric_names.hpp"
#include "runtime/telemetry/window_history.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/ask_provider.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/real_system.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

const std::vector<telemetry::metric_info> read_by_us{metric::pool_size,
                                                     metric::pool_idle,
                                                     metric::pool_busy_peak,
                                                     metric::pool_size_max,
                                                     metric::pool_idle_min,
                                                     metric::pool_idle_ttl,
                                                     metric::pool_checkouts,
                                                     metric::pool_refused,
                                                     metric::pool_spawned,
                                                     metric::pool_evicted,
                                                     metric::pool_discarded,
                                                     metric::provider_in_flight,
                                                     metric::provider_requests,
                                                     metric::http_active,
                                                     metric::gateway_cache,
                                                     metric::cache_entries,
                                                     metric::cache_refusals,
                                                     metric::cache_bytes,
                                                     metric::cache_leases,
                                                     metric::cache_stored,
                                                     metric::cache_evicted,
                                                     metric::cache_expired,
                                                     metric::cache_refused,
                                                     metric::cache_plain_bytes,
                                                     metric::cache_packed_bytes,
                                                     metric::redis_hits,
                                                     metric::redis_misses,
                                                     metric::redis_stored,
                                                     metric::redis_failed,
                                                     io::metric::redis_connections,
                                                     io::metric::redis_pool_size,
                                                     io::metric::redis_client_refused,
                                                     io::metric::redis_connections_lost,
                                                     net::metric::fetch_pool_size,
                                                     net::metric::fetch_pool_in_use,
                                                     net::metric::fetch_pool_waiting,
                                                     rt::metric::mailbox_depth,
                                                     rt::metric::breaker_state,
                                                     telemetry::metric::build_info};

constexpr const char* everything = R"(
[gateway]
listen = "127.0.0.1:0"
[provider.sim]
kind = "simulated"
[provider.sim.simulated]
first_token_ms = 0
[agent.helper]
models = ["sim/small"]
[redis]
url = "redis://127.0.0.1:1"
)";

double shown(rt::test_system& sys, const telemetry::metric_info& what) {
  return telemetry::sum_of(sys.env().metrics().collect(), what);
}

} // namespace

TEST_CASE("a node exports every metric that code of ours reads, with the label it is read by",
          "[actors][performance]") {
  const auto roles = all_roles();
  const auto document = config::load(rt::node::schema_of(roles), {"test.toml", everything, {}, {}});
  REQUIRE(document);
  const auto node = rt::node::start(*document, roles);
  REQUIRE(node);
  REQUIRE(test::ask_provider(**node, "provider/sim")); // Its metrics begin with an answer.
  const auto exported = [&] { return (*node)->env().metrics().collect(); };
  // The provider counts a call behind its answer.
  REQUIRE(test::eventually(
    [&] { return !telemetry::series_of(exported(), metric::provider_requests).empty(); }));
  const auto all = exported();
  for (const auto& each : read_by_us) {
    INFO(each.name);
    const auto& series = telemetry::series_of(all, each);
    REQUIRE_FALSE(series.empty());
    CHECK((std::string_view{each.label}.empty()
           || !telemetry::label_of(series.front(), each.label).empty()));
  }
}

TEST_CASE("a shard tells of the refusals it holds and of what compression brought",
          "[actors][cache][performance]") {
  rt::test_system sys;
  cache_shard_config rules;
  rules.store.codec = std::make_shared<const store::value_codec>();
  const auto shard = sys.spawn<cache_shard>(sys.kind("cache"), "0", rules);
  msg::cache_put_request put{{1, 1}, std::string(10'000, 'x'), 60'000};
  sys.tell(shard, put);
  CHECK(shown(sys, metric::cache_refusals) == 0);
  CHECK(shown(sys, metric::cache_plain_bytes) == 10'000);
  CHECK(shown(sys, metric::cache_packed_bytes) > 0);
  CHECK(shown(sys, metric::cache_packed_bytes) < 1'000);
  put.key = {2, 2};
  put.kind = static_cast<std::uint8_t>(msg::cache_kind::refusal);
  sys.tell(shard, put);
  CHECK(shown(sys, metric::cache_refusals) == 1);
  CHECK(shown(sys, metric::cache_entries) == 2);
}
