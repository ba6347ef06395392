#include "actors/pool/pool.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using net::testing::eventually;
using net::testing::raw_client;
using nlohmann::json;

namespace {

constexpr const char* metrics_path = "/api/v1/performance/metrics";
constexpr const char* pool_path = "/api/v1/performance/agent-pool";
constexpr const char* health_path = "/api/v1/performance/health-detailed";

json page(const open_gateway& gateway, const char* path, int status = 200) {
  const auto got = fetch(gateway, get(path));
  CHECK(got.status == status);
  CHECK(got.headers.at("content-type") == "application/json");
  return json::parse(got.body);
}

std::vector<std::string> members(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items())
    names.push_back(name);
  return names;
}

gateway_config keyed() {
  gateway_config options;
  options.keys.push_back({config::secret{"KEY", "sk-1"}, "t", key_role::admin, {}});
  return options;
}

/// Answers nothing it is asked, so that its pool stays at work.
class silent : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::chat_request&) { held_.push_back(take(c)); }};
  }

private:
  std::vector<rt::responder> held_;
};

} // namespace

TEST_CASE("the performance API asks for the key like every other endpoint",
          "[actors][gateway][performance]") {
  open_gateway gateway{keyed()};
  for (const auto* path : {metrics_path, pool_path, health_path}) {
    CHECK(fetch(gateway, get(path)).status == 401);
    CHECK(fetch(gateway, get(path, "authorization: Bearer sk-2\r\n")).status == 401);
    CHECK(fetch(gateway, get(path, "authorization: Bearer sk-1\r\n")).status == 200);
  }
}

TEST_CASE("metrics tell of the system, of response times, throughput and rates",
          "[actors][gateway][performance]") {
  open_gateway gateway;
  for (int n = 0; n < 10; ++n)
    REQUIRE(fetch(gateway, post_chat(order("say hi"))).status == 200);
  REQUIRE(fetch(gateway, post_chat(order("fail 3"))).status >= 400);
  REQUIRE(fetch(gateway, post_chat("{")).status == 400);
  // The observer is told just after the client.
  json shown;
  REQUIRE(eventually([&] {
    shown = page(gateway, metrics_path);
    return shown["rates"]["window"]["requests"] == 12;
  }));
  CHECK(members(shown)
        == std::vector<std::string>{"active_requests", "cache", "node", "queued_messages", "rates",
                                    "response_time", "system", "throughput", "uptime_seconds",
                                    "window_seconds"});
  CHECK(shown["node"] == "test");
  const auto& system = shown["system"];
  for (const auto* name : {"memory_total_bytes", "memory_used_bytes", "process_resident_bytes",
                           "disk_total_bytes", "cores"})
    CHECK(system[name].get<double>() > 0);
  for (const auto* name :
       {"cpu_percent", "process_cpu_percent", "memory_percent", "disk_percent"}) {
    CHECK(system[name].get<double>() >= 0);
    CHECK(system[name].get<double>() <= 100);
  }
  for (const auto* span : {"window", "since_start"}) {
    const auto& times = shown["response_time"][span];
    CHECK(times["count"] == 12);
    CHECK(times["p50_ms"].get<double>() > 0);
    CHECK(times["p50_ms"].get<double>() <= times["p95_ms"].get<double>());
    CHECK(times["p95_ms"].get<double>() <= times["p99_ms"].get<double>());
    CHECK(times["p99_ms"].get<double>() <= times["max_ms"].get<double>());
    const auto& rates = shown["rates"][span];
    CHECK(rates["succeeded"] == 10);
    CHECK(rates["client_faults"] == 1);
    CHECK(rates["success_percent"].get<double>() == Approx(90.91));
    CHECK(rates["error_percent"].get<double>() == Approx(9.09));
    CHECK(rates["timeout_percent"] == 0);
  }
  CHECK(shown["throughput"]["requests_per_second"].get<double>() > 0);
  // "say" counts 7 and 3 tokens each.
  const auto& rate = shown["throughput"];
  CHECK(rate["prompt_tokens_per_second"].get<double>()
        == Approx(rate["completion_tokens_per_second"].get<double>() * 7 / 3).epsilon(.01));
  CHECK(shown["active_requests"] == 1); // This one.
  CHECK(shown["cache"]["hits"] == 10);
  CHECK(shown["cache"]["hit_percent"] == 100);
  CHECK(shown["cache"]["enabled"] == false);
}

