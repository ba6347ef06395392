#include "runtime/base/clock.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/fetch_options.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::rt;
using Catch::Matchers::Contains;

namespace {

config::load_result load(const std::string& section) {
  config::schema accepted;
  declare_fetch(accepted);
  return config::load(accepted, {"node.toml", "[fetch]\n" + section, config::environment{{}}, {}});
}

std::string problems(const std::string& section) {
  const auto result = load(section);
  return result ? "" : to_string(result.error());
}

} // namespace

TEST_CASE("without [fetch] the pools have their defaults", "[node][fetch][options]") {
  const auto result = load("");
  REQUIRE(result);
  const auto made = result->get<net::fetch_config>("fetch");
  const net::fetch_config defaults;
  CHECK(made.connections_max == defaults.connections_max);
  CHECK(made.connections_per_host_min == defaults.connections_per_host_min);
  CHECK(made.connections_per_host_max == 256);
  CHECK(made.connection_idle_ttl == defaults.connection_idle_ttl);
  CHECK(made.verify_tls);
}

TEST_CASE("[fetch] sets the pools' bounds and how they move", "[node][fetch][options]") {
  const auto result = load(R"(
connections_max = 2000
connections_per_host_min = 2
connections_per_host_max = 1000
growth_factor = 1.5
grow_above = 0.9
shrink_below = 0.5
utilisation_window_ms = 250
shrink_after_ms = 5000
connection_idle_ttl_ms = 20000
http2 = false
)");
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  const auto made = result->get<net::fetch_config>("fetch");
  CHECK(made.connections_per_host_min == 2);
  CHECK(made.connections_per_host_max == 1000);
  CHECK(made.growth_factor == 1.5);
  CHECK(made.grow_above == 0.9);
  CHECK(made.shrink_below == 0.5);
  CHECK(made.utilisation_window == 250ms);
  CHECK(made.shrink_after == 5s);
  CHECK(made.connection_idle_ttl == 20s);
  CHECK_FALSE(made.http2);
}

TEST_CASE("a [fetch] that cannot work is refused", "[node][fetch][options]") {
  CHECK_THAT(problems("connections_per_host_min = 300"), Contains("connections_per_host_max"));
  CHECK_THAT(problems("connections_max = 100"), Contains("connections_max"));
  CHECK_THAT(problems("shrink_below = 0.5"), Contains("call for the step up again"));
  CHECK_THAT(problems("ca_file = \"/nowhere/ca.pem\""), Contains("cannot be read"));
}
