// Who comes in, over real sockets: what is refused at the head, what an answer carries for pages.
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using Catch::Matchers::Contains;
using net::testing::raw_client;
using nlohmann::json;
using test::eventually;

namespace {

gateway_config with_roles() {
  gateway_config options;
  options.keys
    = {{config::secret{"ROOT", "root"}, "ops", key_role::admin, {}},
       {config::secret{"GUEST", "guest"}, "acme", key_role::client, {"agent/helper", "sim/sm*"}}};
  return options;
}

const std::string guest = "x-api-key: guest\r\n";
const std::string root = "x-api-key: root\r\n";

json error_of(const reply& got) {
  const auto body = json::parse(got.body, nullptr, false);
  REQUIRE(body.contains("error"));
  return body["error"];
}

/// Answers nothing at all: a gateway that is busy for ever.
class busy : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const http_arrival&) { held_.push_back(take(c)); }};
  }

private:
  std::vector<rt::responder> held_;
};

} // namespace

TEST_CASE("who has no key gets no share of the bodies", "[actors][gateway][access]") {
  auto options = with_roles();
  options.bodies_max = 4096;
  open_gateway gateway{options};
  // Each announces a body and sends some of it, but never the end.
  std::vector<std::unique_ptr<raw_client>> strangers;
  for (int n = 0; n < 8; ++n) {
    strangers.push_back(std::make_unique<raw_client>(gateway.port()));
    REQUIRE(strangers.back()->send(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n"
      + std::string(2000, 'x')));
  }
  // A key holder's body comes in a second segment.
  const auto whole = post_chat(order("say a"), guest);
  raw_client holder{gateway.port()};
  REQUIRE(holder.send(whole.substr(0, whole.size() - 10)));
  REQUIRE(holder.send(whole.substr(whole.size() - 10)));
  CHECK(read_reply(holder).status == 200);
  for (auto& each : strangers) {
    const auto got = read_reply(*each);
    CHECK(got.status == 401);
    CHECK(got.headers.at("www-authenticate") == "Bearer");
    CHECK(got.headers.at("connection") == "close");
  }
  CHECK(gateway.metric(R"(skep_gateway_denied_total{reason="key"})") == 8);
  CHECK(gateway.metric("skep_http_bodies_refused_total") == 0);
  CHECK(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
}

TEST_CASE("probes are answered while the gateway is not", "[actors][gateway][access]") {
  test::real_system sys{2};
  rt::node_status status;
  status.phase = rt::node_phase::ready;
  const auto cluster = rt::make_solo_cluster(sys.env, "n");
  rt::actor_kind kind{sys.metrics, "gateway", rt::mailbox_bounds{}};
  const auto stuck = sys.adopt(sys.env.spawn<busy>(kind));
  auto options = std::make_shared<gateway_config>();
  options->listen = "127.0.0.1:0";
  http_listener listener{{sys.env, status, *cluster},
                         options,
                         {},
                         {stuck},
                         std::make_shared<performance_monitor>(sys.metrics, ".", sys.env.now())};
  REQUIRE(listener.open());
  const auto port = split_listen(listener.endpoint())->second;
  raw_client waits{port};
  REQUIRE(waits.send(get("/v1/models")));
  for (const auto* path : {"/", "/health", "/ready"}) {
    raw_client client{port};
    CHECK(ask(client, get(path)).status == 200);
  }
  waits.close();
  listener.close();
}

TEST_CASE("what a node is made of is for its operators", "[actors][gateway][access]") {
  open_gateway gateway{with_roles()};
  CHECK(json::parse(fetch(gateway, get("/ready")).body) == json{{"status", "ready"}});
  CHECK(json::parse(fetch(gateway, get("/ready", guest)).body) == json{{"status", "ready"}});
  CHECK(json::parse(fetch(gateway, get("/ready", root)).body)["actors"]["gateway/0"] == "ready");
  for (const auto* path : {"/metrics", "/api/v1/cache/stats", "/api/v1/performance/agent-pool"}) {
    CHECK(error_of(fetch(gateway, get(path, guest)))["code"] == "forbidden");
    CHECK(fetch(gateway, get(path, root)).status == 200);
  }
  const auto drain = fetch(gateway, post_to("/cluster/drain", "", guest));
  CHECK(drain.status == 403);
  CHECK_FALSE(gateway.status().drain_requested);
}

TEST_CASE("a key sees and uses the models of its list only", "[actors][gateway][access]") {
  agent_script sim;
  sim.models = {{"small", 0, "x"}, {"large", 0, "x"}};
  open_gateway gateway{with_roles()};
  gateway.add_provider("sim", sim);
  const auto chat = [&](const char* model) {
    return fetch(gateway, post_chat(order("say a", {}, model), guest));
  };
  CHECK(chat("helper").status == 200);
  CHECK(chat("sim/small").status == 200);
  const auto refused = chat("sim/large");
  CHECK(refused.status == 403);
  CHECK(error_of(refused)["param"] == "model");
  CHECK_THAT(error_of(refused)["message"].get<std::string>(), Contains("sim/large"));
  const auto calls = sim.calls.load();
  for (const auto& [path, body] :
       {std::pair{"/v1/messages", R"({"model":"sim/large","max_tokens":1,"messages":[
          {"role":"user","content":"x"}]})"},
        std::pair{"/v1/responses", R"({"model":"sim/large","input":"x"})"},
        std::pair{"/v1/completions", R"({"model":"sim/large","prompt":["x","y"]})"},
        std::pair{"/v1/embeddings", R"({"model":"sim/large","input":"x"})"},
        std::pair{"/api/v1/agent/prompt", R"({"model":"sim/large","message":"x"})"}}) {
    CAPTURE(path);
    CHECK(fetch(gateway, post_to(path, body, guest)).status == 403);
  }
  CHECK(sim.calls == calls);
  const auto names = [&](const std::string& key) {
    std::vector<std::string> found;
    const auto list = json::parse(fetch(gateway, get("/v1/models", key)).body);
    for (const auto& each : list["data"])
      found.push_back(each["id"]);
    return found;
  };
  CHECK(names(guest) == std::vector<std::string>{"helper", "sim/small"});
  CHECK(names(root) == std::vector<std::string>{"helper", "sim/small", "sim/large"});
  CHECK(fetch(gateway, get("/v1/models/sim%2Fsmall", guest)).status == 200);
  CHECK(fetch(gateway, get("/v1/models/sim%2Flarge", guest)).status == 403);
}

