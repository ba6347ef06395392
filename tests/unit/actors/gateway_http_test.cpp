#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

#include <set>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using net::testing::raw_client;
using nlohmann::json;
using test::eventually;

namespace {

json error_of(const reply& got) {
  CHECK(got.headers.at("content-type") == "application/json");
  CHECK(got.headers.count("x-request-id") == 1);
  const auto body = json::parse(got.body, nullptr, false);
  REQUIRE(body.contains("error"));
  CHECK(body["error"].size() == 4);
  return body["error"];
}

gateway_config with_keys() {
  gateway_config options;
  options.keys = {{config::secret{"A", "sk-a"}, "red"}, {config::secret{"B", "sk-b"}, "blue"}};
  return options;
}

} // namespace

TEST_CASE("an agent's answer comes as a chat completion with its headers", "[actors][gateway]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got = fetch(gateway, post_chat(order("say four", R"("temperature":0)"),
                                            "x-session-id: s1\r\ncache-control: max-age=9\r\n"));
  CHECK(got.status == 200);
  CHECK(got.headers.at("content-type") == "application/json");
  CHECK(got.headers.at("openai-version") == "2020-10-01");
  CHECK(got.headers.count("openai-processing-ms") == 1);
  CHECK(got.headers.at("cache-status") == "skep; hit; ttl=60");
  CHECK(got.headers.at("x-skep-cache") == "HIT");
  CHECK(got.headers.at("x-skep-provider") == "sim");
  CHECK(got.headers.at("x-skep-attempts") == "2");
  const auto body = json::parse(got.body);
  CHECK(body["object"] == "chat.completion");
  CHECK(body["choices"][0]["message"]["content"] == "four");
  CHECK(body["usage"]["total_tokens"] == 10);
  CHECK(body["usage"]["prompt_tokens_details"]["cached_tokens"] == 0);
  CHECK(gateway.helper.seen().context.session == "s1");
  CHECK(gateway.helper.seen().context.trace.valid());
  CHECK(gateway.helper.seen().request.cache_max_age_s == 9);
  CHECK(to_string(gateway.helper.seen().context.id) == got.headers.at("x-request-id"));
  CHECK(json::parse(gateway.helper.seen().request.parameters) == json{{"temperature", 0}});
}

TEST_CASE("a trace that a client began is continued", "[actors][gateway]") {
  open_gateway gateway;
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  fetch(gateway,
        post_chat(order("say a"), "traceparent: 00-" + trace + "-b7ad6b7169203331-01\r\n"));
  const auto sent = to_traceparent(gateway.helper.seen().context.trace);
  CHECK(sent.substr(3, 32) == trace);
  CHECK(sent.find("b7ad6b7169203331") == std::string::npos);
}

TEST_CASE("a request that is wrong names the member at fault", "[actors][gateway]") {
  open_gateway gateway;
  const auto broken = fetch(gateway, post_chat("{\"model\":"));
  CHECK(broken.status == 400);
  CHECK(error_of(broken)["type"] == "invalid_request_error");
  const auto empty = fetch(gateway, post_chat(R"({"model":"helper"})"));
  CHECK(empty.status == 400);
  CHECK(error_of(empty)["param"] == "messages");
  CHECK(gateway.helper.calls == 0);
}

TEST_CASE("an unknown model, URL or method is told in JSON", "[actors][gateway]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  const auto model = ask(client, post_chat(order("say a", {}, "nobody")));
  CHECK(model.status == 404);
  CHECK(error_of(model)["code"] == "model_not_found");
  CHECK(error_of(model)["param"] == "model");
  const auto url = ask(client, get("/v1/nothing"));
  CHECK(url.status == 404);
  CHECK(error_of(url)["code"] == "not_found");
  const auto method = ask(client, get("/v1/chat/completions"));
  CHECK(method.status == 405);
  CHECK(method.headers.at("allow") == "POST");
  CHECK(error_of(method)["code"] == "method_not_allowed");
  // HEAD is GET without its body.
  REQUIRE(client.send("HEAD /health HTTP/1.1\r\nhost: localhost\r\n\r\n"));
  CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  // The same connection goes on.
  CHECK(ask(client, post_chat(order("say a"))).status == 200);
}

