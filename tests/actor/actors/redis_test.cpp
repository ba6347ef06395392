#include "actors/redis/redis_level.hpp"
#include "messages/cache_record.hpp"
#include "messages/codec.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fake_redis.hpp"
#include "tests/support/golden.hpp"

#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;
using io::redis_reply;
using std::chrono::milliseconds;

namespace {

struct level_fixture {
  rt::test_system sys;
  std::shared_ptr<fake_redis> redis = std::make_shared<fake_redis>(sys);
  redis_level_config rules;
  wall_clock::time_point began{std::chrono::hours{24} * 20'000};
  duration skew{};
  time_point start_at = sys.now();
  caf::actor level;

  level_fixture() {
    rules.server = "fake";
    rules.wall_now = [this] {
      return began + std::chrono::duration_cast<milliseconds>(sys.now() - start_at + skew);
    };
  }
  caf::actor& start() {
    if (!level)
      level = sys.spawn<redis_level>(sys.kind("redis"), rules, redis);
    return level;
  }
  void deliver_all() {
    while (!redis->waiting.empty()) {
      redis->deliver();
      sys.run();
    }
  }
  void put(std::uint64_t n, const std::string& value, std::uint32_t ttl_ms = 60'000,
           std::uint64_t group = 7) {
    msg::cache_put_request request;
    request.key = {n, n};
    request.value = value;
    request.ttl_ms = ttl_ms;
    request.group = group;
    request.kind = 1;
    request.cost = 12;
    sys.tell(start(), request);
    deliver_all();
  }
  std::shared_ptr<rt::answers> get(std::uint64_t n, std::uint32_t age_max_s = 0,
                                   std::uint64_t group = 7) {
    msg::cache_get_request request;
    request.key = {n, n};
    request.age_max_s = age_max_s;
    request.group = group;
    const auto got = sys.ask(start(), request);
    deliver_all();
    return got;
  }
  msg::cache_get_reply found(std::uint64_t n) {
    const auto got = get(n);
    const auto* reply = got->last<msg::cache_get_reply>();
    REQUIRE(reply != nullptr);
    return *reply;
  }
  /// The value, or why there is none.
  std::string read(std::uint64_t n, std::uint64_t group = 7) {
    const auto got = get(n, 0, group);
    const auto* reply = got->last<msg::cache_get_reply>();
    return reply != nullptr ? reply->value : "! " + std::string{to_string(got->why().code)};
  }
  std::uint64_t counter(const std::string& name, telemetry::label_set labels = {}) {
    return sys.env().metrics().counter(name, "", std::move(labels)).value();
  }
};

constexpr auto key_of_one = "skep:{v1}:0000000000000007:00000000000000010000000000000001";

} // namespace

TEST_CASE("what is put into Redis is found with its age, rest and kind", "[actors][redis]") {
  level_fixture f;
  f.put(1, "answer", 60'000);
  REQUIRE(f.redis->values.contains(key_of_one));
  CHECK(f.counter("skep_redis_stored_total") == 1);
  f.sys.advance(12'500ms);
  const auto reply = f.found(1);
  CHECK(reply.found);
  CHECK(reply.value == "answer");
  CHECK(reply.age_s == 12);
  CHECK(reply.ttl_s == 47);
  CHECK(reply.kind == 1);
  CHECK(reply.group == 7);
  CHECK(reply.cost == 12);
  CHECK_FALSE(reply.stale);
  CHECK(reply.turn == 0);
  CHECK(f.read(2) == "! cache_miss");
  CHECK(f.read(1, 8) == "! cache_miss"); // The same request of another agent.
  CHECK(f.get(1, 12)->why().code == errc::cache_miss);
  CHECK(f.get(1, 13)->last<msg::cache_get_reply>() != nullptr);
  CHECK(f.counter("skep_redis_hits_total") == 2);
  CHECK(f.counter("skep_redis_misses_total") == 3);
  f.sys.advance(48s);
  CHECK(f.read(1) == "! cache_miss");
}

TEST_CASE("no clock makes an answer in Redis fresh for longer", "[actors][redis]") {
  level_fixture f;
  SECTION("the writer's clock is ahead") {
    f.skew = 1h;
    f.put(1, "answer", 60'000);
    f.skew = {};
    f.sys.advance(10s);
    const auto reply = f.found(1);
    CHECK(reply.age_s == 10); // By the server's clock.
    CHECK(reply.ttl_s == 50);
  }
  SECTION("the writer's clock is behind") {
    f.skew = -20s;
    f.put(1, "answer", 60'000);
    f.skew = {};
    const auto reply = f.found(1);
    CHECK(reply.age_s == 20);
    CHECK(reply.ttl_s == 40);
  }
  SECTION("the server keeps it for longer than it was given") {
    f.put(1, "answer", 60'000);
    f.redis->values.at(key_of_one).until += 1h;
    f.sys.advance(59s);
    CHECK(f.read(1) == "answer");
    f.sys.advance(2s);
    CHECK(f.read(1) == "! cache_miss");
  }
  SECTION("the server keeps it for ever") {
    f.put(1, "answer", 60'000);
    f.redis->overrides["PTTL"] = reply_of(redis_reply::kind::integer, {}, -1);
    CHECK(f.read(1) == "answer");
    f.sys.advance(59s);
    CHECK(f.found(1).ttl_s == 1);
  }
}

TEST_CASE("bytes in Redis that are not ours are a miss and counted", "[actors][redis]") {
  level_fixture f;
  f.put(1, "answer", 60'000);
  const auto good = f.redis->values.at(key_of_one).bytes;
  std::vector<std::string> bad{"", "hello", std::string(100, '\xff'), good + "x",
                               good.substr(0, good.size() / 2)};
  const auto with = [&](auto change) {
    auto record = *decode<msg::cache_record>(good);
    change(record);
    std::string bytes;
    encode(record, bytes);
    bad.push_back(bytes);
  };
  with([](auto& r) { r.value[0] = '?'; });
  with([](auto& r) { r.value.clear(); });
  with([](auto& r) { r.value = "zthis is no frame"; });
  with([](auto& r) { r.ttl_ms = 0; });
  with([](auto& r) { r.ttl_ms = ~std::uint64_t{0}; });
  with([](auto& r) { r.value.assign(std::size_t{2} << 20, 'r'); });
  std::uint64_t malformed = 0;
  for (const auto& bytes : bad) {
    INFO(bytes.substr(0, 40));
    f.redis->values.at(key_of_one).bytes = bytes;
    CHECK(f.read(1) == "! cache_miss");
    CHECK(f.counter("skep_redis_malformed_total") == ++malformed);
  }
  // A time of storing that cannot be is only a wrong clock.
  for (const auto at :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    auto record = *decode<msg::cache_record>(good);
    record.stored_unix_ms = at;
    std::string bytes;
    encode(record, bytes);
    f.redis->values.at(key_of_one).bytes = bytes;
    CHECK(f.read(1) == (at < 0 ? "! cache_miss" : "answer"));
  }
  f.redis->overrides["GET"] = reply_of(
    redis_reply::kind::error, "WRONGTYPE Operation against a key holding the wrong kind of value");
  CHECK(f.read(1) == "! cache_miss");
  CHECK(f.counter("skep_redis_malformed_total") == malformed + 1);
}

TEST_CASE("replies of another shape and errors of Redis fail the call", "[actors][redis]") {
  level_fixture f;
  f.put(1, "answer");
  const auto code = [&](const std::string& command, redis_reply reply) {
    f.redis->overrides = {{command, std::move(reply)}};
    return f.get(1)->why().code;
  };
  using kind = redis_reply::kind;
  CHECK(code("GET", reply_of(kind::error, "LOADING x")) == errc::provider_failed);
  CHECK(code("GET", reply_of(kind::error, "NOAUTH x")) == errc::provider_auth_failed);
  CHECK(code("GET", reply_of(kind::error, "MOVED 1 x:1")) == errc::provider_failed);
  CHECK(code("GET", reply_of(kind::integer, "", 1)) == errc::malformed);
  CHECK(code("GET", reply_of(kind::array)) == errc::malformed);
  CHECK(code("PTTL", reply_of(kind::nil)) == errc::malformed);
  CHECK(f.counter("skep_redis_failed_total", {{"kind", "get"}}) == 6);
  f.redis->overrides = {{"SET", reply_of(kind::error, "OOM command not allowed")}};
  f.put(2, "more");
  CHECK(f.counter("skep_redis_failed_total", {{"kind", "put"}}) == 1);
  f.redis->overrides.clear();
  f.redis->fails = failure{errc::transport_failed, "gone"};
  CHECK(f.get(1)->why().code == errc::transport_failed);
  f.redis->fails = {};
  f.redis->refuses = failure{errc::overloaded, "full"};
  CHECK(f.get(1)->why().code == errc::overloaded);
  f.put(3, "dropped");
  CHECK(f.counter("skep_redis_failed_total", {{"kind", "put"}}) == 2);
  f.redis->refuses = {};
  CHECK(f.read(1) == "answer");
}

TEST_CASE("a value over the bound is not written, one without a ttl gets the config's",
          "[actors][redis]") {
  level_fixture f;
  f.rules.value_max = 100;
  f.rules.ttl = 5'000ms;
  f.put(1, std::string(101, 'x'));
  CHECK(f.redis->values.empty());
  CHECK(f.counter("skep_redis_too_large_total") == 1);
  f.put(1, std::string(100, 'x'), 0);
  CHECK(f.read(1) == std::string(100, 'x'));
  f.sys.advance(6s);
  CHECK(f.read(1) == "! cache_miss");
}

TEST_CASE("a long answer lies in Redis compressed", "[actors][redis]") {
  level_fixture f;
  std::string text;
  for (int n = 0; n < 500; ++n)
    text += "sentence " + std::to_string(n) + " of a long answer. ";
  f.put(1, text);
  CHECK(f.redis->values.at(key_of_one).bytes.size() < text.size() / 3);
  CHECK(f.read(1) == text);
  f.rules.value_max = text.size() - 1; // Another node's, which would not have stored it.
  f.level = {};
  CHECK(f.read(1) == "! cache_miss");
  CHECK(f.counter("skep_redis_malformed_total") == 1);
}

TEST_CASE("a clear removes all, a group or a key, and nobody else's keys", "[actors][redis]") {
  level_fixture f;
  const auto fill = [&] {
    f.redis->values.clear();
    for (std::uint64_t n = 1; n <= 9; ++n)
      f.put(n, "v", 60'000, n % 3);
    f.redis->values["other:key"] = {"theirs", time_point::max()};
    f.redis->values["skep:other"] = {"theirs", time_point::max()};
  };
  const auto clear = [&](msg::cache_clear_request request) {
    const auto got = f.sys.ask(f.start(), request);
    f.deliver_all();
    CHECK(got->last<msg::ack>() != nullptr);
    CHECK(got->ends() == 1);
    return f.redis->values.size();
  };
  for (const std::size_t page : {1u, 2u, 5u, 100u}) {
    f.redis->page = page;
    fill();
    CHECK(clear({false, {4, 4}, 0}) == 10);
    CHECK(f.read(4, 1) == "! cache_miss");
    CHECK(clear({false, {4, 4}, 0}) == 10);
    CHECK(clear({false, {}, 2}) == 7);
    CHECK(clear({true, {}, 0}) == 2);
    CHECK(clear({true, {}, 0}) == 2);
  }
  CHECK(f.counter("skep_redis_cleared_total") == 4 * 9);
}

TEST_CASE("a clear ends by its deadline, and fails when Redis does", "[actors][redis]") {
  level_fixture f;
  f.redis->page = 1;
  for (std::uint64_t n = 1; n <= 9; ++n)
    f.put(n, "v");
  const auto got = f.sys.ask(f.start(), msg::cache_clear_request{true, {}, 0});
  CHECK(f.redis->waiting.front().timeout == 9980ms); // The call's own, but for the way back.
  SECTION("time runs out") {
    for (int n = 0; n < 3; ++n) {
      f.redis->deliver();
      f.sys.run();
    }
    f.sys.advance(11s);
    f.deliver_all();
    CHECK(got->why().code == errc::deadline_exceeded);
    CHECK(got->ends() == 1);
    CHECK(f.redis->values.size() < 9);
  }
  SECTION("Redis goes away") {
    f.redis->deliver();
    f.sys.run();
    f.redis->fails = failure{errc::transport_failed, "gone"};
    f.deliver_all();
    CHECK(got->why().code == errc::transport_failed);
  }
  SECTION("an unknown shape") {
    f.redis->overrides["SCAN"] = reply_of(redis_reply::kind::array);
    f.deliver_all();
    CHECK(got->why().code == errc::malformed);
  }
}

TEST_CASE("clears at work are bounded", "[actors][redis]") {
  level_fixture f;
  f.rules.clears_max = 2;
  f.start();
  const msg::cache_clear_request all{true, {}, 0};
  const auto one = f.sys.ask(f.level, all);
  const auto two = f.sys.ask(f.level, all);
  CHECK(f.sys.ask(f.level, all)->why().code == errc::overloaded);
  f.sys.give_up(one);
  const auto three = f.sys.ask(f.level, all);
  f.deliver_all();
  CHECK(two->last<msg::ack>() != nullptr);
  CHECK(three->last<msg::ack>() != nullptr);
}

TEST_CASE("a lookup waits no longer than its caller and never longer than the config says",
          "[actors][redis]") {
  level_fixture f;
  f.start();
  const auto late = f.sys.ask(f.level, msg::cache_get_request{{1, 1}, 0}, f.sys.context(30ms));
  CHECK(f.redis->waiting.back().timeout == 24ms); // So that the guard hears of it, too.
  const auto patient = f.sys.ask(f.level, msg::cache_get_request{{1, 1}, 0}, f.sys.context(10s));
  CHECK(f.redis->waiting.back().timeout == 50ms);
  f.sys.give_up(patient);
  f.sys.advance(40ms);
  CHECK(late->why().code == errc::deadline_exceeded);
  f.deliver_all(); // Both answers find nobody.
  CHECK(late->ends() == 1);
}

TEST_CASE("the guard's circuit opens while Redis is down and closes when it is back",
          "[actors][redis]") {
  level_fixture f;
  rt::guard_config rules;
  rules.breaker.failures_max = 3;
  rules.breaker.open_min = 500ms;
  const auto guarded = rt::guard::make(f.sys.env(), "cache/redis", rules);
  rt::guard::of(guarded).put(f.start());
  const auto ask = [&] {
    const auto got = f.sys.ask(guarded, msg::cache_get_request{{1, 1}, 0});
    f.deliver_all();
    return got->why().code;
  };
  for (int n = 0; n < 10; ++n)
    CHECK(ask() == errc::cache_miss); // A miss is no failure.
  f.redis->fails = failure{errc::transport_failed, "gone"};
  for (int n = 0; n < 3; ++n)
    CHECK(ask() == errc::transport_failed);
  CHECK(ask() == errc::circuit_open);
  CHECK(f.redis->waiting.empty());
  f.sys.advance(600ms);
  CHECK(ask() == errc::transport_failed); // The probe.
  CHECK(ask() == errc::circuit_open);
  f.redis->fails = {};
  f.sys.advance(1200ms);
  CHECK(ask() == errc::cache_miss);
  CHECK(ask() == errc::cache_miss);
  rt::guard::of(guarded).retire({});
}

TEST_CASE("a record in Redis has the bytes it always had", "[actors][redis]") {
  msg::cache_put_request put;
  put.value = "value";
  put.group = 0x0102030405060708;
  put.kind = 1;
  put.cost = 300;
  const store::value_codec codec;
  const auto bytes = pack_entry(codec, put, 60'000ms, wall_clock::time_point{1'700'000'000'123ms});
  CHECK(to_hex(bytes) == "96a67276616c7565cf0000018bcfe5687bcdea60cf010203040506070801cd012c");
  // One of a later version, with a field more, is read as well.
  auto later = bytes;
  later[0] = '\x97';
  later += '\x07';
  const auto read
    = unpack_entry(codec, later, 60'000ms, wall_clock::time_point{1'700'000'000'123ms}, 1024);
  REQUIRE(read);
  REQUIRE(*read);
  CHECK((*read)->value == "value");
  CHECK((*read)->ttl_s == 60);
}
