#include "apis/openai/embeddings_json.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/actors/provider_fixture.hpp"

#include <nlohmann/json.hpp>

#include <atomic>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::testing::tiny_upstream;
using skep::testing::upstream_connection;
using skep::testing::upstream_request;

namespace {

/// Answers with a vector {length of the text} per text.
std::string lengths_of(const upstream_request& request) {
  const auto body = json::parse(request.body);
  msg::embed_reply reply;
  reply.model = "up-model";
  reply.prompt_tokens = 5;
  for (const auto& text : body["input"]) {
    const auto size = text.is_string() ? text.get<std::string>().size() : text.size();
    reply.embeddings.push_back({bytes_of_floats(std::vector<float>{static_cast<float>(size)})});
  }
  return write_embeddings_reply(reply, true);
}

} // namespace

TEST_CASE("a provider gives vectors in the order of the texts", "[actors][provider][embeddings]") {
  upstream_request seen;
  auto options = quick_options();
  options.api_key = config::secret{"KEY", "sk-secret"};
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      seen = request;
      on.reply(200, lengths_of(request));
    }),
    options, GENERATE(false, true)};
  const auto got = provider.embed({"m", {"a", "abc"}, {}, R"({"dimensions":1})"});
  REQUIRE(got->story() == "reply");
  const auto vectors = got->vectors();
  CHECK(vectors.model == "up-model");
  CHECK(vectors.prompt_tokens == 5);
  REQUIRE(vectors.embeddings.size() == 2);
  CHECK(floats_of_bytes(vectors.embeddings[1].values) == std::vector<float>{3});
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/v1/embeddings");
  CHECK(seen.header("authorization") == "Bearer sk-secret");
  CHECK(
    json::parse(seen.body)
    == json{
      {"model", "m"}, {"input", {"a", "abc"}}, {"dimensions", 1}, {"encoding_format", "base64"}});
  const auto tokens = provider.embed({"m", {}, "[[1,2],[3]]", {}});
  REQUIRE(tokens->story() == "reply");
  CHECK(tokens->vectors().embeddings.size() == 2);
  CHECK(json::parse(seen.body)["input"] == json::parse("[[1,2],[3]]"));
}

TEST_CASE("vectors are asked for again when that may help", "[actors][provider][embeddings]") {
  std::atomic<int> requests{0};
  open_provider provider{counting(requests, [](upstream_connection& on, int n) {
    if (n == 0)
      on.reply(500, error_body("oops"));
    else
      on.reply(200, R"({"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}})");
  })};
  const auto got = provider.embed({"m", {"a"}, {}, {}});
  REQUIRE(got->story() == "reply");
  CHECK(floats_of_bytes(got->vectors().embeddings[0].values) == std::vector<float>{0.5f});
  CHECK(requests == 2);
  CHECK(provider.meters().in_flight.value() == 0);
}

TEST_CASE("fewer vectors than texts, or none, are a failure", "[actors][provider][embeddings]") {
  const std::string body = GENERATE("{}", R"({"data":[{"index":0,"embedding":[1]}]})");
  auto options = quick_options();
  options.attempts_max = 1;
  open_provider provider{
    tiny_upstream::each_request(
      [&](upstream_connection& on, upstream_request&) { on.reply(200, body); }),
    options};
  const auto got = provider.embed({"m", {"a", "b"}, {}, {}});
  CHECK(got->story() == "failed");
  CHECK(got->why().code == errc::provider_failed);
}

TEST_CASE("a provider that has no base64 is asked for numbers, and remembered",
          "[actors][provider][embeddings]") {
  std::vector<std::string> formats;
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request& request) {
      formats.push_back(json::parse(request.body)["encoding_format"]);
      if (formats.back() == "base64")
        on.reply(400, error_body("encoding_format must be float"));
      else
        on.reply(200, R"({"model":"m","data":[{"index":0,"embedding":[1.5]}]})");
    })};
  for (int round = 0; round < 2; ++round) {
    const auto got = provider.embed({"m", {"a"}, {}, {}});
    REQUIRE(got->story() == "reply");
    CHECK(floats_of_bytes(got->vectors().embeddings.at(0).values) == std::vector<float>{1.5F});
  }
  CHECK(formats == std::vector<std::string>{"base64", "float", "float"});
}

TEST_CASE("a provider's refusal of texts comes back as such", "[actors][provider][embeddings]") {
  open_provider provider{
    tiny_upstream::each_request([&](upstream_connection& on, upstream_request&) {
      on.reply(400, error_body("too many tokens"));
    })};
  const auto got = provider.embed({"m", {"a"}, {}, {}});
  CHECK(got->why().code == errc::bad_request);
  const auto nothing = provider.embed({"m", {}, {}, {}});
  CHECK(nothing->why().code == errc::bad_request);
}
