#include "apis/openai/embeddings_json.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <limits>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

/// What a body becomes on its way through: read by the gateway, written by a connector.
json through(const json& body) {
  const auto read = read_embeddings_body(body.dump());
  REQUIRE(read);
  return json::parse(write_embeddings_request(read->request));
}

std::string param_at_fault(const std::string& body) {
  const auto read = read_embeddings_body(body);
  REQUIRE(!read);
  CHECK(read.error().why.code == errc::bad_request);
  return read.error().param;
}

const std::vector<float> some{1.0f, -0.5f, 0.1f};

} // namespace

TEST_CASE("a request for vectors keeps its input and members on its way", "[actors][embeddings]") {
  CHECK(through({{"model", "m"}, {"input", "hi"}})
        == json{{"model", "m"}, {"input", {"hi"}}, {"encoding_format", "base64"}});
  CHECK(through({{"model", "m"}, {"input", {"a", "b"}}, {"dimensions", 8}, {"user", "u"}})
        == json{{"model", "m"},
                {"input", {"a", "b"}},
                {"dimensions", 8},
                {"user", "u"},
                {"encoding_format", "base64"}});
  // Tokens go through as they came.
  CHECK(through({{"model", "m"}, {"input", {1, 2, 3}}})["input"] == json{1, 2, 3});
  const json lists = json::parse("[[1,2],[3]]");
  CHECK(through({{"model", "m"}, {"input", lists}})["input"] == lists);
}

TEST_CASE("the format of the answer is the client's choice", "[actors][embeddings]") {
  const auto wants_base64 = [](const char* body) { return read_embeddings_body(body)->base64; };
  CHECK(!wants_base64(R"({"model":"m","input":"a"})"));
  CHECK(!wants_base64(R"({"model":"m","input":"a","encoding_format":"float"})"));
  CHECK(!wants_base64(R"({"model":"m","input":"a","encoding_format":null})"));
  CHECK(wants_base64(R"({"model":"m","input":"a","encoding_format":"base64"})"));
}

TEST_CASE("a wrong request for vectors names the member at fault", "[actors][embeddings]") {
  CHECK(param_at_fault("{").empty());
  CHECK(param_at_fault("[]").empty());
  CHECK(param_at_fault(R"({"input":"a"})") == "model");
  CHECK(param_at_fault(R"({"model":5,"input":"a"})") == "model");
  CHECK(param_at_fault(R"({"model":"m"})") == "input");
  for (const auto* input :
       {"[]", "5", "null", "{}", R"(["a",1])", "[[]]", "[-1]", "[1.5]", R"([[1],"a"])"})
    CHECK(param_at_fault(std::string{R"({"model":"m","input":)"} + input + "}") == "input");
  CHECK(param_at_fault(R"({"model":"m","input":"a","encoding_format":"hex"})")
        == "encoding_format");
  json body{{"model", "m"}, {"input", std::vector<std::string>(2049, "a")}};
  CHECK(param_at_fault(body.dump()) == "input");
  // As many tokens are one input.
  body["input"] = std::vector<int>(5000, 1);
  CHECK(read_embeddings_body(body.dump()));
  CHECK(param_at_fault(std::string(1000, '[')).empty());
}

TEST_CASE("vectors of both forms are read, in the order of their index", "[actors][embeddings]") {
  msg::embed_reply reply;
  reply.model = "m-1";
  reply.prompt_tokens = 7;
  reply.embeddings = {{bytes_of_floats(some)}, {bytes_of_floats(std::vector<float>{2.0f})}};
  const bool base64 = GENERATE(true, false);
  const auto written = write_embeddings_reply(reply, base64);
  CHECK(*read_embeddings_reply(written) == reply);
  auto body = json::parse(written);
  CHECK(body["object"] == "list");
  CHECK(body["usage"] == json{{"prompt_tokens", 7}, {"total_tokens", 7}});
  CHECK(body["data"][1]["index"] == 1);
  CHECK(body["data"][0]["object"] == "embedding");
  CHECK(body["data"][0]["embedding"].is_string() == base64);
  std::swap(body["data"][0], body["data"][1]);
  CHECK(*read_embeddings_reply(body.dump()) == reply);
}

TEST_CASE("base64 is the one of the official clients", "[actors][embeddings]") {
  msg::embed_reply reply;
  // 1.0f is 00 00 80 3f.
  for (const std::size_t count : {1u, 2u, 3u})
    reply.embeddings.push_back({bytes_of_floats(std::vector<float>(count, 1.0f))});
  const auto body = json::parse(write_embeddings_reply(reply, true));
  CHECK(body["data"][0]["embedding"] == "AACAPw==");
  CHECK(body["data"][1]["embedding"] == "AACAPwAAgD8=");
  CHECK(body["data"][2]["embedding"] == "AACAPwAAgD8AAIA/");
}

TEST_CASE("numbers come back as the same floats", "[actors][embeddings]") {
  const std::vector<float> values{0.1f,        1e-30f, -3.4e38f,
                                  16777217.0f, 0.0f,   std::numeric_limits<float>::denorm_min()};
  msg::embed_reply reply;
  reply.embeddings = {{bytes_of_floats(values)}};
  const auto back = read_embeddings_reply(write_embeddings_reply(reply, false));
  REQUIRE(back);
  CHECK(floats_of_bytes(back->embeddings[0].values) == values);
  // JSON has no infinities.
  reply.embeddings = {{bytes_of_floats(std::vector<float>{INFINITY, NAN})}};
  CHECK(json::parse(write_embeddings_reply(reply, false))["data"][0]["embedding"]
        == json{0.0, 0.0});
  CHECK(floats_of_bytes("abc").empty());
}

TEST_CASE("tokens of which only the sum is said are the prompt's", "[actors][embeddings]") {
  const auto tokens = [](const std::string& usage) {
    return read_embeddings_reply(R"({"data":[{"embedding":[1]}],"usage":)" + usage + "}")
      .value()
      .prompt_tokens;
  };
  CHECK(tokens(R"({"total_tokens":4})") == 4);
  CHECK(tokens(R"({"prompt_tokens":null,"total_tokens":4})") == 4);
  CHECK(tokens(R"({"prompt_tokens":3,"total_tokens":4})") == 3);
  CHECK(tokens("{}") == 0);
}

TEST_CASE("an answer that is no vectors is a failure of the provider", "[actors][embeddings]") {
  for (const auto* body :
       {"", "[]", "{}", R"({"data":5})", R"({"data":[5]})", R"({"data":[{}]})",
        R"({"data":[{"embedding":"!!!!"}]})", R"({"data":[{"embedding":"AAA="}]})",
        R"({"data":[{"embedding":["a"]}]})", R"({"data":[{"index":1,"embedding":[1]}]})",
        R"({"data":[{"index":-1,"embedding":[1]}]})",
        R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})",
        R"({"data":[{"index":"x","embedding":[1]}]})"}) {
    CAPTURE(body);
    const auto read = read_embeddings_reply(body);
    REQUIRE(!read);
    CHECK(read.error().code == errc::provider_failed);
  }
}