TEST_CASE("a page of a named origin may ask and read the answer", "[actors][gateway][access]") {
  auto options = with_roles();
  options.cors_origins = {"https://app.example"};
  open_gateway gateway{options};
  const std::string page = "origin: https://app.example\r\nsec-fetch-site: cross-site\r\n";
  const auto preflight
    = fetch(gateway, "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n" + page
                       + "access-control-request-method: POST\r\n"
                         "access-control-request-headers: authorization,x-stainless-os\r\n\r\n");
  CHECK(preflight.status == 204);
  CHECK(preflight.headers.at("access-control-allow-origin") == "https://app.example");
  CHECK(preflight.headers.at("access-control-allow-methods") == "POST");
  CHECK(preflight.headers.at("access-control-allow-headers") == "authorization,x-stainless-os");
  for (const auto& [key, status] : {std::pair{guest, 200}, std::pair{std::string{}, 401}})
    for (const auto* more : {"", R"("stream":true)"}) {
      const auto got = fetch(gateway, post_chat(order("say a", more), page + key));
      CHECK(got.status == status);
      CHECK(got.headers.at("access-control-allow-origin") == "https://app.example");
      CHECK(got.headers.count("access-control-expose-headers") == 1);
    }
  const auto other
    = fetch(gateway, post_chat(order("say a"), "origin: https://b.example\r\n" + guest));
  CHECK(other.status == 403);
  CHECK(other.headers.count("access-control-allow-origin") == 0);
  CHECK_THAT(error_of(other)["message"].get<std::string>(), Contains("gateway.cors_origins"));
}

TEST_CASE("base URLs with and without the version lead to the same", "[actors][gateway][access]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  for (const auto* path :
       {"/chat/completions", "/v1/v1/chat/completions", "//v1/chat/completions/"})
    CHECK(ask(client, post_to(path, order("say a"))).status == 200);
  CHECK(ask(client, get("/models/helper/")).status == 200);
  // The observer is told just after the client.
  const auto* counted = R"(skep_http_requests_total{route="/v1/chat/completions",status="200"})";
  CHECK(eventually([&] { return gateway.metric(counted) == 3; }));
}

TEST_CASE("what the server refuses by itself is worded as the API of the path has it",
          "[actors][gateway][access]") {
  gateway_config options;
  options.body_max = 1024;
  open_gateway gateway{options};
  const auto large = [&](const char* path) {
    return fetch(gateway, std::string{"POST "} + path
                            + " HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000\r\n\r\n");
  };
  for (const auto* path : {"/v1/messages", "/messages/"}) {
    const auto got = large(path);
    CHECK(got.status == 413);
    const auto body = json::parse(got.body);
    CHECK(body["type"] == "error");
    CHECK(body["error"]["type"] == "request_too_large");
    CHECK(body["request_id"] == got.headers.at("request-id"));
  }
  const auto chat = large("/v1/chat/completions");
  CHECK(chat.status == 413);
  CHECK(error_of(chat).size() == 4);
  // Turned away by the head: the same.
  const auto page = fetch(gateway, post_to("/v1/messages", "{}", "origin: http://x\r\n"));
  CHECK(json::parse(page.body)["error"]["type"] == "permission_error");
}

TEST_CASE("operations have a listener of their own when told so", "[actors][gateway][access]") {
  const admin_config operations{"127.0.0.1:0", 8};
  open_gateway gateway{with_roles(), false, operations};
  CHECK(fetch(gateway, get("/metrics", root)).status == 404);
  CHECK(fetch(gateway, post_chat(order("say a"), guest)).status == 200);
  // For this machine, so without a key.
  CHECK(fetch_operations(gateway, get("/metrics")).status == 200);
  CHECK(json::parse(fetch_operations(gateway, get("/ready")).body).contains("actors"));
  CHECK(fetch_operations(gateway, post_chat(order("say a"), guest)).status == 404);
  CHECK(fetch_operations(gateway,
                         post_to("/api/v1/performance/cache/clear", std::string(65 * 1024, ' ')))
          .status
        == 413);
  // A drain can be watched.
  gateway.listener().drain();
  CHECK(eventually([&] { return gateway.listener().drained(); }));
  CHECK(fetch_operations(gateway, get("/health")).status == 200);
}

TEST_CASE("a client that tries a WebSocket hears 426 and may go on", "[actors][gateway][access]") {
  open_gateway gateway;
  raw_client client{gateway.port()};
  const auto got
    = ask(client, get("/v1/responses", "upgrade: websocket\r\nconnection: upgrade\r\n"));
  CHECK(got.status == 426);
  CHECK(got.headers.at("upgrade") == "HTTP/1.1");
  CHECK(got.headers.at("connection") == "upgrade");
  CHECK(ask(client, get("/health")).status == 200);
}