TEST_CASE("an agent's failure becomes its status, with retry-after where time heals",
          "[actors][gateway]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  raw_client client{gateway.port()};
  const auto fail_with = [&](errc code, const char* more) {
    return ask(client, post_chat(order("fail " + std::to_string(static_cast<int>(code)), more)));
  };
  for (const auto* more : {"", R"("stream":true)"}) {
    const auto limited = fail_with(errc::rate_limited, more);
    CHECK(limited.status == 429);
    CHECK(limited.headers.at("retry-after") == "2");
    CHECK(limited.headers.at("retry-after-ms") == "1500");
    CHECK(error_of(limited)["code"] == "rate_limit_exceeded");
    const auto broken = fail_with(errc::provider_failed, more);
    CHECK(broken.status == 502);
    CHECK(broken.headers.at("x-should-retry") == "false");
    CHECK(fail_with(errc::context_overflow, more).status == 400);
    CHECK(fail_with(errc::provider_auth_failed, more).status == 502);
    CHECK(fail_with(errc::overloaded, more).headers.at("x-should-retry") == "true");
  }
}

TEST_CASE("an agent that crashes gives its client a 500 and takes nobody along",
          "[actors][gateway]") {
  open_gateway gateway;
  const auto got = fetch(gateway, post_chat(order("crash")));
  CHECK(got.status == 500);
  CHECK(error_of(got)["type"] == "server_error");
  CHECK(fetch(gateway, get("/health")).status == 200);
}

TEST_CASE("keys are asked for when there are any, and carry the tenant", "[actors][gateway]") {
  open_gateway gateway{with_keys()};
  for (const auto* path : {"/v1/models", "/metrics"}) {
    const auto got = fetch(gateway, get(path));
    CHECK(got.status == 401);
    CHECK(got.headers.at("www-authenticate") == "Bearer");
    CHECK(error_of(got)["code"] == "invalid_api_key");
  }
  CHECK(fetch(gateway, get("/health")).status == 200);
  CHECK(fetch(gateway, get("/ready")).status == 200);
  CHECK(fetch(gateway, post_chat(order("say a"), "authorization: Bearer sk-\r\n")).status == 401);
  CHECK(fetch(gateway, post_chat(order("say a"))).status == 401);
  CHECK(gateway.helper.calls == 0);
  CHECK(fetch(gateway, post_chat(order("say a"), "authorization: Bearer sk-b\r\n")).status == 200);
  CHECK(gateway.helper.seen().context.tenant == "blue");
}

TEST_CASE("without keys the tenant is the default one", "[actors][gateway]") {
  open_gateway gateway;
  fetch(gateway, post_chat(order("say a"), "authorization: Bearer whatever\r\n"));
  CHECK(gateway.helper.seen().context.tenant == default_tenant);
}

TEST_CASE("models are the agents and what the providers say", "[actors][gateway]") {
  agent_script sim;
  agent_script other;
  sim.models = {{"tiny", 5, "makers"}};
  other.models = {{"huge", 6, "others"}};
  gateway_config options;
  options.default_provider = "sim";
  open_gateway gateway{options};
  gateway.add_provider("sim", sim);
  gateway.add_provider("other", other);
  const auto all = json::parse(fetch(gateway, get("/v1/models")).body);
  CHECK(all["object"] == "list");
  std::set<std::string> ids;
  for (const auto& each : all["data"])
    ids.insert(each["id"]);
  CHECK(ids == std::set<std::string>{"helper", "tiny", "other/huge"});
  const auto one = json::parse(fetch(gateway, get("/v1/models/other%2Fhuge")).body);
  CHECK(one["id"] == "other/huge");
  CHECK(one["owned_by"] == "others");
  CHECK(json::parse(fetch(gateway, get("/v1/models/helper")).body)["owned_by"] == "skep");
  CHECK(json::parse(fetch(gateway, get("/v1/models/tiny")).body)["created"] == 5);
  const auto* version = "anthropic-version: 2023-06-01\r\n";
  const auto one_of = json::parse(fetch(gateway, get("/v1/models/tiny", version)).body);
  CHECK(one_of["display_name"] == "tiny");
  CHECK(one_of["created_at"] == "1970-01-01T00:00:05Z");
  const auto page = json::parse(fetch(gateway, get("/v1/models?limit=1", version)).body);
  CHECK(page["data"].size() == 1);
  CHECK(page["has_more"] == true);
  const auto none = fetch(gateway, get("/v1/models/nothing"));
  CHECK(none.status == 404);
  CHECK(error_of(none)["code"] == "model_not_found");
}

