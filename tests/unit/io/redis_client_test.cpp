// Against the real Redis, on free ports and in real time.
#include "runtime/io/redis_client.hpp"
#include "tests/unit/io/redis_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

using namespace skep;
using namespace skep::test;
using io::redis_args;

namespace {

bool mentions(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a Redis client gets replies of every shape", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  CHECK(redis.ask({"SET", "key", std::string("a\0b\r\n", 5)}) == "+OK");
  CHECK(redis.ask({"GET", "key"}) == "$" + std::string("a\0b\r\n", 5));
  CHECK(redis.ask({"GET", "none"}) == "nil");
  CHECK(redis.ask({"STRLEN", "key"}) == ":5");
  CHECK(redis.ask({"MGET", "key", "none"}) == "[$" + std::string("a\0b\r\n", 5) + " nil]");
  CHECK(redis.ask({"EVAL", "return {1,{2,{3}},'x'}", "0"}) == "[:1 [:2 [:3]] $x]");
  CHECK(redis.ask({"KEYS", "nothing*"}) == "[]");
  CHECK(redis.ask({"LPUSH", "key", "x"}).starts_with("-WRONGTYPE"));
  CHECK(redis.ask({"SET", "big", std::string(1 << 20, 'b')}) == "+OK");
  CHECK(redis.ask({"GET", "big"}) == "$" + std::string(1 << 20, 'b'));
  CHECK(redis.gauge_becomes("skep_redis_in_flight", 0));
  CHECK(redis.gauge("skep_redis_in_flight_bytes") == 0);
}

TEST_CASE("the replies of a batch come together and in order", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  const auto got = redis
                     .send(std::vector<redis_args>{
                       {"SET", "k", "v", "PX", "60000"}, {"GET", "k"}, {"NOSUCH"}, {"PTTL", "k"}})
                     ->get();
  REQUIRE(got);
  REQUIRE(got->size() == 4);
  CHECK(redis_fixture::shown(got->at(0)) == "+OK");
  CHECK(redis_fixture::shown(got->at(1)) == "$v");
  CHECK(got->at(2).is(io::redis_reply::kind::error));
  CHECK(got->at(3).integer > 50'000);
}

TEST_CASE("commands of several threads are pipelined and each gets its own answer",
          "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  constexpr int threads = 4;
  constexpr int each = 500;
  std::atomic<int> right{0};
  std::atomic<int> ended{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      for (int n = 0; n < each; ++n) {
        const auto text = std::to_string(t) + "." + std::to_string(n);
        const auto taken
          = redis.client.submit({"ECHO", text}, patience, [&, text](expected<io::redis_reply> got) {
              right += got && got->text == text;
              ++ended;
            });
        if (!taken)
          ++ended;
      }
    });
  for (auto& thread : all)
    thread.join();
  const auto deadline = clock::now() + patience;
  while (ended < threads * each && clock::now() < deadline)
    ::poll(nullptr, 0, 1);
  CHECK(right == threads * each);
  CHECK(redis.gauge("skep_redis_connections") == 2);
}

TEST_CASE("AUTH and SELECT come before the first command", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary, {"--requirepass", "open sesame"}};
  auto config = redis_fixture::at(server.port());
  SECTION("the right password") {
    config.endpoint.password = "open sesame";
    config.endpoint.db = 5;
    redis_fixture redis{config};
    CHECK(redis.ask({"SET", "where", "five"}) == "+OK");
    config.endpoint.db = 0;
    config.endpoint.user = "default";
    redis_fixture other{config};
    CHECK(other.ask({"GET", "where"}) == "nil");
    config.endpoint.db = 5;
    redis_fixture same{config};
    CHECK(same.ask({"GET", "where"}) == "$five");
  }
  SECTION("a wrong one") {
    config.endpoint.password = "wrong";
    redis_fixture redis{config};
    const auto said = redis.ask({"GET", "where"});
    CHECK(mentions(said, "provider_auth_failed"));
    CHECK(mentions(said, "WRONGPASS"));
  }
  SECTION("none") {
    redis_fixture redis{config};
    const auto said = redis.ask({"GET", "where"});
    CHECK(mentions(said, "provider_auth_failed"));
    CHECK(mentions(said, "set redis.password"));
  }
  SECTION("a database that is not there") {
    config.endpoint.password = "open sesame";
    config.endpoint.db = 999;
    redis_fixture redis{config};
    CHECK(mentions(redis.ask({"GET", "where"}), "DB index is out of range"));
  }
}

TEST_CASE("a Unix socket and a name are addresses, too", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  auto config = redis_fixture::at(server.port());
  SECTION("socket") {
    config.endpoint.socket = server.socket();
  }
  SECTION("name") {
    config.endpoint.host = "localhost";
    config.connect_timeout = 10s;
  }
  redis_fixture redis{config};
  CHECK(redis.ask({"PING"}) == "+PONG");
}

TEST_CASE("a Redis that is killed costs failures at once, and is found again",
          "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  server.kill();
  REQUIRE(redis.gauge_becomes("skep_redis_connections", 0));
  for (int n = 0; n < 20; ++n) {
    const auto asked = clock::now();
    const auto said = redis.ask({"PING"}, 5s);
    CHECK(mentions(said, "transport_failed"));
    CHECK(clock::now() - asked < 2s); // Well before the deadline.
  }
  CHECK(redis.counter_becomes_positive("skep_redis_connects_total", {{"outcome", "failed"}}));
  server.start();
  CHECK(redis.works_again());
  CHECK(redis.gauge_becomes("skep_redis_connections", 2));
}

