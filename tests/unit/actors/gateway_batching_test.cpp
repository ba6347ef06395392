// Embeddings of many clients at once, through real sockets, a gateway and an embedder.
#include "apis/openai/embeddings_json.hpp"
#include "runtime/store/lexical_embedder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scripted_embedder.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;

namespace {

std::string vector_of(const std::string& text) {
  return bytes_of_floats(store::lexical_embedder::embed(text));
}

std::string post_embeddings(const json& body) {
  auto text = post_chat(body.dump());
  const std::string_view chat = "/v1/chat/completions";
  return text.replace(text.find(chat), chat.size(), "/v1/embeddings");
}

/// A gateway with the default provider "vec", which takes its time, and an embedder before it.
struct batched_vectors {
  explicit batched_vectors(bool over_wire = false) : gateway(options(), over_wire) {
    script.usual = 30ms;
    script.vector_of = vector_of;
    auto& env = gateway.env();
    auto provider = env.spawn<test::scripted_embedder>(kind, script);
    gateway.publish("provider/vec", provider);
    embeddings_config rules;
    rules.in_flight_max = 1;
    gateway.publish("embed/vec", env.spawn<embedder>(kind, "vec", rules,
                                                     [&env] { return env.find("provider/vec"); }));
  }

  static gateway_config options() {
    gateway_config made;
    made.default_provider = "vec";
    return made;
  }
  double metric(const std::string& name) {
    return gateway.metric("skep_embedder_" + name + "{provider=\"vec\"}");
  }

  // The actors may end as late as the system does.
  test::embedder_script script;
  telemetry::registry metrics;
  rt::actor_kind kind{metrics, "vec", {}};
  open_gateway gateway;
};

} // namespace

TEST_CASE("clients that ask at once share calls, and each gets its own vectors",
          "[actors][gateway][embeddings][embedder]") {
  batched_vectors behind{GENERATE(false, true)};
  constexpr int clients = 40;
  std::vector<std::unique_ptr<net::testing::raw_client>> all;
  const auto texts_of = [](int n) {
    return std::vector<std::string>{"text " + std::to_string(n), "shared",
                                    "more of " + std::to_string(n)};
  };
  const auto format_of = [](int n) { return n % 2 == 0 ? "base64" : "float"; };
  for (int n = 0; n < clients; ++n) {
    all.push_back(std::make_unique<net::testing::raw_client>(behind.gateway.port()));
    CHECK(all.back()->send(post_embeddings({{"model", n % 3 == 0 ? "m" : "vec/m"},
                                            {"input", texts_of(n)},
                                            {"encoding_format", format_of(n)}})));
  }
  for (int n = 0; n < clients; ++n) {
    CAPTURE(n);
    const auto got = read_reply(*all[static_cast<std::size_t>(n)]);
    REQUIRE(got.status == 200);
    const auto body = json::parse(got.body);
    CHECK(body["model"] == "m-1");
    REQUIRE(body["data"].size() == 3);
    CHECK(body["data"][0]["embedding"].is_string() == (n % 2 == 0));
    const auto read = read_embeddings_reply(got.body);
    REQUIRE(read);
    for (std::size_t each = 0; each < 3; ++each) {
      CHECK(body["data"][each]["index"] == each);
      CHECK(read->embeddings[each].values == vector_of(texts_of(n)[each]));
    }
  }
  CHECK(behind.metric("requests_total") == clients);
  // One at once, and then what came in the 30 ms of each call; far fewer than the clients.
  CHECK(behind.metric("batches_total") <= clients / 2);
  CHECK(behind.metric("texts_spared_total") > 0);
}

TEST_CASE("of clients that share a call only the one that is wrong hears so",
          "[actors][gateway][embeddings][embedder]") {
  batched_vectors behind;
  constexpr std::size_t clients = 8;
  std::vector<std::unique_ptr<net::testing::raw_client>> all;
  for (std::size_t n = 0; n < clients; ++n) {
    all.push_back(std::make_unique<net::testing::raw_client>(behind.gateway.port()));
    CHECK(all.back()->send(
      post_embeddings({{"model", "m"}, {"input", n == 5 ? "bad" : "good " + std::to_string(n)}})));
  }
  for (std::size_t n = 0; n < clients; ++n) {
    const auto got = read_reply(*all[n]);
    CHECK(got.status == (n == 5 ? 400 : 200));
    if (n == 5)
      CHECK(json::parse(got.body)["error"]["type"] == "invalid_request_error");
  }
}
