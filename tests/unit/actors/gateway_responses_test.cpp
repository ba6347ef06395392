// POST /v1/responses and what is kept of it, over real sockets.
#include "actors/store/store_keeper.hpp"
#include "runtime/io/sqlite_store.hpp"
#include "runtime/telemetry/registry.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::test::eventually;

namespace {

/// Stands for a store whose disk does not answer, or answers with an error.
class bad_store : public rt::bounded_actor {
public:
  bad_store(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind, bool hangs)
    : bounded_actor(config, env, kind), hangs_(hangs) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::store_put_request&) {
      if (!hangs_)
        return refuse(c, failure{errc::unavailable, "the disk is gone"});
      held_.push_back(take(c));
    }};
  }

private:
  const bool hangs_;
  std::vector<rt::responder> held_;
};

/// A gateway whose node has a store in memory.
struct keeping_gateway {
  explicit keeping_gateway(gateway_config options = {}, bool over_wire = false)
    : gateway(std::move(options), over_wire) {
    auto opened = io::sqlite_store::open({}, metrics);
    REQUIRE(opened);
    store = std::move(*opened);
    auto& env = gateway.env();
    gateway.publish("store", env.spawn<store_keeper>(kind, store_keeper_config{}, store));
  }

  reply post(const json& body, std::string_view headers = {}) const {
    return fetch(gateway, post_to("/v1/responses", body.dump(), headers));
  }
  /// The whole response to a text.
  json create(const std::string& text, json more = json::object()) const {
    more["model"] = "helper";
    more["input"] = text;
    const auto got = post(more);
    INFO(got.body);
    REQUIRE(got.status == 200);
    return json::parse(got.body);
  }
  reply get(const std::string& rest, std::string_view headers = {}) const {
    return fetch(gateway, testing::get("/v1/responses/" + rest, headers));
  }
  reply erase(const std::string& id, std::string_view headers = {}) const {
    return fetch(gateway, "DELETE /v1/responses/" + id + " HTTP/1.1\r\nhost: localhost\r\n"
                            + std::string{headers} + "\r\n");
  }

  telemetry::registry metrics;
  rt::actor_kind kind{metrics, "store", {}};
  std::shared_ptr<io::sqlite_store> store;
  open_gateway gateway;
};

/// The last event before [DONE].
std::string last_event(const reply& got) {
  REQUIRE(got.events.size() > 1);
  CHECK(got.events.back() == "[DONE]");
  return got.events[got.events.size() - 2];
}

std::string code_of(const reply& got) {
  const auto error = json::parse(got.body)["error"];
  return error["code"].is_null() ? std::string{} : error["code"].get<std::string>();
}

} // namespace

TEST_CASE("a response is answered, kept, found and deleted", "[actors][gateway][responses]") {
  const bool over_wire = GENERATE(false, true);
  const keeping_gateway node{{}, over_wire};
  const auto made = node.create("say hello", {{"instructions", "Be nice."}, {"top_k", 3}});
  CHECK(made["object"] == "response");
  CHECK(made["status"] == "completed");
  CHECK(made["output"][0]["content"][0]["text"] == "hello");
  CHECK(made["usage"]["input_tokens"] == 7);
  CHECK(made["instructions"] == "Be nice.");
  CHECK(made["model"] == "tiny");
  const auto& seen = node.gateway.helper.seen();
  REQUIRE(seen.request.messages.size() == 2);
  CHECK(seen.request.messages[0].role == "system");
  CHECK(json::parse(seen.request.parameters) == json{{"top_k", 3}});
  const auto id = made["id"].get<std::string>();
  const auto found = node.get(id);
  CHECK(found.status == 200);
  CHECK(json::parse(found.body) == made);
  const auto deleted = node.erase(id);
  CHECK(deleted.status == 200);
  CHECK(json::parse(deleted.body) == json{{"id", id}, {"object", "response"}, {"deleted", true}});
  for (const auto& gone : {node.get(id), node.erase(id), node.get("resp_1")}) {
    CHECK(gone.status == 404);
    CHECK(code_of(gone) == "response_not_found");
  }
}

TEST_CASE("a streamed response is kept before its end is told", "[actors][gateway][responses]") {
  const bool over_wire = GENERATE(false, true);
  const keeping_gateway node{{}, over_wire};
  for (int n = 0; n < 20; ++n) {
    const auto got = node.post({{"model", "helper"}, {"input", "say hey"}, {"stream", true}});
    CHECK(got.status == 200);
    CHECK(got.whole);
    REQUIRE(got.names.size() + 1 == got.events.size());
    CHECK(got.events.back() == "[DONE]");
    CHECK(got.names
          == std::vector<std::string>{
            "response.created", "response.in_progress", "response.output_item.added",
            "response.content_part.added", "response.output_text.delta",
            "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
            "response.content_part.done", "response.output_item.done", "response.completed"});
    for (std::size_t event = 0; event < got.names.size(); ++event)
      CHECK(json::parse(got.events[event])["sequence_number"] == event);
    const auto response = json::parse(last_event(got))["response"];
    const auto found = node.get(response["id"]);
    REQUIRE(found.status == 200);
    CHECK(json::parse(found.body) == response);
  }
}