TEST_CASE("a Redis that is killed under load leaves nobody without an answer",
          "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  std::vector<outcome_ptr> open;
  for (int n = 0; n < 2000; ++n) {
    open.push_back(redis.send({"SET", "k" + std::to_string(n), std::string(2000, 'x')}));
    if (n == 1000)
      server.kill();
  }
  for (const auto& each : open) {
    const auto got = each->get();
    CHECK((got || got.error().code == errc::transport_failed));
    CHECK(each->times() == 1);
  }
  CHECK(redis.gauge_becomes("skep_redis_in_flight", 0));
}

TEST_CASE("a Redis that is stopped costs each command its deadline and no more",
          "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  server.freeze();
  const auto asked = clock::now();
  CHECK(mentions(redis.ask({"PING"}, 50ms), "deadline_exceeded"));
  CHECK(clock::now() - asked >= 50ms);
  // The connections are reset, and new ones do not count as up before they have answered.
  std::vector<outcome_ptr> open;
  const auto reset = clock::now() + patience;
  while (redis.gauge("skep_redis_connections") > 0 && clock::now() < reset)
    open.push_back(redis.send({"PING"}, 50ms)), open.back()->get();
  CHECK(redis.gauge("skep_redis_connections") == 0);
  CHECK(redis.counter("skep_redis_client_expired_total") > 0);
  CHECK(redis.counter("skep_redis_connections_lost_total") == 2);
  server.thaw();
  CHECK(redis.works_again());
  for (const auto& each : open)
    CHECK(each->times() == 1);
}

TEST_CASE("connection errors of a full or read-only Redis are replies", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  SECTION("full") {
    redis_server server{binary, {"--maxmemory", "1", "--maxmemory-policy", "noeviction"}};
    redis_fixture redis{server.port()};
    CHECK(redis.ask({"SET", "k", "v"}).starts_with("-OOM"));
    CHECK(redis.ask({"PING"}) == "+PONG");
  }
  SECTION("read-only") {
    redis_server first{binary};
    redis_server server{binary, {"--replicaof", "127.0.0.1", std::to_string(first.port())}};
    redis_fixture redis{server.port()};
    CHECK(redis.ask({"SET", "k", "v"}).starts_with("-READONLY"));
    CHECK(redis.ask({"PING"}) == "+PONG");
  }
  SECTION("no more clients") {
    redis_server server{binary, {"--maxclients", "1"}};
    redis_fixture redis{server.port()};
    CHECK(redis.works_again()); // One connection is enough.
    CHECK(redis.counter_becomes_positive("skep_redis_connects_total", {{"outcome", "failed"}}));
    CHECK(redis.gauge("skep_redis_connections") == 1);
  }
}

TEST_CASE("a Redis client refuses what is over its bounds", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  auto config = redis_fixture::at(server.port());
  config.commands_max = 3;
  config.bytes_max = 10'000;
  redis_fixture redis{config};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  REQUIRE(redis.gauge_becomes("skep_redis_in_flight", 0));
  CHECK(mentions(redis.ask({"SET", "k", std::string(10'000, 'x')}), "overloaded"));
  server.freeze();
  std::vector<outcome_ptr> open;
  for (int n = 0; n < 3; ++n)
    open.push_back(redis.send({"PING"}, 50ms));
  CHECK(mentions(redis.ask({"PING"}), "3 of 3 commands"));
  CHECK(redis.counter("skep_redis_client_refused_total") == 2);
  // Their time is up, but they still lie in a connection's pipeline.
  for (const auto& each : open)
    CHECK(each->get().error().code == errc::deadline_exceeded);
  CHECK(redis.gauge_becomes("skep_redis_in_flight", 0)); // Once the connections are reset.
  server.thaw();
  CHECK(redis.works_again());
}

TEST_CASE("a Redis client answers everybody when it is closed", "[io][redis][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  redis_fixture redis{server.port()};
  REQUIRE(redis.ask({"PING"}) == "+PONG");
  server.freeze();
  std::vector<outcome_ptr> open;
  for (int n = 0; n < 100; ++n)
    open.push_back(redis.send({"PING"}));
  redis.client.close();
  for (const auto& each : open) {
    CHECK(each->get().error().code == errc::shutting_down);
    CHECK(each->times() == 1);
  }
  CHECK(mentions(redis.ask({"PING"}), "shutting_down"));
  CHECK(redis.gauge("skep_redis_in_flight") == 0);
  redis.client.close();
}

TEST_CASE("a name that nobody knows fails commands in time", "[io][redis]") {
  auto config = redis_fixture::at(6);
  config.endpoint.host = "nobody.invalid";
  redis_fixture redis{config};
  const auto asked = clock::now();
  const auto said = redis.ask({"PING"}, 10s);
  CHECK(mentions(said, "transport_failed"));
  CHECK(mentions(said, "nobody.invalid"));
  CHECK(clock::now() - asked < 5s); // The lookup itself may take longer.
}

TEST_CASE("commands that break a pipeline are not sent", "[io][redis]") {
  redis_fixture redis{free_port()};
  for (const auto* word : {"subscribe", "MONITOR", "Psubscribe", "SELECT", "HELLO", "QUIT"})
    CHECK(mentions(redis.ask({word, "x"}), "bad_request"));
  CHECK(mentions(redis.ask({}), "bad_request"));
  CHECK(redis.send(std::vector<redis_args>{})->get().error().code == errc::bad_request);
}
