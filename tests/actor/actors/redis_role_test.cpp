// The role with a real Redis, on a free port and in real time.
#include "actors/redis/role.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/redis_server.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <array>
#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;
using namespace skep::test;

namespace {

config::load_result load(const std::string& text) {
  const std::array roles{redis_role()};
  config::sources from;
  from.file = "test.toml";
  from.text = text;
  from.env = config::environment{{{"WITH_PASSWORD", "redis://:hidden@127.0.0.1/0"}}};
  return config::load(rt::node::schema_of(roles), from);
}

std::string complaint(const std::string& lines) {
  const auto loaded = load("[redis]\n" + lines);
  REQUIRE_FALSE(loaded);
  return to_string(loaded.error().front());
}

} // namespace

TEST_CASE("the options of [redis] are checked", "[actors][redis][role]") {
  CHECK(complaint("url = \"http://x\"").find("redis://") != std::string::npos);
  CHECK(complaint("url = \"rediss://x\"").find("TLS") != std::string::npos);
  CHECK(complaint("url = \"redis://x\"\nhost = \"y\"").find("leave one") != std::string::npos);
  CHECK(complaint("prefix = \"a*\"").find("letters") != std::string::npos);
  CHECK(complaint("password = \"secret\"").find("environment") != std::string::npos);
  CHECK(complaint("[redis.breaker]\nopen_min_ms = 9000").find("open_max_ms") != std::string::npos);
  CHECK(load("[redis]\nurl = \"env.WITH_PASSWORD\"\n"));
}

TEST_CASE("a node publishes the second level, and two of them share it",
          "[actors][redis][role][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  redis_server server{binary};
  const auto document
    = load("[redis]\nurl = \"redis://127.0.0.1:" + std::to_string(server.port()) + "/2\"\n");
  REQUIRE(document);
  const std::array roles{redis_role()};
  const auto start = [&] {
    auto node = rt::node::start(*document, roles);
    REQUIRE(node);
    return std::move(*node);
  };
  auto one = start();
  auto two = start();
  const auto ask = [](rt::node& node, auto request, auto& into) {
    caf::scoped_actor client{node.env().system()};
    skep::context context;
    context.deadline = clock::now() + 10s;
    failure why;
    client
      ->request(node.env().find("cache/redis"), std::chrono::seconds{10},
                rt::call{context, nullptr, 1}, request)
      .receive([&](const std::remove_reference_t<decltype(into)>& reply) { into = reply; },
               [&](const caf::error& e) { why = from_caf_error(e); });
    return why.code;
  };
  msg::cache_put_request put;
  put.key = {1, 2};
  put.value = std::string(100'000, 'v');
  put.ttl_ms = 60'000;
  put.group = 3;
  msg::ack done;
  msg::cache_get_reply found;
  msg::cache_get_request get;
  get.key = {1, 2};
  get.group = 3;
  REQUIRE(ask(*one, put, done) == errc::none);
  REQUIRE(ask(*two, get, found) == errc::none);
  CHECK(found.value == put.value);
  CHECK(found.ttl_s >= 58);
  CHECK(found.age_s <= 1);
  for (std::uint64_t n = 0; n < 3000; ++n) {
    put.key.low = n;
    put.value = "v";
    caf::anon_send(one->env().find("cache/redis"), rt::call{{}, nullptr, 1}, put);
  }
  REQUIRE(ask(*one, put, done) == errc::none);
  REQUIRE(ask(*two, msg::cache_clear_request{false, {}, 3}, done) == errc::none);
  CHECK(ask(*one, get, found) == errc::cache_miss);
  server.kill();
  CHECK(ask(*one, get, found) != errc::cache_miss);
}