TEST_CASE("a conversation goes on from a response", "[actors][gateway][responses]") {
  const keeping_gateway node;
  const auto first = node.create("say one", {{"instructions", "first"}});
  const auto second = node.create("say two", {{"previous_response_id", first["id"]}});
  CHECK(second["previous_response_id"] == first["id"]);
  // What the first one said outlives it.
  CHECK(node.erase(first["id"]).status == 200);
  const auto third = node.create(
    "say three",
    {{"previous_response_id", second["id"]}, {"instructions", "third"}, {"store", false}});
  const auto& messages = node.gateway.helper.seen().request.messages;
  std::vector<std::string> told;
  for (const auto& each : messages)
    told.push_back(each.role + ": " + each.content);
  CHECK(told
        == std::vector<std::string>{"system: third", "user: say one", "assistant: one",
                                    "user: say two", "assistant: two", "user: say three"});
  CHECK(node.get(third["id"]).status == 404); // It was not to be kept.
  const auto gone
    = node.post({{"model", "helper"}, {"input", "x"}, {"previous_response_id", third["id"]}});
  CHECK(gone.status == 404);
  CHECK(code_of(gone) == "previous_response_not_found");
  CHECK(json::parse(gone.body)["error"]["param"] == "previous_response_id");
}

TEST_CASE("the items of a response's input are listed", "[actors][gateway][responses]") {
  const keeping_gateway node;
  const auto first = node.create("say one");
  const auto id
    = node.create("say two", {{"previous_response_id", first["id"]}})["id"].get<std::string>();
  auto page = json::parse(node.get(id + "/input_items?order=asc").body);
  CHECK(page["object"] == "list");
  REQUIRE(page["data"].size() == 3);
  CHECK(page["data"][0]["content"][0] == json{{"type", "input_text"}, {"text", "say one"}});
  CHECK(page["data"][1]["id"] == first["output"][0]["id"]);
  CHECK(page["has_more"] == false);
  CHECK(page["last_id"] == page["data"][2]["id"]);
  const auto last = page["data"][2];
  page = json::parse(node.get(id + "/input_items?limit=1").body);
  CHECK(page["data"] == json::array({last})); // Newest first.
  CHECK(page["has_more"] == true);
  page = json::parse(
    node.get(id + "/input_items?limit=2&after=" + last["id"].get<std::string>()).body);
  CHECK(page["data"].size() == 2);
  CHECK(page["has_more"] == false);
  CHECK(node.get("resp_1/input_items").status == 404);
}

TEST_CASE("a tenant finds its own responses only", "[actors][gateway][responses]") {
  gateway_config options;
  options.keys = {{{"ONE", "one"}, "a"}, {{"TWO", "two"}, "b"}};
  const keeping_gateway node{options};
  const std::string mine = "authorization: Bearer one\r\n";
  const std::string other = "authorization: Bearer two\r\n";
  const json body{{"model", "helper"}, {"input", "say x"}};
  const auto id = json::parse(node.post(body, mine).body)["id"].get<std::string>();
  CHECK(node.post(body).status == 401);
  CHECK(node.get(id).status == 401);
  CHECK(node.get(id, other).status == 404);
  CHECK(node.erase(id, other).status == 404);
  auto next = body;
  next["previous_response_id"] = id;
  CHECK(node.post(next, other).status == 404);
  CHECK(node.get(id, mine).status == 200);
}

TEST_CASE("an answer goes out although it cannot be kept, and is counted",
          "[actors][gateway][responses]") {
  gateway_config options;
  options.responses_timeout = std::chrono::milliseconds{50};
  open_gateway gateway{options};
  const auto how = GENERATE(0, 1, 2);
  if (how > 0)
    gateway.publish("store", gateway.env().spawn<bad_store>(gateway.kind("store"), how == 1));
  const auto body = json{{"model", "helper"}, {"input", "say x"}}.dump();
  const auto got = fetch(gateway, post_to("/v1/responses", body));
  CHECK(got.status == 200);
  CHECK(json::parse(got.body)["output"][0]["content"][0]["text"] == "x");
  CHECK(gateway.metric(R"(skep_gateway_responses_unkept_total{reason="failed"})") == 1);
  const auto id = json::parse(got.body)["id"].get<std::string>();
  if (how == 0)
    CHECK(fetch(gateway, get("/v1/responses/" + id)).status == 503);
}

