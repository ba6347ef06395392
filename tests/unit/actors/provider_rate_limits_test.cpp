#include "actors/provider/rate_limits.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

/// How long a call has to wait; waits are rounded up by a nanosecond.
std::chrono::milliseconds wait(rate_limits& limits, double tokens, time_point at) {
  return std::chrono::floor<std::chrono::milliseconds>(limits.admit(tokens, at));
}

} // namespace

TEST_CASE("without limits every call is admitted", "[provider][rate]") {
  const time_point start{};
  rate_limits none{0, 0, start};
  CHECK(!none.counts_tokens());
  for (int call = 0; call < 1000; ++call)
    CHECK(none.admit(1e9, start) == duration::zero());
}

TEST_CASE("calls over requests_per_minute wait their turn", "[provider][rate]") {
  const time_point start{};
  rate_limits limits{60, 0, start};
  CHECK(wait(limits, 5, start) == 0ms);
  CHECK(wait(limits, 5, start) == 1s);
  CHECK(wait(limits, 5, start + 400ms) == 600ms);
  CHECK(wait(limits, 5, start + 1s) == 0ms);
}

TEST_CASE("calls over tokens_per_minute wait, and what they did not take is given back",
          "[provider][rate]") {
  const time_point start{};
  rate_limits limits{0, 600, start};
  CHECK(wait(limits, 500, start) == 0ms);
  CHECK(wait(limits, 200, start) == 10s);
  limits.settle(500, 400, start); // 100 less than estimated.
  CHECK(wait(limits, 200, start) == 0ms);
  limits.settle(200, 300, start); // 100 more: a debt.
  CHECK(wait(limits, 1, start) > 10s);
  CHECK(wait(limits, 1, start + 11s) == 0ms);
}

TEST_CASE("a refused call is charged nothing of either limit", "[provider][rate]") {
  const time_point start{};
  rate_limits limits{6000, 600, start};
  CHECK(wait(limits, 600, start) == 0ms);
  for (int call = 0; call < 1000; ++call)
    CHECK(wait(limits, 60, start) > 5s);
  CHECK(wait(limits, 60, start + 6s + 1ms) == 0ms);
}

TEST_CASE("a call larger than a minute's worth is let in alone", "[provider][rate]") {
  const time_point start{};
  rate_limits limits{0, 600, start};
  CHECK(wait(limits, 6000, start) == 0ms);
  CHECK(wait(limits, 1, start + 60s) > 400s);
}

TEST_CASE("a call's tokens are its prompt's and as many as it allows the answer",
          "[provider][rate]") {
  msg::chat_request request;
  CHECK(tokens_asked(request, 40) == 10);
  request.parameters = R"({"max_tokens":7})";
  CHECK(tokens_asked(request, 40) == 17);
  request.parameters = R"({"max_tokens":7,"max_completion_tokens":20})";
  CHECK(tokens_asked(request, 40) == 30);
  request.parameters = R"({"max_tokens":"many"})";
  CHECK(tokens_asked(request, 40) == 10);
}
