// How many connections a Redis client keeps, and that it finds out about dead ones.
#include "runtime/io/redis_client.hpp"
#include "tests/unit/io/redis_fixture.hpp"

using namespace skep;
using namespace skep::test;

namespace {

io::redis_client_config small_pool(std::uint16_t port) {
  auto config = redis_fixture::at(port);
  config.connections = 1;
  config.overflow = 3;
  config.pipeline_depth = 1;
  config.utilisation_window = 10ms;
  config.idle_ttl = 50ms;
  return config;
}

} // namespace

TEST_CASE("a Redis pool opens more connections under load and closes them when idle",
          "[io][redis][pool][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{small_pool(server.port())};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  CHECK(redis.gauge("skep_redis_connections") == 1);
  std::vector<outcome_ptr> open;
  for (int n = 0; n < 8; ++n)
    open.push_back(redis.send({"BLPOP", "nothing", "0.1"}));
  CHECK(redis.gauge_becomes("skep_redis_connections", 4));
  CHECK(redis.gauge("skep_redis_pool_size") == 4);
  // What comes now need not wait behind those that block on the first connection.
  const auto quick = redis.send({"PING"});
  for (auto& each : open) {
    CHECK(redis_fixture::shown(each->get()) == "nil");
    CHECK(each->times() == 1);
  }
  CHECK(redis_fixture::shown(quick->get()) == "+PONG");
  CHECK(redis.gauge_becomes("skep_redis_connections", 1));
  CHECK(redis.gauge("skep_redis_pool_size") == 1);
  CHECK(redis.counter("skep_redis_pool_grown_total") > 0);
  CHECK(redis.counter("skep_redis_pool_shrunk_total") == 2);
  CHECK(redis.counter("skep_redis_connections_lost_total") == 0); // Closing is no loss.
  CHECK(redis.ask({"PING"}) == "+PONG");
}

TEST_CASE("an idle Redis connection that does not answer PING is replaced before it is needed",
          "[io][redis][pool][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  auto config = redis_fixture::at(server.port());
  config.ping_interval = 20ms;
  redis_fixture redis{config};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  server.freeze();
  CHECK(redis.counter_becomes_positive("skep_redis_pool_evicted_total"));
  server.thaw();
  CHECK(redis.works_again());
  CHECK(redis.counter("skep_redis_client_expired_total") == 0);
}

TEST_CASE("a long silent Redis connection is asked before it gets a command",
          "[io][redis][pool][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  auto config = redis_fixture::at(server.port());
  config.connections = 1;
  config.silence_max = 5ms;
  redis_fixture redis{config};
  REQUIRE(redis.ask({"SET", "k", "v"}) == "+OK");
  for (const auto silent = clock::now() + config.silence_max; clock::now() < silent;)
    ::poll(nullptr, 0, 1);
  server.freeze();
  const auto held = redis.send(io::redis_args{"INCR", "count"});
  CHECK(redis.counter_becomes_positive("skep_redis_pool_evicted_total"));
  CHECK(held->times() == 0); // It was not on the connection that died.
  server.thaw();
  CHECK(redis_fixture::shown(held->get()) == ":1");
  CHECK(held->times() == 1);
  CHECK(redis.ask({"GET", "count"}) == "$1");
}
