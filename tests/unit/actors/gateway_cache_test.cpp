#include "actors/gateway/cache_request.hpp"
#include "apis/chat/cache_group.hpp"
#include "messages/cache.hpp"
#include "messages/core.hpp"
#include "messages/semantic.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::test::eventually;

namespace {

const std::string some_key = "0123456789abcdef00000000000000ff";

/// Stands for the cache and the semantic cache: remembers what it was asked to forget. Read it when
/// the counter has risen.
class forgetful : public rt::bounded_actor {
public:
  struct notes {
    std::atomic<int> clears{0};
    std::atomic<int> revokes{0};
    msg::cache_clear_request clear;
    msg::cache_key revoked;
    std::atomic<bool> fails{false};
  };

  forgetful(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
            notes& into)
    : bounded_actor(config, env, kind), into_(into) {}

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const rt::call& c, const msg::cache_clear_request& r) {
        into_.clear = r;
        ++into_.clears;
        if (into_.fails)
          return refuse(c, failure{errc::unavailable, "the view is changing"});
        reply(c, msg::ack{});
      },
      [this](const rt::call&, const msg::semantic_revoke_request& r) {
        into_.revoked = r.key;
        ++into_.revokes;
      },
    };
  }

private:
  notes& into_;
};

/// A gateway whose node has both caches.
struct cached_gateway {
  cached_gateway() {
    auto& env = gateway.env();
    gateway.publish("cache", env.spawn<forgetful>(kind, notes));
    gateway.publish("semantic", env.spawn<forgetful>(kind, notes));
  }
  reply clear(const std::string& body) const {
    return fetch(gateway, "POST /api/v1/performance/cache/clear HTTP/1.1\r\nhost: localhost\r\n"
                          "content-length: "
                            + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  forgetful::notes notes;
  telemetry::registry metrics;
  rt::actor_kind kind{metrics, "forgetful", {}};
  open_gateway gateway;
};

std::string error_of(const reply& got) {
  return json::parse(got.body)["error"]["message"];
}

} // namespace

TEST_CASE("keys and groups have one spelling", "[actors][gateway][cache]") {
  CHECK(key_text({0x0123456789abcdef, 0xff}) == some_key);
  CHECK(parse_key(some_key) == msg::cache_key{0x0123456789abcdef, 0xff});
  CHECK(parse_key("0123456789ABCDEF00000000000000FF") == parse_key(some_key));
  for (const auto* wrong :
       {"", "12", "0123456789abcdef00000000000000f", "0123456789abcdef00000000000000fg",
        "0123456789abcdef-0000000000000ff", "0x23456789abcdef00000000000000ff",
        "0123456789abcdef00000000000000ff0"})
    CHECK_FALSE(parse_key(wrong));
  CHECK(group_of("assistant") == fnv1a("assistant"));
  CHECK(group_of("assistant") != group_of("model/up"));
}

TEST_CASE("a clear is read strictly", "[actors][gateway][cache]") {
  CHECK(read_cache_clear("")->agent.empty());
  CHECK_FALSE(read_cache_clear("{}")->key);
  CHECK(read_cache_clear(R"({"agent":"a"})")->agent == "a");
  CHECK(read_cache_clear("{\"key\":\"" + some_key + "\"}")->key == parse_key(some_key));
  for (const auto* wrong : {"[]", "nonsense", "null", R"({"agents":"a"})", R"({"agent":""})",
                            R"({"agent":5})", R"({"key":"12"})", R"({"all":true})",
                            R"({"agent":"a","key":"0123456789abcdef00000000000000ff"})"})
    CHECK(read_cache_clear(wrong).error().code == errc::bad_request);
}

TEST_CASE("the cache is cleared whole, by agent or by key", "[actors][gateway][cache]") {
  cached_gateway node;
  agent_script sim;
  node.gateway.add_provider("sim", sim);

  CHECK(node.clear("").status == 200);
  CHECK(node.notes.clears == 1);
  CHECK(node.notes.clear.all);

  auto got = node.clear(R"({"agent":"helper"})");
  CHECK(got.status == 200);
  CHECK(json::parse(got.body) == json{{"cleared", "agent"}, {"agent", "helper"}});
  CHECK(node.notes.clears == 2);
  CHECK_FALSE(node.notes.clear.all);
  CHECK(node.notes.clear.group == group_of("helper"));

  for (const auto* spelling : {"sim", "model/sim", "sim/gpt-x"}) {
    got = node.clear(json{{"agent", spelling}}.dump());
    CHECK(json::parse(got.body)["agent"] == "model/sim");
    CHECK(node.notes.clear.group == group_of("model/sim"));
  }
  CHECK(node.notes.revokes == 0);

  got = node.clear(json{{"key", some_key}}.dump());
  CHECK(json::parse(got.body) == json{{"cleared", "key"}, {"key", some_key}});
  CHECK(node.notes.clear.key == *parse_key(some_key));
  CHECK(node.notes.clear.group == 0);
  CHECK(eventually([&] { return node.notes.revokes == 1; }));
  CHECK(node.notes.revoked == *parse_key(some_key));
}

TEST_CASE("a clear that cannot be done says why", "[actors][gateway][cache]") {
  cached_gateway node;
  auto got = node.clear(R"({"agent":"nobody"})");
  CHECK(got.status == 404);
  CHECK(error_of(got).find("\"nobody\"") != std::string::npos);
  CHECK(json::parse(got.body)["error"]["param"] == "agent");
  got = node.clear(R"({"kye":"x"})");
  CHECK(got.status == 400);
  CHECK(error_of(got).find("\"kye\"") != std::string::npos);
  CHECK(node.notes.clears == 0);
  node.notes.fails = true;
  CHECK(node.clear("{}").status == 503);
  const open_gateway without_cache;
  CHECK(fetch(without_cache, "POST /api/v1/performance/cache/clear HTTP/1.1\r\nhost: localhost\r\n"
                             "content-length: 0\r\n\r\n")
          .status
        == 404);
}

TEST_CASE("the cache's figures are complete, also where a node has no such part",
          "[actors][gateway][cache]") {
  cached_gateway node;
  REQUIRE(fetch(node.gateway, post_chat(order("say a"))).status == 200); // Says that it was a hit.
  const auto* hits = R"(skep_gateway_cache_total{result="hit"})";
  REQUIRE(eventually([&] { return node.gateway.metric(hits) == 1; }));
  const auto stats = json::parse(fetch(node.gateway, get("/api/v1/cache/stats")).body);
  CHECK(stats["enabled"] == true);
  CHECK(stats["hits"] == 1);
  CHECK(stats["hit_rate"] == 1.0);
  for (const auto* member :
       {"shared", "stale", "semantic", "misses", "bypassed", "cache_size", "cache_bytes", "stored",
        "evicted", "expired", "refused", "refusals", "leases"})
    CHECK(stats.at(member) == 0);
  CHECK(stats["compression_ratio"] == 1.0);
  CHECK(stats["second_level"]
        == json{{"enabled", false}, {"hits", 0}, {"misses", 0}, {"stored", 0}, {"failed", 0}});
}
