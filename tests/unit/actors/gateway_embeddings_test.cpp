#include "actors/provider/simulated_connector.hpp"
#include "apis/openai/embeddings_json.hpp"
#include "runtime/store/lexical_embedder.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;

namespace {

std::string post_embeddings(const json& body) {
  auto text = post_chat(body.dump());
  const std::string_view chat = "/v1/chat/completions";
  return text.replace(text.find(chat), chat.size(), "/v1/embeddings");
}

/// A gateway whose default provider, "vec", is a simulated one.
struct vectors_behind {
  explicit vectors_behind(bool over_wire = false) : gateway(options(), over_wire) {
    provider_config simulated;
    simulated.kind = provider_kind::simulated;
    simulated.simulated.first_token = std::chrono::milliseconds{0};
    gateway.publish("provider/vec", gateway.env().spawn<simulated_connector>(
                                      kind, "vec", std::make_shared<provider_config>(simulated)));
  }

  static gateway_config options() {
    gateway_config made;
    made.default_provider = "vec";
    return made;
  }

  reply ask(const json& body) {
    return fetch(gateway, post_embeddings(body));
  }

  // The provider may end as late as the system does.
  telemetry::registry metrics;
  rt::actor_kind kind{metrics, "vec", {}};
  open_gateway gateway;
};

} // namespace

TEST_CASE("POST /v1/embeddings answers in the order of the input",
          "[actors][gateway][embeddings]") {
  vectors_behind behind{GENERATE(false, true)};
  const auto model = GENERATE("vec/m", "m");
  const auto got = behind.ask({{"model", model}, {"input", {"one", "two"}}});
  REQUIRE(got.status == 200);
  CHECK(got.headers.at("content-type") == "application/json");
  CHECK(got.headers.count("x-request-id") == 1);
  const auto body = json::parse(got.body);
  CHECK(body["object"] == "list");
  CHECK(body["model"] == "[simulated] m");
  REQUIRE(body["data"].size() == 2);
  CHECK(body["data"][1]["index"] == 1);
  const auto two = store::lexical_embedder::embed("two");
  CHECK(body["data"][1]["embedding"].get<std::vector<float>>()
        == std::vector<float>(two.begin(), two.end()));
  CHECK(body["usage"]["total_tokens"] == 2);
}

TEST_CASE("embeddings come as base64 when asked for", "[actors][gateway][embeddings]") {
  vectors_behind behind;
  const auto got
    = behind.ask({{"model", "vec/m"}, {"input", "one"}, {"encoding_format", "base64"}});
  REQUIRE(got.status == 200);
  CHECK(json::parse(got.body)["data"][0]["embedding"].is_string());
  const auto read = read_embeddings_reply(got.body);
  REQUIRE(read);
  CHECK(read->embeddings[0].values == bytes_of_floats(store::lexical_embedder::embed("one")));
}

TEST_CASE("tokens are embedded, too", "[actors][gateway][embeddings]") {
  vectors_behind behind;
  const auto lists = behind.ask({{"model", "m"}, {"input", json::parse("[[1,2],[3]]")}});
  CHECK(json::parse(lists.body)["data"].size() == 2);
  const auto one = behind.ask({{"model", "m"}, {"input", {1, 2, 3}}});
  CHECK(json::parse(one.body)["data"].size() == 1);
}

TEST_CASE("wrong requests for embeddings get errors as chats do", "[actors][gateway][embeddings]") {
  vectors_behind behind;
  const auto error_of = [&](const json& body, int status) {
    const auto got = behind.ask(body);
    CHECK(got.status == status);
    return json::parse(got.body)["error"];
  };
  CHECK(error_of({{"model", "m"}}, 400)["param"] == "input");
  CHECK(error_of({{"input", "a"}}, 400)["param"] == "model");
  // An agent embeds nothing.
  const auto of_agent = error_of({{"model", "helper"}, {"input", "a"}}, 404);
  CHECK(of_agent["param"] == "model");
  CHECK(of_agent["code"] == "model_not_found");
  const auto wrong_method = fetch(behind.gateway, get("/v1/embeddings"));
  CHECK(wrong_method.status == 405);
  CHECK(wrong_method.headers.at("allow") == "POST");
  open_gateway without;
  const auto nobody = fetch(without, post_embeddings({{"model", "vec/m"}, {"input", "a"}}));
  CHECK(nobody.status == 404);
}
