// The variables other servers of agents are set up with, over the whole configuration of a node.
#include "actors/roles.hpp"
#include "runtime/config/emit.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

using namespace skep;
using Catch::Matchers::Contains;

namespace {

constexpr const char* file = R"(
[gateway]
compression = true
[provider.sim]
kind = "simulated"
[agent.helper]
models = ["sim/small"]
[agent.helper.pool]
size_max = 77
[cache]
ttl_ms = 1
[redis]
url = "redis://elsewhere"
pool_size = 1
pool_overflow = 1
)";

config::load_result load(config::environment::variables set) {
  const auto roles = actors::all_roles();
  return config::load(rt::node::schema_of(roles),
                      {"node.toml", file, config::environment{std::move(set)}, {}});
}

/// What is in force, or the problems.
std::string in_force(config::environment::variables set) {
  const auto read = load(std::move(set));
  return read ? config::dump(*read) : to_string(read.error());
}

} // namespace

TEST_CASE("the six usual variables are in force over the file", "[config][environment]") {
  const auto shown = in_force({{"AGENT_POOL_SIZE", "10"},
                               {"CACHE_TTL", "3600"},
                               {"DB_POOL_SIZE", "20"},
                               {"DB_MAX_OVERFLOW", "30"},
                               {"ENABLE_RESPONSE_COMPRESSION", "false"},
                               {"REDIS_URL", "redis://localhost"}});
  INFO(shown);
  CHECK_THAT(shown, Contains("size_max = 10\n"));
  CHECK_THAT(shown, Contains("ttl_ms = 3600000\n"));
  CHECK_THAT(shown, Contains("pool_size = 20\n"));
  CHECK_THAT(shown, Contains("pool_overflow = 30\n"));
  CHECK_THAT(shown, Contains("compression = false\n"));
  CHECK_THAT(shown, Contains("url = \"env.REDIS_URL\"\n"));
  CHECK_THAT(shown, !Contains("elsewhere"));
}

TEST_CASE("without them the file holds", "[config][environment]") {
  const auto shown = in_force({{"AGENT_POOL_SIZE", ""}, {"CACHE_TTL", ""}});
  CHECK_THAT(shown, Contains("size_max = 77\n"));
  CHECK_THAT(shown, Contains("ttl_ms = 1\n"));
  CHECK_THAT(shown, Contains("compression = true\n"));
}

TEST_CASE("a pool smaller than what is kept idle by default is no mistake",
          "[config][environment]") {
  CHECK_THAT(in_force({{"AGENT_POOL_SIZE", "2"}}), Contains("size_max = 2\n"));
}

TEST_CASE("a wrong value is told with the variable's name", "[config][environment]") {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
         {"AGENT_POOL_SIZE", "0"},
         {"AGENT_POOL_SIZE", "ten"},
         {"CACHE_TTL", "-1"},
         {"CACHE_TTL", "an hour"},
         {"DB_POOL_SIZE", "100000"},
         {"DB_MAX_OVERFLOW", "-5"},
         {"ENABLE_RESPONSE_COMPRESSION", "maybe"},
         {"REDIS_URL", "http://localhost"}}) {
    INFO(name << "=" << value);
    const auto read = load({{name, value}});
    REQUIRE_FALSE(read);
    CHECK_THAT(to_string(read.error()), Contains(name));
  }
}
