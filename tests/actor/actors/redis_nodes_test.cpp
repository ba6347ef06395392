// Two nodes that do not know each other, each with its cache, and one real Redis behind both.
#include "actors/cache/role.hpp"
#include "actors/redis/role.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/actor/guard.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/redis_server.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

using namespace skep;
using namespace skep::test;

namespace {

constexpr auto patience = 10s;

struct two_nodes {
  redis_server server;
  std::unique_ptr<rt::node> a;
  std::unique_ptr<rt::node> b;
  duration slowest{};

  explicit two_nodes(const std::string& binary) : server(binary), a(start()), b(start()) {}

  std::unique_ptr<rt::node> start() const {
    const std::array roles{actors::redis_role(), actors::cache_role()};
    config::sources from;
    from.file = "test.toml";
    from.text = "[redis]\nurl = \"redis://127.0.0.1:" + std::to_string(server.port())
                + "\"\nstall_ms = 200\n[redis.breaker]\nopen_min_ms = 50\nopen_max_ms = 100\n";
    const auto document = config::load(rt::node::schema_of(roles), from);
    REQUIRE(document);
    auto node = rt::node::start(*document, roles);
    REQUIRE(node);
    return std::move(*node);
  }

  /// As an agent of the node would look it up: the value, or why there is none.
  std::string get(rt::node& node, std::uint64_t n) {
    caf::scoped_actor client{node.env().system()};
    skep::context context;
    context.deadline = clock::now() + patience;
    msg::cache_get_request request;
    request.key = {n, n};
    request.group = 7;
    std::string text;
    const auto asked = clock::now();
    client
      ->request(node.env().find("cache"), std::chrono::seconds{10}, rt::call{context, nullptr, 1},
                request)
      .receive(
        [&](const msg::cache_get_reply& reply) { text = reply.value; },
        [&](const caf::error& e) { text = "! " + std::string{to_string(from_caf_error(e).code)}; });
    slowest = std::max(slowest, clock::now() - asked);
    return text;
  }
  void put(rt::node& node, std::uint64_t n, const std::string& value) const {
    msg::cache_put_request request;
    request.key = {n, n};
    request.value = value;
    request.ttl_ms = 60'000;
    request.group = 7;
    caf::anon_send(node.env().find("cache"), rt::call{{}, nullptr, value.size()}, request);
  }
  static std::uint64_t counter(rt::node& node, const std::string& name) {
    return node.env().metrics().counter(name, "").value();
  }
  bool stored(rt::node& node, std::uint64_t count) const {
    const auto deadline = clock::now() + patience;
    while (counter(node, "skep_redis_stored_total") < count && clock::now() < deadline)
      ::poll(nullptr, 0, 1);
    return counter(node, "skep_redis_stored_total") >= count;
  }
  static flow::breaker_state circuit(rt::node& node) {
    return rt::guard::of(node.env().directory().find("cache/redis")).state();
  }
  /// Looks up key after key, as load would, until the circuit is so; every one must be a plain
  /// miss.
  bool circuit_becomes(rt::node& node, flow::breaker_state wanted, std::uint64_t& next) {
    const auto deadline = clock::now() + patience;
    while (circuit(node) != wanted && clock::now() < deadline) {
      if (const auto got = get(node, next++); got != "! cache_miss")
        FAIL("a lookup ended with " << got);
      ::poll(nullptr, 0, 2);
    }
    return circuit(node) == wanted;
  }
};

} // namespace

TEST_CASE("two nodes that do not know each other share their answers through Redis",
          "[actors][redis][role][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  two_nodes n{binary};
  n.put(*n.a, 1, "of a");
  REQUIRE(n.stored(*n.a, 1));
  CHECK(n.get(*n.b, 1) == "of a");
  CHECK(n.get(*n.b, 1) == "of a");
  CHECK(n.counter(*n.b, "skep_redis_hits_total") == 1); // The second time it was b's own.
  CHECK(n.get(*n.b, 2) == "! cache_miss");
  // A node that starts later finds it, too.
  const auto late = n.start();
  CHECK(n.get(*late, 1) == "of a");
}

TEST_CASE("nodes answer as ever while their Redis is killed or stopped, and use it again after",
          "[actors][redis][role][server]") {
  const auto binary = redis_or_skip();
  if (binary.empty())
    return;
  two_nodes n{binary};
  std::uint64_t next = 100;
  CHECK(n.get(*n.a, next++) == "! cache_miss");
  const bool kills = GENERATE(true, false);
  if (kills)
    n.server.kill();
  else
    n.server.freeze();
  CHECK(n.circuit_becomes(*n.a, flow::breaker_state::open, next));
  CHECK(n.circuit_becomes(*n.b, flow::breaker_state::open, next));
  n.put(*n.a, 1, "kept");
  CHECK(n.get(*n.a, 1) == "kept"); // By the node itself.
  CHECK(n.slowest < 1s);           // 50 ms, on a machine that does nothing else.
  if (kills)
    n.server.start();
  else
    n.server.thaw();
  CHECK(n.circuit_becomes(*n.a, flow::breaker_state::closed, next));
  CHECK(n.circuit_becomes(*n.b, flow::breaker_state::closed, next));
  const auto before = n.counter(*n.a, "skep_redis_stored_total");
  n.put(*n.a, 2, "new");
  REQUIRE(n.stored(*n.a, before + 1));
  CHECK(n.get(*n.b, 2) == "new");
}