TEST_CASE("a provider that fails is left out of the list of models", "[actors][gateway]") {
  agent_script sim;
  agent_script broken;
  sim.models = {{"tiny", 5, "makers"}};
  broken.on_models = agent_script::models_mode::fail;
  open_gateway gateway;
  gateway.add_provider("sim", sim);
  gateway.add_provider("broken", broken);
  const auto all = fetch(gateway, get("/v1/models"));
  CHECK(all.status == 200);
  CHECK(json::parse(all.body)["data"].size() == 2); // helper and sim/tiny
  CHECK(broken.models_calls == 1);
  // Asked for one of its models, it is the provider's failure.
  CHECK(fetch(gateway, get("/v1/models/broken%2Fx")).status == 502);
}

TEST_CASE("a gateway killed while it asks for models answers at once", "[actors][gateway]") {
  agent_script sim;
  sim.on_models = agent_script::models_mode::hold;
  open_gateway gateway;
  gateway.add_provider("sim", sim);
  const auto* path = GENERATE("/v1/models", "/v1/models/sim%2Ftiny");
  raw_client client{gateway.port()};
  REQUIRE(client.send(get(path, "x-request-timeout-ms: 60000\r\n")));
  REQUIRE(eventually([&] { return sim.models_calls == 1; }));
  const auto killed = clock::now();
  gateway.kill_gateway();
  const auto got = read_reply(client);
  CHECK((got.status == 500 || got.status == 503));
  error_of(got);
  CHECK(clock::now() - killed < 4s); // Not the five seconds a provider is given.
}

TEST_CASE("provider/model goes to that provider, a plain name to the default one",
          "[actors][gateway]") {
  agent_script sim;
  agent_script other;
  gateway_config options;
  options.default_provider = "sim";
  open_gateway gateway{options};
  gateway.add_provider("sim", sim);
  gateway.add_provider("other", other);
  CHECK(fetch(gateway, post_chat(order("say a", {}, "other/big/one"))).status == 200);
  CHECK(other.request.model == "big/one");
  CHECK(fetch(gateway, post_chat(order("say a", {}, "gpt-x"))).status == 200);
  CHECK(sim.request.model == "gpt-x");
  // Nobody is called "meta": it is part of a model's name.
  CHECK(fetch(gateway, post_chat(order("say a", {}, "meta/llama"))).status == 200);
  CHECK(sim.request.model == "meta/llama");
  CHECK(gateway.helper.calls == 0);
}

