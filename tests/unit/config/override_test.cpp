#include "runtime/config/emit.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/reader.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/config/sample.hpp"

using namespace skep::config;
using namespace skep::config::sample;

namespace {

load_result load_with(const std::string& text, environment::variables env,
                      std::vector<std::string> arguments = {}) {
  return load(sections(), {"dev.toml", text, environment{std::move(env)}, std::move(arguments)});
}

std::string problems(const std::string& text, environment::variables env,
                     std::vector<std::string> arguments = {}) {
  auto result = load_with(text, std::move(env), std::move(arguments));
  return result ? "" : to_string(result.error());
}

std::chrono::milliseconds ttl(const load_result& result) {
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  return result->get<cache_config>("cache").ttl;
}

} // namespace

TEST_CASE("defaults yield to the file, then aliases, then SKEP_ variables, then arguments",
          "[config][override]") {
  const std::string file = "[cache]\nttl_ms = 1\n";
  CHECK(ttl(load_with("", {})) == 60s);
  CHECK(ttl(load_with(file, {})) == 1ms);
  CHECK(ttl(load_with(file, {{"CACHE_TTL", "2"}})) == 2s);
  CHECK(ttl(load_with("", {{"CACHE_TTL", "2"}})) == 2s);
  CHECK(ttl(load_with(file, {{"CACHE_TTL", "2"}, {"SKEP_CACHE__TTL_MS", "3"}})) == 3ms);
  CHECK(ttl(load_with(file, {{"CACHE_TTL", "2"}, {"SKEP_CACHE__TTL_MS", "3"}},
                      {"cache.ttl_ms=4", "cache.ttl_ms=5"}))
        == 5ms);
}

TEST_CASE("what a check says of an overridden value is told of the argument, not of the file",
          "[config][override][errors]") {
  CHECK(problems("[cache]\nttl_max_ms = 20\nttl_ms = 10\n", {}, {"cache.ttl_ms=30"})
        == "--set cache.ttl_ms:1:1: [cache]: ttl_ms must not exceed ttl_max_ms\n");
}

TEST_CASE("a name that ends in _min is a least, not minutes", "[config]") {
  CHECK(unit_of("idle_min").empty());
  CHECK(unit_of("ttl_ms") == "milliseconds");
}

TEST_CASE("an argument is a TOML value, and a bare word is a string", "[config][override]") {
  auto result
    = load_with("[agent.support]\nmodel = 'old'\n[[provider]]\n", {},
                {"agent.support.model=gpt-4o", "agent.support.providers=[\"a\", \"b\"]",
                 "agent.\"new one\".model=\"quoted\"", "node.name=123",
                 "node.etcd_url=\xc3\xa9 \xce\xbb", "node.force_wire=true", "provider.0.region=eu",
                 "cache.disk={path = \"/x\"}", "agent.support.instructions="});
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  const auto& agents = result->all<agent_config>("agent");
  REQUIRE(agents.size() == 2);
  // In the order of the names, whoever gave them.
  CHECK(agents[0].first == "new one");
  CHECK(agents[0].second.model == "quoted");
  CHECK(agents[1].second.model == "gpt-4o");
  CHECK(agents[1].second.providers == std::vector<std::string>{"a", "b"});
  CHECK(agents[1].second.instructions.empty());
  CHECK(result->get<node_config>("node").name == "123");
  CHECK(result->get<node_config>("node").etcd_url == "\xc3\xa9 \xce\xbb");
  CHECK(result->get<node_config>("node").force_wire);
  CHECK(result->list<provider_config>("provider")[0].region == "eu");
  CHECK(result->get<cache_config>("cache").disk.path == "/x");
}

TEST_CASE("an argument that is wrong is named without its value", "[config][override][errors]") {
  CHECK(problems("", {}, {"cache.ttl_sm=5"})
        == "--set cache.ttl_sm:1:1: unknown key \"ttl_sm\" in [cache]; did you mean \"ttl_ms\"?\n");
  CHECK(problems("", {}, {"cahce.ttl_ms=5"})
        == "--set cahce.ttl_ms:1:1: unknown section [cahce]; did you mean [cache]?\n");
  CHECK(problems("", {}, {"cache"}) == "--set cache:1:1: write section.key=value\n");
  CHECK(problems("", {}, {"cache=5"}) == "--set cache:1:1: write section.key=value\n");
  CHECK(problems("", {}, {"cache..x=5"}) == "--set cache..x:1:1: write section.key=value\n");
  CHECK(problems("", {}, {"a = 1\nb.c=5"}) == "--set a :1:1: write section.key=value\n");
  CHECK(
    problems("[[provider]]\n", {}, {"provider.1.region=eu"})
    == "--set provider.1.region:1:1: \"provider\" is a list of 1 entries, counted from 0: \"1\" is "
       "none\n");
  CHECK(problems("[node]\nname = 'a'\n", {}, {"node.name.first=b"})
        == "--set node.name.first:1:1: \"node.name\" is a string, it has no \"first\" inside\n");
}

TEST_CASE("a value cannot smuggle in a second key", "[config][override]") {
  auto result = load_with("", {}, {"node.name=\"a\"\n[cache]\nttl_ms=9"});
  REQUIRE(result);
  CHECK(result->get<node_config>("node").name == "\"a\"\n[cache]\nttl_ms=9");
  CHECK(result->get<cache_config>("cache").ttl == 60s);
}

