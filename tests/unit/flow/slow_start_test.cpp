#include "runtime/flow/slow_start.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::flow;

TEST_CASE("a member that came back gets its share evenly over the window", "[flow][slow_start]") {
  const slow_start_config config;
  CHECK(slow_start_share(config, 0s) == 0.1);
  CHECK(slow_start_share(config, 500ms) == 0.1);
  CHECK(slow_start_share(config, 5s) == Approx(0.5));
  CHECK(slow_start_share(config, 9s) == Approx(0.9));
  CHECK(slow_start_share(config, 10s) == 1);
  CHECK(slow_start_share(config, 1h) == 1);
  CHECK(slow_start_share(config, -1s) == 0.1);
}

TEST_CASE("aggression bends the ramp", "[flow][slow_start]") {
  slow_start_config config;
  config.aggression = 2;
  CHECK(slow_start_share(config, 2500ms) == Approx(0.5));
  config.aggression = 0.5;
  CHECK(slow_start_share(config, 5s) == Approx(0.25));
}

TEST_CASE("without a window the whole share is there at once", "[flow][slow_start]") {
  slow_start_config config;
  config.window = 0s;
  CHECK(slow_start_share(config, 0s) == 1);
}