TEST_CASE("a node without pools has nothing to say about them", "[actors][gateway][performance]") {
  open_gateway gateway;
  const auto shown = page(gateway, pool_path);
  CHECK(shown["pools"].empty());
  CHECK(shown["recommendations"].empty());
  CHECK(shown["totals"]["size"] == 0);
}

TEST_CASE("agent-pool shows each pool and says what to do once calls are refused",
          "[actors][gateway][performance]") {
  telemetry::registry kinds;
  const rt::actor_kind silent_kind{kinds, "silent", {}};
  const rt::actor_kind pool_kind{kinds, "pool", {}};
  open_gateway gateway;
  auto& env = gateway.env();
  pool_config bounds;
  bounds.idle_min = 1;
  bounds.size_max = 2;
  bounds.overflow_max = 0;
  bounds.warm_up = false;
  gateway.publish("agent/small",
                  env.spawn<pool>(pool_kind, "small", bounds, std::function<caf::actor()>{[&] {
                                    return env.spawn<silent>(silent_kind);
                                  }}));
  CHECK(page(gateway, pool_path)["recommendations"].empty());
  raw_client first{gateway.port()};
  raw_client second{gateway.port()};
  REQUIRE(first.send(post_chat(order("hold", {}, "small"))));
  REQUIRE(second.send(post_chat(order("hold", {}, "small"))));
  REQUIRE(eventually([&] { return page(gateway, pool_path)["pools"]["small"]["busy"] == 2; }));
  CHECK(fetch(gateway, post_chat(order("hold", {}, "small"))).status == 503);

  const auto shown = page(gateway, pool_path);
  const auto& small = shown["pools"]["small"];
  CHECK(small["size"] == 2);
  CHECK(small["idle"] == 0);
  CHECK(small["size_max"] == 2);
  CHECK(small["idle_min"] == 1);
  CHECK(small["idle_ttl_seconds"] == 60);
  CHECK(small["utilisation_percent"] == 100);
  CHECK(small["busy_peak"] == 2);
  CHECK(small["checkouts"] == 2);
  CHECK(small["refused"] == 1);
  CHECK(small["window"]["refused"] == 1);
  CHECK(shown["totals"]["busy"] == 2);
  CHECK(shown["totals"]["refused"] == 1);
  REQUIRE(shown["recommendations"].size() == 1);
  const auto& what = shown["recommendations"][0];
  CHECK(what["rule"] == "refused");
  CHECK(what["option"] == "agent.small.pool.size_max");
  CHECK(what["proposed"] == 4);
}

TEST_CASE("health-detailed is 200 for a node that is ready and 503 for one that is not",
          "[actors][gateway][performance]") {
  open_gateway gateway;
  const auto ready = page(gateway, health_path);
  CHECK(ready["components"]["node"]["status"] == "healthy");
  CHECK(ready["components"]["gateway/0"]["status"] == "healthy");
  // Too few requests to judge by.
  CHECK(ready["indicators"]["response_time_p95_ms"]["grade"].is_null());
  CHECK(ready["indicators"]["response_time_p95_ms"]["target"] == 500);
  CHECK(ready["indicators"]["memory_percent"]["value"].get<double>() > 0);

  gateway.status().phase = rt::node_phase::draining;
  const auto leaving = page(gateway, health_path, 503);
  CHECK(leaving["status"] == "unhealthy");
  CHECK(leaving["reasons"][0] == "node: is draining");
}