TEST_CASE("variables find existing names whatever their case", "[config][override]") {
  auto result
    = load_with("[agent.Support-EU]\nmodel = 'old'\n", {
                                                         {"SKEP_AGENT__SUPPORT_EU__MODEL", "new"},
                                                         {"SKEP_AGENT__FRESH__MODEL", "m"},
                                                         {"SKEP_CACHE__DISK__PATH", "/p"},
                                                       });
  REQUIRE(result);
  const auto& agents = result->all<agent_config>("agent");
  REQUIRE(agents.size() == 2);
  CHECK(agents[0].first == "Support-EU");
  CHECK(agents[0].second.model == "new");
  CHECK(agents[1].first == "fresh");
  CHECK(result->get<cache_config>("cache").disk.path == "/p");
}

TEST_CASE("a variable that is wrong is named", "[config][override][errors]") {
  CHECK(problems("", {{"SKEP_CACHE__TTL_SM", "5"}})
        == "SKEP_CACHE__TTL_SM:1:1: unknown key \"ttl_sm\" in [cache]; did you mean \"ttl_ms\"?\n");
  CHECK(problems("", {{"CACHE_TTL", "soon"}})
        == "CACHE_TTL:1:1: \"ttl_ms\" must be an integer (milliseconds), not a string\n");
  // Times 1000 this is beyond 64 bits; it must not wrap around into the range.
  CHECK(
    problems("", {{"CACHE_TTL", "9223372036854775807"}})
    == "CACHE_TTL:1:1: \"ttl_ms\" must be 1 to 86400000 milliseconds, not 9223372036854775807\n");
}

TEST_CASE("bytes that are no text are refused", "[config][override][errors]") {
  CHECK(problems("", {}, {"node.name=\xc3\x28"}) == "--set node.name:1:1: \"name\" is not UTF-8\n");
  CHECK(problems("", {{"SKEP_NODE__NAME", "\xff"}})
        == "SKEP_NODE__NAME:1:1: \"name\" is not UTF-8\n");
  CHECK(problems("", {{"SKEP_AGENT__\xff__MODEL", "m"}})
        == "SKEP_AGENT__\xff__MODEL:1:1: the name is not UTF-8\n");
  for (auto text : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    CHECK_FALSE(is_utf8(text));
  for (auto text : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf4\x8f\xbf\xbf"})
    CHECK(is_utf8(text));
}

TEST_CASE("empty variables and those without levels are not for the configuration",
          "[config][override]") {
  CHECK(ttl(load_with("", {{"SKEP_CACHE__TTL_MS", ""},
                           {"CACHE_TTL", ""},
                           {"SKEP_BINARY", "/bin/skep"},
                           {"OTHER__THING", "1"}}))
        == 60s);
}

TEST_CASE("text may refer to a variable, and a default stands in for a missing one",
          "[config][env]") {
  auto result = load_with("[[provider]]\nbase_url = 'env.BASE'\n", {});
  REQUIRE(result);
  CHECK(result->list<provider_config>("provider")[0].base_url == "http://127.0.0.1:9000/v1");
  CHECK(problems("[[provider]]\nregion = 'env.REGION'\n", {})
        == "dev.toml:2:10: the environment variable REGION is not set\n");
  // Only a whole name is a reference.
  result = load_with("[[provider]]\nregion = 'env.a b'\n", {});
  REQUIRE(result);
  CHECK(result->list<provider_config>("provider")[0].region == "env.a b");
}

TEST_CASE("a secret is taken without the line end of the file it came from", "[config][secret]") {
  const std::string text = "[[provider]]\napi_key = 'env.KEY'\n";
  for (const std::string end : {"\n", "\r\n", "\n\n"}) {
    const auto result = load_with(text, {{"KEY", "sk-1" + end}});
    REQUIRE(result);
    CHECK(result->list<provider_config>("provider")[0].api_key.reveal() == "sk-1");
  }
  const std::string held = "the environment variable KEY holds ";
  CHECK(problems(text, {{"KEY", "sk\n1"}}).find(held + "a control character") != std::string::npos);
  CHECK(problems(text, {{"KEY", "\n"}}).find(held + "nothing but line ends") != std::string::npos);
}

TEST_CASE("a secret is taken from the environment and from nowhere else", "[config][secret]") {
  const std::string file = "[[provider]]\napi_key = 'env.KEY'\n";
  auto result = load_with(file, {{"KEY", "sk-1"}});
  REQUIRE(result);
  CHECK(result->list<provider_config>("provider")[0].api_key.reveal() == "sk-1");
  CHECK(problems(file, {}) == "dev.toml:2:11: the environment variable KEY is not set\n");
  CHECK(problems(file, {{"KEY", ""}})
        == "dev.toml:2:11: the environment variable KEY is not set\n");

  const std::string refused = "\"api_key\" is a secret and must not stand here: put it in an "
                              "environment variable and write \"env.NAME\"\n";
  CHECK(problems("[[provider]]\napi_key = 'sk-1'\n", {}) == "dev.toml:2:11: " + refused);
  CHECK(problems("[[provider]]\n", {}, {"provider.0.api_key=sk-1"})
        == "--set provider.0.api_key:1:1: " + refused);
  CHECK(problems("[node]\napi_keys = ['sk-1']\n", {}).find("\"api_keys[0]\" is a secret")
        != std::string::npos);

  result = load_with("[[provider]]\n", {{"SKEP_PROVIDER__0__API_KEY", "sk-2"}});
  REQUIRE(result);
  CHECK(result->list<provider_config>("provider")[0].api_key
        == secret{"SKEP_PROVIDER__0__API_KEY", "sk-2"});
}
