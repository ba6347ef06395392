#include "actors/embedder/role.hpp"
#include "actors/provider/role.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"

#include <caf/scoped_actor.hpp>

#include <array>
#include <string>

using namespace skep;

namespace {

const std::array roles{actors::provider_role(), actors::embedder_role()};

config::load_result load(const std::string& text) {
  config::sources from;
  from.file = "test.toml";
  from.text = text;
  return config::load(rt::node::schema_of(roles), from);
}

std::string complaint(const std::string& lines) {
  const auto loaded = load("[embeddings]\n" + lines);
  REQUIRE_FALSE(loaded);
  return to_string(loaded.error().front());
}

} // namespace

TEST_CASE("the options of [embeddings] are checked", "[actors][embedder][role]") {
  CHECK(complaint("count_max = 0").find("count_max") != std::string::npos);
  CHECK(complaint("count_max = 4096").find("2048") != std::string::npos);
  CHECK(complaint("hedge_percentile = 100").find("hedge_percentile") != std::string::npos);
  CHECK(complaint("hedge_samples_min = 1000").find("256") != std::string::npos);
  CHECK(complaint("hegde = true").find("hegde") != std::string::npos);
  CHECK(load("[embeddings]\ncount_max = 1\nhedge = false\nage_ms = 0\n"));
}

TEST_CASE("a node publishes an embedder in front of each provider", "[actors][embedder][role]") {
  const auto document = load("[provider.one]\n"
                             "kind = \"simulated\"\n"
                             "[provider.one.simulated]\n"
                             "first_token_ms = 0\n"
                             "[provider.two]\n"
                             "kind = \"simulated\"\n"
                             "base_urls = [\"http://a\", \"http://b\"]\n");
  REQUIRE(document);
  const auto node = rt::node::start(*document, roles);
  REQUIRE(node);
  CHECK((*node)->env().directory().names("embed/")
        == std::vector<std::string>{"embed/one", "embed/two"});

  caf::scoped_actor client{(*node)->env().system()};
  skep::context context;
  context.deadline = clock::now() + 10s;
  std::size_t vectors = 0;
  client
    ->request((*node)->env().find("embed/one"), std::chrono::seconds{10},
              rt::call{context, nullptr, 1}, msg::embed_request{"m", {"a", "b"}, {}, {}})
    .receive([&](const msg::embed_reply& reply) { vectors = reply.embeddings.size(); },
             [&](const caf::error& e) { FAIL(to_string(from_caf_error(e))); });
  CHECK(vectors == 2);
}
