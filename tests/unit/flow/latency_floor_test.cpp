#include "runtime/flow/latency_floor.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::flow;

namespace {
constexpr time_point start{1h};
}

TEST_CASE("the latency floor is the fastest answer of late", "[flow][gate]") {
  latency_floor floor{30s, 3};
  floor.add(900ms, start);
  floor.add(300ms, start);
  CHECK(floor.value(start) == duration::zero()); // Two answers say nothing.
  floor.add(700ms, start + 15s);
  CHECK(floor.value(start + 15s) == 300ms);
}

TEST_CASE("the latency floor forgets what is older than its window", "[flow][gate]") {
  latency_floor floor{30s, 1};
  floor.add(100ms, start);
  floor.add(400ms, start + 20s);
  CHECK(floor.value(start + 20s) == 100ms);
  CHECK(floor.value(start + 30s) == 400ms);
  CHECK(floor.value(start + 45s) == duration::zero());
}

TEST_CASE("an answer that is reported a little late is counted all the same", "[flow][gate]") {
  latency_floor floor{30s, 2};
  floor.add(400ms, start + 15s);
  floor.add(100ms, start + 15s - 1ms);
  CHECK(floor.value(start + 15s) == 100ms);
}