TEST_CASE("a response too large to be kept is answered", "[actors][gateway][responses]") {
  gateway_config options;
  options.responses_value_max = 10'000;
  keeping_gateway node{options};
  const bool stream = GENERATE(false, true);
  const auto got = node.post({{"model", "helper"}, {"input", "lump"}, {"stream", stream}});
  CHECK(got.status == 200);
  CHECK(node.gateway.metric(R"(skep_gateway_responses_unkept_total{reason="too_large"})") == 1);
  const auto response = stream ? json::parse(last_event(got))["response"] : json::parse(got.body);
  CHECK(response["output"][0]["content"][0]["text"].get<std::string>().size() == 300'000);
  CHECK(response["output"].size() == 3); // The text and two calls.
  CHECK(node.get(response["id"]).status == 404);
}

TEST_CASE("a long stream flows under the client's credit, and its end is as large as it is",
          "[actors][gateway][responses]") {
  gateway_config options;
  options.stream_window = 4096;
  keeping_gateway node{options};
  const json body{{"model", "helper"},
                  {"input", "flood 1024"},
                  {"stream", true},
                  {"instructions", std::string(300'000, 'i')}};
  const auto got = node.post(body);
  CHECK(got.whole);
  REQUIRE(got.names.back() == "response.completed");
  CHECK(node.gateway.helper.pauses > 0);
  const auto response = json::parse(last_event(got))["response"];
  CHECK(response["output"][0]["content"][0]["text"].get<std::string>().size() == 1024 * 1024);
  CHECK(node.get(response["id"]).status == 200);
}

TEST_CASE("a client that leaves a response ends the work on it", "[actors][gateway][responses]") {
  keeping_gateway node;
  const auto body = json{{"model", "helper"}, {"input", "begin"}, {"stream", true}}.dump();
  {
    net::testing::raw_client client{node.gateway.port()};
    REQUIRE(client.send(post_to("/v1/responses", body)));
    CHECK_FALSE(client.read_until("output_text.delta").empty());
  }
  CHECK(eventually([&] { return node.gateway.helper.cancels == 1; }));
}

TEST_CASE("a response that fails says so, before its beginning and after",
          "[actors][gateway][responses]") {
  const keeping_gateway node;
  const auto early = node.post({{"model", "helper"}, {"input", "fail 17"}, {"stream", true}});
  CHECK(early.status == 502);
  CHECK(code_of(early) == "upstream_failed");
  const auto late = node.post({{"model", "helper"}, {"input", "cut"}, {"stream", true}});
  CHECK(late.status == 200);
  CHECK(late.whole);
  REQUIRE(late.names.size() > 2);
  CHECK(late.names[late.names.size() - 2] == "error");
  CHECK(late.names.back() == "response.failed");
  const auto response = json::parse(last_event(late))["response"];
  CHECK(response["status"] == "failed");
  CHECK(response["error"]["message"] == "the provider hung up");
  CHECK(node.get(response["id"]).status == 404);
  CHECK(node.post({{"model", "helper"}, {"input", "crash"}}).status == 500);
}

TEST_CASE("requests that cannot be served are refused with the member at fault",
          "[actors][gateway][responses]") {
  const keeping_gateway node;
  const auto param = [&](const json& body, int status) {
    const auto got = node.post(body);
    CHECK(got.status == status);
    const auto error = json::parse(got.body)["error"];
    return error["param"].is_null() ? std::string{} : error["param"].get<std::string>();
  };
  CHECK(param({{"model", "nobody"}, {"input", "x"}}, 404) == "model");
  CHECK(param({{"model", "helper"}}, 400) == "input");
  CHECK(param({{"model", "helper"}, {"input", "x"}, {"background", true}}, 400) == "background");
  // An agent may have read, and answered, what it could.
  CHECK(
    param({{"model", "helper"}, {"input", "say x"}, {"tools", {{{"type", "file_search"}}}}}, 400)
    == "tools[0].type");
  CHECK(param({{"model", "helper"},
               {"input", {{{"role", "user"}, {"content", "say x"}}, {{"role", "robot"}}}}},
              400)
        == "input[1].role");
  const auto id = node.create("say x")["id"].get<std::string>();
  CHECK(node.get(id + "?stream=true").status == 400);
  CHECK(node.erase(id + "/input_items").status == 405);
}

TEST_CASE("an item that was kept is found by a reference to it", "[actors][gateway][responses]") {
  const keeping_gateway node;
  const auto first = node.create("say one");
  const auto item = first["output"][0]["id"];
  const auto ask = [&](const json& id) {
    return node.post({{"model", "helper"},
                      {"input",
                       {{{"role", "user"}, {"content", "say one"}},
                        {{"type", "item_reference"}, {"id", id}},
                        {{"role", "user"}, {"content", "say two"}}}}});
  };
  const auto second = ask(item);
  CHECK(second.status == 200);
  const auto& messages = node.gateway.helper.seen().request.messages;
  REQUIRE(messages.size() == 3);
  CHECK(messages[1].role == "assistant");
  CHECK(messages[1].content == "one");
  for (const auto* unknown : {"msg_1", "x"}) {
    const auto missing = ask(unknown);
    CHECK(missing.status == 400); // A provider might know it, but nobody here speaks its API.
    CHECK(json::parse(missing.body)["error"]["param"] == "input[1].id");
  }
}