TEST_CASE("health-detailed degrades when requests fail", "[actors][gateway][performance]") {
  gateway_config options;
  // This machine may be busy, which is no matter here.
  options.slo.cpu_percent = {100, 100, 100};
  options.slo.memory_percent = {100, 100, 100};
  open_gateway gateway{options};
  for (int n = 0; n < 30; ++n)
    REQUIRE(fetch(gateway, post_chat(order(n % 3 == 0 ? "fail 3" : "say x"))).status > 0);
  json shown;
  REQUIRE(eventually([&] {
    shown = page(gateway, health_path);
    return shown["indicators"]["error_percent"]["value"] == 33.33;
  }));
  CHECK(shown["status"] == "degraded");
  CHECK(shown["indicators"]["error_percent"]["grade"] == "action");
  CHECK(shown["indicators"]["success_percent"]["grade"] == "action");
  CHECK_FALSE(shown["reasons"].empty());
}

TEST_CASE("the list of models has an entity tag and is not sent twice", "[actors][gateway][etag]") {
  agent_script a;
  agent_script b;
  a.models = {{"one", 1, "x"}, {"two", 2, "x"}};
  b.models = {{"three", 3, "y"}};
  open_gateway gateway;
  gateway.add_provider("alpha", a);
  gateway.add_provider("beta", b);
  for (const auto* path : {"/v1/models", "/v1/models/alpha%2Fone", "/v1/models/helper"}) {
    const auto first = fetch(gateway, get(path));
    CHECK(first.status == 200);
    const auto tag = first.headers.at("etag");
    CHECK(tag.starts_with("W/\""));
    CHECK(first.headers.at("cache-control") == "private, no-cache");
    const auto again = fetch(gateway, get(path));
    CHECK(again.body == first.body);
    CHECK(again.headers.at("etag") == tag);
    raw_client client{gateway.port()};
    REQUIRE(client.send(get(path, "if-none-match: " + tag + "\r\n")));
    const auto head = client.read_until("\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 304 "));
    CHECK(head.find("x-request-id: ") != std::string::npos);
  }
  const auto list = json::parse(fetch(gateway, get("/v1/models")).body);
  CHECK(list["data"].size() == 4);
  CHECK(list["data"][1]["id"] == "alpha/one");
  CHECK(list["data"][3]["id"] == "beta/three");
}

TEST_CASE("answers are compressed for those who ask, and the bytes are counted",
          "[actors][gateway][compression]") {
  open_gateway gateway;
  const auto body = order("lump", R"("stream":false)");
  const auto plain = fetch(gateway, post_chat(body));
  CHECK(plain.headers.count("content-encoding") == 0);
  CHECK(plain.headers.at("vary") == "accept-encoding");
  const auto packed = fetch(gateway, post_chat(body, "accept-encoding: gzip, deflate\r\n"));
  CHECK(packed.headers.at("content-encoding") == "gzip");
  CHECK(packed.body.size() < plain.body.size() / 20);
  CHECK(gateway.metric("skep_http_compressed_total") == 1);
  CHECK(gateway.metric("skep_http_compressed_plain_bytes_total")
        == static_cast<double>(plain.body.size()));
  CHECK(gateway.metric("skep_http_compressed_packed_bytes_total")
        == static_cast<double>(packed.body.size()));
  // A stream leaves as it is.
  const auto stream = fetch(
    gateway, post_chat(order("say hello", R"("stream":true)"), "accept-encoding: gzip\r\n"));
  CHECK(stream.headers.count("content-encoding") == 0);
  CHECK(stream.events.back() == "[DONE]");

  gateway_config off;
  off.compression = false;
  open_gateway silent_one{off};
  const auto never = fetch(silent_one, post_chat(body, "accept-encoding: gzip\r\n"));
  CHECK(never.headers.count("content-encoding") == 0);
  CHECK(never.headers.count("vary") == 0);
}
