// Who comes in, as far as a request's head tells: pure, without a socket.
#include "actors/gateway/admission.hpp"
#include "actors/gateway/unknown_model.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/schema.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

#include <initializer_list>
#include <string>
#include <utility>

using namespace skep;
using namespace skep::actors;
using Catch::Matchers::Contains;

namespace {

using fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

net::http_request head(std::string method, fields more) {
  net::http_request made;
  made.method = std::move(method);
  made.path = "/";
  made.headers = net::http_headers{more};
  return made;
}

/// A node's options; nothing is bound here.
gateway_config open_node() {
  gateway_config options;
  options.listen = "node.example:0";
  return options;
}

gateway_config keyed_node() {
  auto options = open_node();
  options.keys = {{config::secret{"ROOT", "root"}, "ops", key_role::admin, {}},
                  {config::secret{"GUEST", "guest"}, "acme", key_role::client, {"agent/a"}}};
  return options;
}

admission rules_of(const gateway_config& options, admission::serves what = admission::serves::all) {
  return admission{options, what, options.listen};
}

/// The status of a refusal, 0 when the request comes in.
int judged(const admission& rules, const net::http_request& request, const std::string& path) {
  const auto denied = rules.judge(request, normal_path(path));
  return denied ? denied->status : 0;
}

const std::string chat_path = "/v1/chat/completions";

} // namespace

TEST_CASE("a path is the same however its slashes and its version stand",
          "[actors][gateway][access]") {
  for (const auto* path :
       {"/v1/chat/completions", "/chat/completions", "//v1/chat/completions",
        "/v1//chat///completions/", "/v1/v1/chat/completions", "/chat/completions/"})
    CHECK(normal_path(path) == chat_path);
  CHECK(normal_path("/messages") == "/v1/messages");
  CHECK(normal_path("/models/a%2Fb") == "/v1/models/a%2Fb");
  CHECK(normal_path("/responses/resp_1/input_items/") == "/v1/responses/resp_1/input_items");
  CHECK(normal_path("//cluster/drain/") == "/cluster/drain");
  CHECK(normal_path("//") == "/");
  CHECK(normal_path("*") == "*");
  CHECK(normal_path("") == "");
  // No API of ours: left as it is.
  CHECK(normal_path("/v1") == "/v1");
  CHECK(normal_path("/v1x/v1/models") == "/v1x/v1/models");
  CHECK(normal_path("/modelsx") == "/modelsx");
}

TEST_CASE("what a stored response has no sub-path for is unknown, not forbidden",
          "[actors][gateway][access]") {
  CHECK(endpoint_of("/v1/responses/resp_1") == endpoint::response);
  CHECK(endpoint_of("/v1/responses/resp_1/input_items") == endpoint::response_items);
  CHECK(response_id_of("/v1/responses/resp_1/input_items") == "resp_1");
  for (const auto* path :
       {"/v1/responses/resp_1/cancel", "/v1/responses/compact", "/v1/responses/input_tokens",
        "/v1/conversations", "/v1/chat/completions/x", "/v1/messages/batches"}) {
    CAPTURE(path);
    CHECK(endpoint_of(path) == endpoint::unknown);
    CHECK(judged(rules_of(open_node()), head("POST", {{"host", "localhost"}}), path) == 404);
  }
}

TEST_CASE("without keys only names that no page can take are answered",
          "[actors][gateway][access]") {
  auto options = open_node();
  options.hosts = {"skep.internal"};
  const auto rules = rules_of(options);
  for (const auto* host :
       {"localhost", "LOCALHOST:80", "a.localhost:1", "127.0.0.1:80", "192.168.1.4", "[::1]:80",
        "[fe80::1]", "node.example:80", "skep.internal", "Skep.Internal.:80", ""}) {
    CAPTURE(host);
    CHECK(judged(rules, head("POST", {{"host", host}}), chat_path) == 0);
    CHECK(rules.caller_of(head("GET", {{"host", host}})).admin);
  }
  for (const auto* host : {"evil.example:80", "localhost.evil.example", "notlocalhost",
                           "127.0.0.1.evil.example", "[evil]", "1.2.3"}) {
    CAPTURE(host);
    const auto request = head("GET", {{"host", host}});
    for (const auto* path : {"/v1/models", "/metrics", "/cluster"})
      CHECK(judged(rules, request, path) == 403);
    // A load balancer may probe under any name; it learns nothing of the node's parts.
    CHECK(judged(rules, request, "/ready") == 0);
    CHECK_FALSE(rules.caller_of(request).admin);
  }
  const auto denied = rules.judge(head("GET", {{"host", "evil.example"}}), "/metrics");
  REQUIRE(denied);
  CHECK(denied->reason == denial_reason::host);
  CHECK_THAT(denied->message, Contains("evil.example") && Contains("gateway.hosts"));
  options.hosts = {"*"};
  CHECK(judged(rules_of(options), head("GET", {{"host", "x.example"}}), "/metrics") == 0);
}

