#include "actors/provider/role.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/ask_provider.hpp"
#include "tests/support/catch.hpp"

#include <array>
#include <string>

using namespace skep;

namespace {

config::load_result load(const std::string& text) {
  const std::array roles{actors::provider_role()};
  config::sources from;
  from.file = "test.toml";
  from.text = text;
  from.env = config::environment{{{"BASE", "http://127.0.0.1:1/v1"}, {"KEY", "sk-1"}}};
  return config::load(rt::node::schema_of(roles), from);
}

/// What is wrong with a provider that has these lines.
std::string complaint(const std::string& lines) {
  const auto loaded = load("[provider.p]\n" + lines);
  REQUIRE_FALSE(loaded);
  return to_string(loaded.error().front());
}

/// The provider's text, or why there is none.
std::string answer_of(rt::node& node, const std::string& name) {
  const auto got = test::ask_provider(node, name);
  return got ? got->choices.at(0).content : to_string(got.error());
}

} // namespace

TEST_CASE("a provider's options are checked against each other", "[actors][provider][role]") {
  CHECK(complaint("base_url = \"localhost\"").find("must begin with http://") != std::string::npos);
  CHECK(complaint("base_urls = [\"ftp://x\"]").find("must begin with http://")
        != std::string::npos);
  CHECK(complaint("weights = [1]").find("one entry per entry") != std::string::npos);
  CHECK(complaint("retry_backoff_min_ms = 9000").find("retry_backoff_max_ms") != std::string::npos);
  CHECK(complaint("affinity = \"prefix\"").find("at least two base_urls") != std::string::npos);
  CHECK(complaint("affinity = \"sticky\"").find("session") != std::string::npos);
  CHECK(complaint("[provider.p.breaker]\nopen_min_ms = 90000").find("open_max_ms")
        != std::string::npos);
  CHECK(complaint("[provider.p.simulated]\ntokens_min = 100").find("tokens_max")
        != std::string::npos);
  CHECK(complaint("[provider.p.anthropic]\nreasoning = \"much\"").find("adaptive")
        != std::string::npos);
  CHECK(complaint("kind = \"magic\"").find("simulated") != std::string::npos);
}

TEST_CASE("addresses and keys may come from the environment", "[actors][provider][role]") {
  CHECK(load("[provider.p]\nbase_url = \"env.BASE\"\napi_key = \"env.KEY\"\n"));
  CHECK(load("[provider.p]\nbase_urls = [\"env.BASE\", \"http://b\"]\nweights = [1, 3]\n"));
  CHECK_FALSE(load("[provider.p]\napi_key = \"env.NOT_THERE\"\n"));
}

TEST_CASE("a provider of kind anthropic needs no address", "[actors][provider][role]") {
  CHECK(load("[provider.p]\nkind = \"anthropic\"\napi_key = \"env.KEY\"\n"
             "[provider.p.anthropic]\nbeta = [\"a-1\"]\nreasoning = \"adaptive\"\n"));
}

TEST_CASE("a node publishes its providers, several addresses behind a balancer",
          "[actors][provider][role]") {
  const std::array roles{actors::provider_role()};
  const auto document = load("[provider.one]\n"
                             "kind = \"simulated\"\n"
                             "[provider.one.simulated]\n"
                             "first_token_ms = 0\n"
                             "tokens_per_s = 0\n"
                             "[provider.two]\n"
                             "kind = \"simulated\"\n"
                             "base_urls = [\"http://a\", \"http://b\"]\n"
                             "[provider.two.simulated]\n"
                             "first_token_ms = 0\n"
                             "tokens_per_s = 0\n"
                             "[provider.gone]\n"
                             "base_url = \"env.BASE\"\n"
                             "attempts_max = 1\n");
  REQUIRE(document);
  const auto node = rt::node::start(*document, roles);
  REQUIRE(node);
  CHECK((*node)->env().directory().names("provider/")
        == std::vector<std::string>{"provider/gone", "provider/one", "provider/two",
                                    "provider/two/0", "provider/two/1"});
  CHECK(answer_of(**node, "provider/one").starts_with("[simulated]"));
  CHECK(answer_of(**node, "provider/two").starts_with("[simulated]"));
  // Where it runs is for the log.
  CHECK(answer_of(**node, "provider/gone")
        == "transport_failed: the provider gone cannot be reached");
}

TEST_CASE("a provider with affinity keeps conversations at one address",
          "[actors][provider][role]") {
  const std::array roles{actors::provider_role()};
  const auto document = load("[provider.two]\n"
                             "kind = \"simulated\"\n"
                             "base_urls = [\"http://a\", \"http://b\", \"http://b\"]\n"
                             "affinity = \"prefix\"\n"
                             "affinity_prefix_bytes = 64\n"
                             "affinity_load = 2\n"
                             "[provider.two.simulated]\n"
                             "first_token_ms = 0\n"
                             "tokens_per_s = 0\n");
  REQUIRE(document);
  const auto node = rt::node::start(*document, roles);
  REQUIRE(node);
  for (int n = 0; n < 5; ++n)
    CHECK(answer_of(**node, "provider/two").starts_with("[simulated]"));
  auto& kept = (*node)->env().metrics().counter("skep_balancer_affinity_total", "",
                                                {{"name", "provider/two"}, {"result", "kept"}});
  CHECK(kept.value() == 5);
}
