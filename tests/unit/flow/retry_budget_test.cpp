#include "runtime/flow/retry_budget.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {
constexpr time_point start{1h};

int take_all(retry_budget& budget, time_point now) {
  int taken = 0;
  while (budget.try_retry(now))
    ++taken;
  return taken;
}
} // namespace

TEST_CASE("retry budget allows a fifth of the requests and no more", "[flow][retry]") {
  retry_budget budget{{.retry_ratio = 0.2, .reserve_per_second = 0}};
  CHECK_FALSE(budget.try_retry(start));
  for (int i = 0; i < 100; ++i)
    budget.on_request(start);
  CHECK(take_all(budget, start) == 20);
  CHECK(budget.refusals() == 2);
}

TEST_CASE("retry budget's reserve lets low traffic retry", "[flow][retry]") {
  retry_budget budget{{.reserve_per_second = 10}};
  CHECK(take_all(budget, start) == 100); // 10 per second for 10 seconds.
  CHECK_FALSE(budget.try_retry(start + 5s));
  CHECK(take_all(budget, start + 10s) == 100);
}

TEST_CASE("a lone call can be tried three times by default", "[flow][retry]") {
  retry_budget budget;
  budget.on_request(start);
  CHECK(take_all(budget, start) == 2);
}

TEST_CASE("requests older than the window no longer pay for retries", "[flow][retry]") {
  retry_budget budget{{.retry_ratio = 0.2, .reserve_per_second = 0}};
  for (int i = 0; i < 1000; ++i)
    budget.on_request(start);
  CHECK(budget.balance(start + 9s) == 200);
  CHECK(budget.balance(start + 10s) == 0);
}

TEST_CASE("no retry is granted that the requests of its window do not pay for", "[flow][retry]") {
  rng random{11};
  retry_budget budget{{.retry_ratio = 0.2, .reserve_per_second = 1}};
  std::vector<double> requests(600, 0);
  std::vector<double> retries(600, 0);
  for (std::size_t second = 0; second < 600; ++second) {
    auto now = start + std::chrono::seconds{second};
    // Calm, storm and silence in turn; everything that fails wants a retry, and so does the retry.
    auto arrivals = second % 90 < 30 ? random.below(20) : second % 90 < 60 ? random.below(300) : 0;
    for (std::uint32_t i = 0; i < arrivals; ++i) {
      budget.on_request(now);
      ++requests[second];
      while (budget.try_retry(now) && ++retries[second] > 0 && random.below(4) != 0) {
      }
    }
    double paid = 10; // One a second for ten seconds.
    double spent = 0;
    for (auto s = second < 9 ? 0 : second - 9; s <= second; ++s) {
      paid += 0.2 * requests[s];
      spent += retries[s];
    }
    if (retries[second] > 0)
      REQUIRE(spent <= paid + 1e-6); // Sums of 0.2 are not exact.
  }
}