TEST_CASE("web pages of other origins are refused, whatever the node",
          "[actors][gateway][access]") {
  const auto with_keys = GENERATE(false, true);
  const auto rules = rules_of(with_keys ? keyed_node() : open_node());
  const auto ask = [&](fields more) {
    auto request = head("POST", more);
    request.headers.add("host", "localhost:80");
    request.headers.add("authorization", "Bearer root");
    return judged(rules, request, "/cluster/drain");
  };
  CHECK(ask({}) == 0);
  CHECK(ask({{"origin", "http://evil.example"}}) == 403);
  CHECK(ask({{"origin", "http://localhost:81"}}) == 403);
  CHECK(ask({{"origin", "null"}}) == 403);
  CHECK(ask({{"sec-fetch-site", "cross-site"}}) == 403);
  CHECK(ask({{"sec-fetch-site", "same-site"}}) == 403);
  CHECK(ask({{"origin", "http://localhost:80"}}) == 0);
  CHECK(ask({{"sec-fetch-site", "none"}}) == 0);
  // Behind a proxy that changes Host the browser still knows.
  CHECK(ask({{"origin", "https://app.example"}, {"sec-fetch-site", "same-origin"}}) == 0);
}

TEST_CASE("named origins may ask, and are told so", "[actors][gateway][access]") {
  auto options = keyed_node();
  options.cors_origins = {"https://app.example"};
  const auto rules = rules_of(options);
  const auto request = head("POST", {{"host", "node.example"},
                                     {"origin", "https://app.example"},
                                     {"sec-fetch-site", "cross-site"},
                                     {"x-api-key", "guest"}});
  CHECK(judged(rules, request, chat_path) == 0);
  net::http_headers answer;
  rules.origins().allow_reading(request.header("origin"), answer);
  CHECK(answer.get("access-control-allow-origin") == "https://app.example");
  CHECK(answer.get("vary") == "origin");
  CHECK_THAT(std::string{answer.get("access-control-expose-headers")}, Contains("x-request-id"));
  // A cache must not give a page the answer of somebody who was none.
  net::http_headers other;
  rules.origins().allow_reading({}, other);
  CHECK(other.get("vary") == "origin");
  CHECK_FALSE(other.contains("access-control-allow-origin"));
  const auto preflight = [&](std::string_view origin) {
    return judged(rules,
                  head("OPTIONS", {{"origin", origin}, {"access-control-request-method", "POST"}}),
                  chat_path);
  };
  CHECK(preflight("https://app.example") == 0);
  CHECK(preflight("http://app.example") == 403);
  CHECK(judged(rules, head("OPTIONS", {}), chat_path) == 405);
  // Without keys a named page may ask models, but operates nothing and sees no parts.
  auto keyless = open_node();
  keyless.cors_origins = {"https://app.example"};
  const auto open = rules_of(keyless);
  CHECK(judged(open, request, chat_path) == 0);
  CHECK(judged(open, request, "/cluster/drain") == 403);
  CHECK_FALSE(open.caller_of(request).admin);
}