TEST_CASE("health, readiness and metrics tell how the node is", "[actors][gateway]") {
  open_gateway gateway;
  CHECK(fetch(gateway, get("/health")).status == 200);
  const auto ready = fetch(gateway, get("/ready"));
  CHECK(ready.status == 200);
  CHECK(json::parse(ready.body)["actors"]["gateway/0"] == "ready");
  gateway.status().phase = rt::node_phase::draining;
  const auto draining = fetch(gateway, get("/ready"));
  CHECK(draining.status == 503);
  CHECK(json::parse(draining.body)["status"] == "draining");
  CHECK(fetch(gateway, get("/health")).status == 200);
  fetch(gateway, post_chat(order("say a")));
  // A request is counted just after its answer has left.
  const auto* hits = R"(skep_gateway_cache_total{result="hit"})";
  REQUIRE(eventually([&] { return gateway.metric(hits) == 1; }));
  const auto text = fetch(gateway, get("/metrics"));
  CHECK(text.headers.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  const std::string count = "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="
                            "\"chat\",gen_ai_request_model=\"helper\"} 1";
  CHECK(text.body.find(count) != std::string::npos);
  const auto as_json = fetch(gateway, get("/metrics", "accept: application/json\r\n"));
  CHECK(json::accept(as_json.body));
  CHECK(gateway.metric(R"(skep_http_requests_total{route="/v1/chat/completions",status="200"})")
        == 1);
  CHECK(gateway.metric("skep_gateway_overhead_seconds_count") == 1);
  CHECK(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
}

TEST_CASE("bodies over a bound of JSON are counted by the bound", "[actors][gateway]") {
  open_gateway gateway;
  const auto* depth = R"(skep_json_refused_total{bound="depth"})";
  const auto* elements = R"(skep_json_refused_total{bound="elements"})";
  // Other tests of this process may have been refused before.
  const auto deep_before = gateway.metric(depth);
  const auto many_before = gateway.metric(elements);
  CHECK(fetch(gateway, post_chat(R"({"p":)" + std::string(100, '[') + std::string(100, ']') + "}"))
          .status
        == 400);
  CHECK(gateway.metric(depth) == deep_before + 1);
  CHECK(gateway.metric(elements) == many_before);
  std::string many = R"({"p":[[])";
  for (int n = 0; n < 500'000; ++n)
    many += ",[]";
  CHECK(fetch(gateway, post_chat(many + "]}")).status == 413);
  CHECK(gateway.metric(depth) == deep_before + 1);
  CHECK(gateway.metric(elements) == many_before + 1);
}

TEST_CASE("the deadline of a request ends it with 504 and stops the work", "[actors][gateway]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  const auto got = fetch(gateway, post_chat(order("hold"), "x-request-timeout-ms: 30\r\n"));
  CHECK(got.status == 504);
  CHECK(error_of(got)["code"] == "timeout");
  CHECK(eventually([&] { return gateway.helper.cancels == 1; }));
}

TEST_CASE("a request's deadline is the least of ours, the header's and the client's own time-out",
          "[actors][gateway]") {
  struct row {
    const char* headers;
    duration least;
    duration most;
  };
  const auto [headers, least, most] = GENERATE(
    row{"", 590s, 600s}, row{"x-request-timeout-ms: 20000\r\n", 15s, 20s},
    row{"x-request-timeout-ms: 900000\r\n", 590s, 600s},
    // What the official clients send, in seconds; they are answered before it is over.
    row{"x-stainless-timeout: 600\r\n", 590s, 599s}, row{"x-stainless-timeout: 15\r\n", 10s, 14s},
    row{"x-stainless-timeout: 7.5\r\n", 4s, 6750ms},
    row{"x-stainless-read-timeout: 15.0\r\n", 10s, 14s},
    row{"x-stainless-timeout: 60\r\nx-request-timeout-ms: 20000\r\n", 15s, 20s},
    row{"x-stainless-timeout: 0\r\n", 590s, 600s}, row{"x-stainless-timeout: -1\r\n", 590s, 600s},
    row{"x-stainless-timeout: nan\r\n", 590s, 600s},
    row{"x-stainless-timeout: 1e300\r\n", 590s, 600s},
    row{"x-stainless-timeout: soon\r\n", 590s, 600s});
  INFO(headers);
  open_gateway gateway;
  const auto began = clock::now();
  CHECK(fetch(gateway, post_chat(order("say x"), headers)).status == 200);
  const auto left = gateway.helper.seen().context.deadline - clock::now();
  CHECK(left <= most);
  CHECK(left + (clock::now() - began) >= least);
}

TEST_CASE("more requests than requests_max are refused while probes are served",
          "[actors][gateway]") {
  gateway_config options;
  options.requests_max = 1;
  open_gateway gateway{options};
  raw_client busy{gateway.port()};
  REQUIRE(busy.send(post_chat(order("hold"))));
  REQUIRE(eventually([&] { return gateway.helper.calls == 1; }));
  const auto refused = fetch(gateway, post_chat(order("say a")));
  CHECK(refused.status == 503);
  CHECK(refused.headers.count("retry-after") == 1);
  CHECK(error_of(refused)["code"] == "server_is_overloaded");
  CHECK(fetch(gateway, get("/health")).status == 200);
  CHECK(gateway.metric("skep_http_requests_refused_total") == 1);
  busy.close();
  REQUIRE(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
  CHECK(fetch(gateway, post_chat(order("say a"))).status == 200);
}

TEST_CASE("a killed gateway answers in JSON and serves again after its restart",
          "[actors][gateway]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  for (int round = 0; round < 5; ++round) {
    gateway.kill_gateway();
    // Whatever moment it was caught in, each request gets its answer.
    REQUIRE(eventually([&] {
      const auto got = ask(client, post_chat(order("say a")));
      if (got.status != 200) {
        CHECK((got.status == 503 || got.status == 500));
        error_of(got);
      }
      return got.status == 200;
    }));
  }
}

TEST_CASE("killing by name needs the debug option", "[actors][gateway]") {
  open_gateway gateway;
  const std::string kill
    = "POST /debug/kill?name=gateway%2F0 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
  CHECK(fetch(gateway, kill).status == 404);
  gateway.status().debug_kill = true;
  CHECK(fetch(gateway, kill).status == 200);
  CHECK(eventually([&] { return fetch(gateway, get("/health")).status == 200; }));
  const std::string wrong
    = "POST /debug/kill?name=x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
  CHECK(eventually([&] { return fetch(gateway, wrong).status == 404; }));
}

TEST_CASE("sixty-four clients at once each get their own answer", "[actors][gateway]") {
  open_gateway gateway{{}, GENERATE(false, true)};
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int n = 0; n < 64; ++n)
    clients.push_back(std::make_unique<raw_client>(gateway.port()));
  for (int round = 0; round < 3; ++round) {
    for (std::size_t n = 0; n < clients.size(); ++n)
      REQUIRE(clients[n]->send(
        post_chat(order("say client" + std::to_string(n), n % 2 == 0 ? "" : R"("stream":true)"))));
    for (std::size_t n = 0; n < clients.size(); ++n) {
      const auto got = read_reply(*clients[n]);
      std::string text;
      for (const auto& event : got.events)
        if (event != "[DONE]")
          text += json::parse(event)["choices"][0]["delta"].value("content", "");
      if (n % 2 == 0)
        text = json::parse(got.body)["choices"][0]["message"]["content"];
      CHECK(text == "client" + std::to_string(n));
    }
  }
}

TEST_CASE("draining finishes what runs and then has nothing left", "[actors][gateway]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  REQUIRE(client.send(post_chat(order("hold"), "x-request-timeout-ms: 100\r\n")));
  REQUIRE(eventually([&] { return gateway.helper.calls == 1; }));
  gateway.listener().drain();
  CHECK_FALSE(gateway.listener().drained());
  const auto got = read_reply(client);
  CHECK(got.status == 504);
  CHECK(got.headers.at("connection") == "close");
  client.close();
  CHECK(eventually([&] { return gateway.listener().drained(); }));
}

TEST_CASE("an answer there is no room for is refused in its API's words", "[actors][gateway]") {
  gateway_config options;
  options.answers_max = 64 * 1024;
  options.stream_window = 8 * 1024;
  open_gateway gateway{options};
  const auto large = "say " + std::string(200'000, 'x');
  const auto refused = fetch(gateway, post_chat(order(large)));
  CHECK(refused.status == 503);
  CHECK(refused.headers.count("retry-after") == 1);
  CHECK(refused.headers.at("x-should-retry") == "true");
  CHECK(error_of(refused)["code"] == "server_is_overloaded");
  const auto messages
    = fetch(gateway, post_to("/v1/messages", R"({"model":"helper","max_tokens":9,"messages":)"
                                             R"([{"role":"user","content":")"
                                               + large + "\"}]}"));
  CHECK(messages.status == 529);
  CHECK(json::parse(messages.body)["error"]["type"] == "overloaded_error");
  CHECK(gateway.metric("skep_http_answers_refused_total") >= 2);
  CHECK(fetch(gateway, post_chat(order("say little"))).status == 200);
  // What its client reads as it comes needs no room for the whole.
  CHECK(fetch(gateway, post_chat(order("flood 400", R"("stream":true)"))).whole);
}
