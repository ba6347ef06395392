#include "runtime/flow/rng.hpp"
#include "runtime/flow/rolling_counter.hpp"
#include "tests/support/catch.hpp"

#include <deque>

using namespace skep;
using namespace skep::flow;

namespace {
constexpr time_point start{1h};
}

TEST_CASE("rolling counter forgets what is older than its window", "[flow][rolling]") {
  rolling_counter counter{10s, 10};
  counter.add(start, 3);
  CHECK(counter.total(start + 9s) == 3);
  CHECK(counter.total(start + 10s) == 0);
  counter.add(start + 10s);
  CHECK(counter.total(start + 10s) == 1);
}

TEST_CASE("rolling counter keeps counts that arrive with a slightly older time",
          "[flow][rolling]") {
  rolling_counter counter{10s, 10};
  counter.add(start + 10s);
  counter.add(start + 9s);
  counter.add(start); // Its bucket now belongs to a newer second, which takes the count.
  CHECK(counter.total(start + 10s) == 3);
}

TEST_CASE("rolling counter agrees with a list of all events", "[flow][rolling]") {
  rng random{7};
  rolling_counter counter{8s, 8};
  std::deque<time_point> events;
  auto now = start;
  for (int i = 0; i < 20'000; ++i) {
    now += std::chrono::milliseconds{random.below(1500)};
    counter.add(now);
    events.push_back(now);
    auto oldest = std::chrono::floor<std::chrono::seconds>(now) - 7s;
    while (events.front() < oldest)
      events.pop_front();
    REQUIRE(counter.total(now) == events.size());
  }
}
