#include "bench/replay.hpp"
#include "tests/support/catch.hpp"

#include <string>

using namespace skep;

TEST_CASE("the policies reach their published hit ratios on a recorded trace", "[store][replay]") {
  const auto web12 = bench::read_trace(bench::trace_folder(), "web12");
  if (!web12)
    FAIL(web12.error().detail);
  for (const auto& reference : bench::published) {
    const auto percent = bench::store_hit_percent(*web12, reference.policy, 1000);
    CAPTURE(std::string{reference.name}, percent, reference.least, reference.most);
    CHECK(bench::as_published(reference, percent));
  }
}

TEST_CASE("the cost-aware policy saves more cost than the others on a recorded trace",
          "[store][replay][cost]") {
  const auto web12 = bench::read_trace(bench::trace_folder(), "web12");
  if (!web12)
    FAIL(web12.error().detail);
  using store::policy_kind;
  constexpr std::size_t bytes = std::size_t{1} << 20;
  const auto saved = bench::store_savings(*web12, policy_kind::cost_aware, bytes).cost_percent;
  CHECK(saved > bench::store_savings(*web12, policy_kind::lru, bytes).cost_percent + 3);
  CHECK(saved > bench::store_savings(*web12, policy_kind::s3_fifo, bytes).cost_percent + 1);
}

TEST_CASE("a trace that is not there is named in the failure", "[store][replay]") {
  const auto none = bench::read_trace("/nonexistent", "web12");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == errc::not_found);
  CHECK(none.error().detail.find("/nonexistent/web12.trace.xz") != std::string::npos);
}
