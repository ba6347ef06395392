// A shard in front of the second level, as a node has them.
#include "actors/cache/shard.hpp"
#include "actors/redis/redis_level.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fake_redis.hpp"

#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;

namespace {

struct levels {
  rt::test_system sys;
  std::shared_ptr<fake_redis> redis = std::make_shared<fake_redis>(sys);
  caf::actor second;
  caf::actor shard;

  levels() {
    rt::guard_config guard;
    guard.breaker.failures_max = 3;
    guard.breaker.open_min = 500ms;
    second = rt::guard::make(sys.env(), "cache/redis", guard);
    rt::guard::of(second).put(
      sys.spawn<redis_level>(sys.kind("redis"), redis_level_config{}, redis));
    cache_shard_config config;
    config.second_level = second;
    shard = sys.spawn<cache_shard>(sys.kind("cache"), "0", config);
  }
  ~levels() {
    rt::guard::of(second).retire({});
  }

  void deliver_all() {
    while (!redis->waiting.empty()) {
      redis->deliver();
      sys.run();
    }
  }
  std::string get(std::uint64_t n) {
    msg::cache_get_request request;
    request.key = {n, n};
    request.group = 7;
    const auto got = sys.ask(shard, request);
    deliver_all();
    const auto* reply = got->last<msg::cache_get_reply>();
    return reply != nullptr ? reply->value : "! " + std::string{to_string(got->why().code)};
  }
  void put_second(std::uint64_t n, const std::string& value) {
    msg::cache_put_request request;
    request.key = {n, n};
    request.value = value;
    request.group = 7;
    sys.tell(second, request);
    deliver_all();
  }
};

} // namespace

TEST_CASE("a shard finds in Redis what it has not, and keeps it", "[actors][cache][redis]") {
  levels f;
  CHECK(f.get(1) == "! cache_miss");
  f.put_second(1, "from another node");
  CHECK(f.get(1) == "from another node");
  f.redis->values.clear();
  const auto asked = f.redis->log.size();
  CHECK(f.get(1) == "from another node");
  CHECK(f.redis->log.size() == asked);
}

TEST_CASE("a Redis that is silent opens its circuit although the shard waits for less",
          "[actors][cache][redis]") {
  levels f;
  msg::cache_get_request request;
  request.group = 7;
  for (std::uint64_t n = 0; n < 3; ++n) {
    request.key = {n, n};
    const auto got = f.sys.ask(f.shard, request);
    REQUIRE(f.redis->waiting.size() == 1);
    // What the client would do on its own thread.
    f.sys.advance(f.redis->waiting.front().timeout);
    f.redis->fails = failure{errc::deadline_exceeded, "silent"};
    f.deliver_all();
    CHECK(got->why().code == errc::cache_miss);
  }
  CHECK(rt::guard::of(f.second).state() == flow::breaker_state::open);
  request.key = {9, 9};
  CHECK(f.sys.ask(f.shard, request)->why().code == errc::cache_miss);
  CHECK(f.redis->waiting.empty());
  f.redis->fails = {};
  f.sys.advance(600ms);
  CHECK(f.get(10) == "! cache_miss"); // The probe.
  CHECK(rt::guard::of(f.second).state() == flow::breaker_state::closed);
}