TEST_CASE("without keys a body has to be JSON", "[actors][gateway][access]") {
  const auto sent_as = [](const gateway_config& options, std::string_view type) {
    return judged(
      rules_of(options),
      head("POST", {{"host", "localhost"}, {"content-type", type}, {"x-api-key", "root"}}),
      chat_path);
  };
  for (const auto* type :
       {"application/json", "Application/JSON; charset=utf-8", "text/x+json", ""})
    CHECK(sent_as(open_node(), type) == 0);
  for (const auto* type : {"text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "application/jsonx"}) {
    CHECK(sent_as(open_node(), type) == 415);
    CHECK(sent_as(keyed_node(), type) == 0); // A page cannot know the key.
  }
}

TEST_CASE("a key is good for what its role says", "[actors][gateway][access]") {
  const auto rules = rules_of(keyed_node());
  const auto with = [](std::string_view key) {
    return head("GET", {{"host", "any.example"}, {"x-api-key", key}});
  };
  for (std::size_t n = 0; n < endpoint_count; ++n) {
    const auto what = static_cast<endpoint>(n);
    if (what == endpoint::unknown || what == endpoint::registered
        || !allows(methods_of(what), "GET"))
      continue;
    const std::string path = what == endpoint::response         ? "/v1/responses/resp_1"
                             : what == endpoint::response_items ? "/v1/responses/resp_1/input_items"
                                                                : std::string{label_of(what)};
    CAPTURE(path);
    const bool open = access_of(what) == access::open;
    const bool admin = access_of(what) == access::admin;
    CHECK(judged(rules, with(""), path) == (open ? 0 : 401));
    CHECK(judged(rules, with("gues"), path) == (open ? 0 : 401));
    CHECK(judged(rules, with("guest"), path) == (admin ? 403 : 0));
    CHECK(judged(rules, with("root"), path) == 0);
  }
  for (const auto* path : {"/cluster/drain", "/api/v1/performance/cache/clear", "/debug/kill"}) {
    auto request = with("guest");
    request.method = "POST";
    const auto denied = rules.judge(request, path);
    REQUIRE(denied);
    CHECK(denied->status == 403);
    CHECK_THAT(denied->message, Contains("role = \"admin\""));
  }
  CHECK(rules.caller_of(with("guest")).tenant == "acme");
  CHECK_FALSE(rules.caller_of(with("guest")).admin);
  REQUIRE(rules.caller_of(with("guest")).models);
  CHECK(rules.caller_of(with("root")).admin);
  CHECK_FALSE(rules.caller_of(with("root")).models);
  CHECK_FALSE(rules.caller_of(with("")).admin);
}

TEST_CASE("a listener of its own has the operations, and the clients' has them no more",
          "[actors][gateway][access]") {
  using serves = admission::serves;
  auto options = keyed_node();
  const auto local = [](std::string_view host = "localhost") {
    return head("GET", {{"host", host}});
  };
  const auto clients = rules_of(options, serves::clients);
  const auto root = head("GET", {{"host", "x"}, {"x-api-key", "root"}});
  CHECK(judged(clients, root, "/metrics") == 404);
  CHECK(judged(clients, root, "/cluster") == 404);
  CHECK(judged(clients, root, "/v1/models") == 0);
  CHECK(judged(clients, root, "/ready") == 0);
  options.listen = "127.0.0.1:0";
  const auto loopback = rules_of(options, serves::operations);
  CHECK(judged(loopback, local(), "/metrics") == 0);
  CHECK(judged(loopback, local(), "/ready") == 0);
  CHECK(loopback.caller_of(local()).admin);
  CHECK(judged(loopback, local(), "/v1/models") == 404);
  CHECK(judged(loopback, local("evil.example"), "/metrics") == 403);
  options.listen = "0.0.0.0:0";
  options.cors_origins = {"*"};
  const auto anywhere = rules_of(options, serves::operations);
  CHECK(judged(anywhere, local(), "/metrics") == 401);
  CHECK(judged(anywhere, head("GET", {{"x-api-key", "guest"}}), "/metrics") == 403);
  CHECK(judged(anywhere, root, "/metrics") == 0);
  // Pages may ask models, but operate nothing.
  auto page = root;
  page.headers.add("origin", "https://app.example");
  CHECK(judged(anywhere, page, "/metrics") == 403);
}

TEST_CASE("a client that wants a WebSocket is told at once that there is none",
          "[actors][gateway][access]") {
  const auto denied
    = rules_of(open_node())
        .judge(head("GET", {{"host", "localhost"}, {"upgrade", "websocket"}}), "/v1/responses");
  REQUIRE(denied);
  CHECK(denied->status == 426);
  CHECK(denied->headers.get("upgrade") == "HTTP/1.1");
  CHECK(judged(rules_of(open_node()), head("GET", {{"host", "localhost"}}), "/v1/responses")
        == 405);
}

TEST_CASE("a star in a pattern stands for any text", "[actors][gateway][access]") {
  CHECK(glob_matches("*", ""));
  CHECK(glob_matches("gpt-*", "gpt-4o"));
  CHECK(glob_matches("openai/*", "openai/org/model"));
  CHECK(glob_matches("*mini*", "gpt-4o-mini"));
  CHECK(glob_matches("a*b*c", "axxbxbxc"));
  CHECK_FALSE(glob_matches("gpt-*", "xgpt-4o"));
  CHECK_FALSE(glob_matches("gpt", "gpt-4o"));
  CHECK_FALSE(glob_matches("", "a"));
  CHECK_FALSE(glob_matches("a*b", "axc"));
}

TEST_CASE("a scope knows agents and models by all of their names", "[actors][gateway][access]") {
  const model_scope_ptr scope = std::make_shared<const model_scope>(
    std::vector<std::string>{"agent/support", "helper", "gpt-*", "local/*"});
  CHECK(allows_agent(scope, "support"));
  CHECK(allows_agent(scope, "helper"));
  CHECK_FALSE(allows_agent(scope, "other"));
  CHECK(allows_model(scope, "local", "org/llama", "openai"));
  CHECK(allows_model(scope, "openai", "gpt-4o", "openai"));
  CHECK_FALSE(allows_model(scope, "openai", "o3", "openai"));
  CHECK_FALSE(allows_model(scope, "azure", "gpt-4o", "openai")); // Not that provider's.
  CHECK(allows_agent(nullptr, "anyone"));
  CHECK(allows_model(nullptr, "any", "thing", ""));
}

TEST_CASE("an unknown model's error says what may have been meant", "[actors][gateway][access]") {
  const std::vector<std::string> agents{"assistant", "triage"};
  const std::vector<std::string> providers{"openai", "local"};
  const auto said
    = [&](const std::string& model) { return unknown_model(model, agents, providers).detail; };
  CHECK(said("asistant")
        == "the model \"asistant\" does not exist; did you mean \"assistant\"?; GET /v1/models "
           "lists what there is");
  CHECK_THAT(said("opnai/gpt-4o"), Contains("there is no provider \"opnai\"")
                                     && Contains("did you mean \"openai/gpt-4o\"?"));
  CHECK_THAT(said("gpt-4o"), !Contains("did you mean") && Contains("GET /v1/models"));
  CHECK_THAT(said(std::string(1'000'000, 'a')), !Contains("did you mean"));
  CHECK_THAT(unknown_model("azure/x", agents, {}).detail, !Contains("provider"));
}

namespace {

/// What the options say to a text; empty when they take it.
std::string complaint(const std::string& text) {
  config::schema accepted;
  accepted.section("gateway", config::cardinality::one, gateway_table(), "Clients.");
  accepted.section("admin", config::cardinality::one, admin_table(), "Operations.");
  accepted.rule([](const config::document& doc) {
    return check_access(doc.get<gateway_config>("gateway"), doc.get<admin_config>("admin"));
  });
  config::sources from;
  from.file = "test.toml";
  from.env = config::environment{{{"ONE", "same"}, {"TWO", "same"}, {"THREE", "other"}}};
  from.text = text;
  const auto read = config::load(accepted, from);
  return read ? std::string{} : to_string(read.error().front());
}

} // namespace

TEST_CASE("a key given twice is refused where it stands again", "[actors][gateway][config]") {
  const auto* twice = "[[gateway.key]]\nkey = \"env.ONE\"\ntenant = \"a\"\n"
                      "[[gateway.key]]\ntenant = \"b\"\nkey = \"env.TWO\"\n";
  CHECK_THAT(complaint(twice),
             Contains("test.toml:6:") && Contains("env.TWO and env.ONE") && !Contains("same\""));
  CHECK(complaint("[[gateway.key]]\nkey = \"env.ONE\"\n[[gateway.key]]\nkey = \"env.THREE\"\n"
                  "role = \"admin\"\nmodels = [\"gpt-*\"]\n")
          .empty());
}

TEST_CASE("origins, hosts and the operations' address are checked", "[actors][gateway][config]") {
  const std::string key = "[[gateway.key]]\nkey = \"env.ONE\"\n";
  CHECK(complaint("[gateway]\ncors_origins = [\"https://a.example\", \"http://b:1\"]\n").empty());
  CHECK_THAT(complaint("[gateway]\ncors_origins = [\"a.example\"]\n"), Contains("test.toml:2:"));
  CHECK_THAT(complaint("[gateway]\ncors_origins = [\"https://a.example/\"]\n"), Contains("scheme"));
  CHECK_THAT(complaint("[gateway]\ncors_origins = [\"*\"]\n"), Contains("needs keys"));
  CHECK(complaint("[gateway]\ncors_origins = [\"*\"]\n" + key).empty());
  CHECK_THAT(complaint("[gateway]\nhosts = [\"http://a\"]\n"), Contains("host name"));
  // Nothing is bound here.
  const std::string admin = "[admin]\nlisten = \"";
  CHECK(complaint(admin + "127.0.0.1" + ":0\"\n").empty());
  CHECK_THAT(complaint(admin + "0.0.0.0" + ":0\"\n" + key), Contains("role = \"admin\""));
  CHECK(complaint(admin + "0.0.0.0" + ":0\"\n" + key + "role = \"admin\"\n").empty());
  CHECK_THAT(complaint("[admin]\nlisten = \"9090\"\n"), Contains("ADDRESS:PORT"));
}

// -- endpoints of other roles ---------------------------------------------------------------------

TEST_CASE("an endpoint of another role is served to whom it is meant for",
          "[actors][gateway][endpoints]") {
  rt::test_system sys;
  const auto who = sys.spawn<test::worker>(sys.kind("worker"));
  const auto table = endpoint_table::make({{"/v1/tickets", "GET, POST", access::client, who},
                                           {"/v1/tickets/", "GET", access::client, who},
                                           {"/v1/tickets/hot/", "GET", access::client, who},
                                           {"/v1/responses/compact", "POST", access::client, who},
                                           {"/desk/close", "POST", access::admin, who},
                                           {"/desk/open", "GET", access::open, who}});
  REQUIRE(table);
  CHECK((*table)->find("/v1/tickets").what == endpoint::registered);
  CHECK((*table)->find("/v1/tickets/7").path == "/v1/tickets/");
  CHECK((*table)->find("/v1/tickets/hot/7").path == "/v1/tickets/hot/");
  CHECK((*table)->find("/v1/responses/compact").served_by == who);
  CHECK((*table)->find("/v1/models").what == endpoint::models);
  CHECK((*table)->find("/v1/ticket").what == endpoint::unknown);
  const auto options = keyed_node();
  const auto status = [&](admission::serves what, std::string method, std::string_view key,
                          const std::string& path) {
    const admission rules{options, what, options.listen, *table};
    return judged(rules, head(std::move(method), {{"host", "x"}, {"x-api-key", key}}), path);
  };
  using serves = admission::serves;
  CHECK(status(serves::all, "POST", "guest", "/v1/tickets/") == 0);
  CHECK(status(serves::all, "DELETE", "guest", "/v1/tickets") == 405);
  CHECK(status(serves::all, "GET", "", "/v1/tickets/7") == 401);
  CHECK(status(serves::all, "POST", "guest", "/desk/close") == 403);
  CHECK(status(serves::all, "POST", "root", "/desk/close") == 0);
  CHECK(status(serves::all, "GET", "", "/desk/open") == 0);
  CHECK(status(serves::clients, "POST", "root", "/desk/close") == 404);
  CHECK(status(serves::clients, "POST", "guest", "/v1/tickets") == 0);
  CHECK(status(serves::operations, "POST", "root", "/desk/close") == 0);
  CHECK(status(serves::operations, "POST", "root", "/v1/tickets") == 404);
}

TEST_CASE("an endpoint that cannot be served is refused with its path",
          "[actors][gateway][endpoints]") {
  rt::test_system sys;
  const auto who = sys.spawn<test::worker>(sys.kind("worker"));
  const auto fault = [](const std::vector<rt::http_endpoint>& all) {
    const auto table = endpoint_table::make(all);
    REQUIRE_FALSE(table);
    CHECK(table.error().code == errc::bad_config);
    CHECK_THAT(table.error().detail, Contains("\"" + all.back().path + "\""));
    return table.error().detail;
  };
  for (const auto* path : {"", "/", "v1/x", "/a//b", "/v1/v1/x", "/models/x/", "*"})
    CHECK_THAT(fault({{path, "GET", access::client, who}}), Contains(" "));
  for (const auto* path : {"/v1/models", "/v1/models/x", "/v1/responses/resp_x"})
    CHECK_THAT(fault({{path, "GET", access::client, who}}), Contains("somebody else"));
  CHECK_THAT(fault({{"/x", "GET", access::client, who}, {"/x", "PUT", access::client, who}}),
             Contains("somebody else"));
  CHECK_THAT(fault({{"/x", "", access::client, who}}), Contains("methods"));
  CHECK_THAT(fault({{"/x", "GET", access::client, {}}}), Contains("actor"));
}
