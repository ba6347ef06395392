#include "runtime/flow/gate.hpp"
#include "tests/support/catch.hpp"

#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr time_point start{1h};
constexpr auto patient = time_point::max();

gate_config upstream() {
  gate_config config;
  config.use_quota_hold = true;
  config.breaker.failures_max = 3;
  config.breaker.open_min = 1s;
  return config;
}

/// One call from its admission, which must succeed, to this end.
void serve(gate& route, errc code, time_point now, duration retry_after = {},
           duration latency = {}) {
  const auto call = route.acquire(patient, now);
  REQUIRE(call.admitted());
  route.settle(call.ticket, {code, retry_after, latency}, now);
}

} // namespace

TEST_CASE("a gate refuses a call whose time is up before it asks anything else", "[flow][gate]") {
  auto config = upstream();
  config.in_flight_max = 1;
  gate route{config};
  REQUIRE(route.acquire(patient, start).admitted());
  const auto late
    = route.acquire(GENERATE(as<time_point>{}, start, start - 1s, time_point::min()), start);
  CHECK(late.refused_by == gate_step::deadline);
  CHECK(late.code == errc::deadline_exceeded);
  CHECK(late.retry_after == duration::zero());
}

TEST_CASE("a gate refuses a call that has less time than the fastest answer takes",
          "[flow][gate]") {
  gate route{upstream()};
  CHECK(route.acquire(start + 100ms, start).admitted()); // Nothing is known yet.
  for (int n = 0; n < 20; ++n)
    serve(route, errc::none, start, {}, 300ms + n * 10ms);
  CHECK(route.acquire(start + 299ms, start).refused_by == gate_step::deadline);
  CHECK(route.acquire(start + 300ms, start).admitted());
  CHECK(route.acquire(start + 60s + 100ms, start + 60s).admitted()); // That was long ago.
}

TEST_CASE("a gate refuses a call with less than remaining_min to go", "[flow][gate]") {
  auto config = upstream();
  config.remaining_min = 50ms;
  gate route{config};
  CHECK(route.acquire(start + 49ms, start).refused_by == gate_step::deadline);
  CHECK(route.acquire(start + 50ms, start).admitted());
}

TEST_CASE("a gate has in_flight_max places, and its adaptive limit may have fewer",
          "[flow][gate]") {
  auto config = upstream();
  config.use_limit = GENERATE(false, true);
  config.in_flight_max = config.use_limit ? 10 : 3;
  config.limit.limit_initial = 3;
  config.limit.limit_min = 1;
  gate route{config};
  CHECK(route.limit() == 3);
  std::vector<std::uint64_t> out;
  for (int n = 0; n < 3; ++n) {
    const auto call = route.acquire(patient, start);
    REQUIRE(call.admitted());
    out.push_back(call.ticket);
  }
  CHECK_FALSE(route.would_admit(start));
  const auto refused = route.acquire(patient, start);
  CHECK(refused.refused_by == (config.use_limit ? gate_step::limit : gate_step::in_flight));
  CHECK(refused.code == errc::overloaded);
  CHECK(refused.retry_after > duration::zero());
  route.settle(out.back(), {errc::cancelled, {}, {}}, start);
  CHECK(route.acquire(patient, start).admitted());
}

TEST_CASE("a gate's circuit opens on failures and closes after a good probe", "[flow][gate]") {
  gate route{upstream()};
  for (int n = 0; n < 3; ++n)
    serve(route, errc::provider_failed, start);
  const auto refused = route.acquire(patient, start);
  CHECK(refused.refused_by == gate_step::circuit);
  CHECK(refused.code == errc::circuit_open);
  CHECK(refused.retry_after == 1s);
  serve(route, errc::none, start + 1s);
  CHECK(route.circuit(start + 1s) == breaker_state::closed);
}

TEST_CASE("a full gate refuses before the breaker hands out its probe", "[flow][gate]") {
  auto config = upstream();
  config.in_flight_max = 1;
  gate route{config};
  for (int n = 0; n < 3; ++n)
    serve(route, errc::provider_failed, start);
  const auto probe = route.acquire(patient, start + 1s);
  REQUIRE(probe.admitted());
  CHECK(route.acquire(patient, start + 1s).refused_by == gate_step::in_flight);
  CHECK(route.acquire(start, start + 1s).refused_by == gate_step::deadline);
  route.settle(probe.ticket, {errc::none, {}, {}}, start + 1s);
  CHECK(route.would_admit(start + 1s));
}

TEST_CASE("a spent quota holds the route closed, then one call asks again", "[flow][gate]") {
  gate route{upstream()};
  serve(route, errc::quota_exhausted, start);
  CHECK(route.circuit(start) == breaker_state::closed); // No trip of the breaker.
  const auto refused = route.acquire(patient, start + 10s);
  CHECK(refused.refused_by == gate_step::quota);
  CHECK(refused.code == errc::quota_exhausted);
  CHECK(refused.retry_after == 50s);
  const auto now = start + 60s;
  const auto probe = route.acquire(patient, now);
  REQUIRE(probe.admitted());
  CHECK(route.acquire(patient, now).refused_by == gate_step::quota);
  SECTION("an answer opens it") {
    route.settle(probe.ticket, {errc::none, {}, {}}, now);
    CHECK(route.quota_hold(now) == duration::zero());
    CHECK(route.would_admit(now));
  }
  SECTION("while it is still spent the hold doubles, up to its bound") {
    route.settle(probe.ticket, {errc::quota_exhausted, {}, {}}, now);
    CHECK(route.quota_hold(now) == 120s);
    auto at = now + 120s;
    for (auto expected : {240s, 480s, 600s, 600s}) {
      serve(route, errc::quota_exhausted, at);
      CHECK(route.quota_hold(at) == expected);
      at += expected;
    }
  }
  SECTION("what says nothing about the quota lets the next call ask") {
    const auto code = GENERATE(errc::bad_request, errc::rate_limited, errc::cancelled);
    route.settle(probe.ticket, {code, {}, {}}, now);
    CHECK(route.acquire(patient, now).admitted());
    CHECK(route.acquire(patient, now).refused_by == gate_step::quota);
  }
}

TEST_CASE("a provider's Retry-After prolongs the quota hold within its bound", "[flow][gate]") {
  gate route{upstream()};
  const auto [asked, held]
    = GENERATE(table<duration, duration>({{1s, 60s}, {90s, 90s}, {std::chrono::hours{24}, 600s}}));
  serve(route, errc::quota_exhausted, start, asked);
  CHECK(route.quota_hold(start) == held);
}

TEST_CASE("a call that was refused on the way teaches a gate nothing", "[flow][gate]") {
  gate route{upstream()};
  for (int n = 0; n < 100; ++n) {
    const auto call = route.acquire(patient, start);
    REQUIRE(call.admitted());
    route.settle(call.ticket, {errc::rate_limited, 5s, {}, false}, start);
  }
  CHECK(route.would_admit(start));
  CHECK(route.in_flight() == 0);
}

TEST_CASE("a gate in front of others lets a spent quota pass", "[flow][gate]") {
  gate route;
  for (int n = 0; n < 100; ++n)
    serve(route, errc::quota_exhausted, start);
  CHECK(route.would_admit(start));
}

TEST_CASE("a quota probe that the circuit refuses is not spent", "[flow][gate]") {
  auto config = upstream();
  config.quota_hold = 2s;
  gate route{config};
  const auto last = route.acquire(patient, start);
  serve(route, errc::provider_failed, start);
  serve(route, errc::provider_failed, start);
  const auto spent = route.acquire(patient, start);
  route.settle(last.ticket, {errc::provider_failed, 5s, {}}, start);
  route.settle(spent.ticket, {errc::quota_exhausted, {}, {}}, start);
  CHECK(route.acquire(patient, start + 1s).refused_by == gate_step::quota);
  CHECK(route.acquire(patient, start + 3s).refused_by == gate_step::circuit);
  CHECK(route.acquire(patient, start + 4s).refused_by == gate_step::circuit);
  serve(route, errc::none, start + 5s); // The probe of both.
  CHECK(route.would_admit(start + 5s));
}

TEST_CASE("a gate's limit learns from latency and from overload, from nothing else",
          "[flow][gate]") {
  auto config = upstream();
  config.use_limit = true;
  config.use_breaker = false;
  config.limit.limit_initial = 50;
  gate route{config};
  const auto run = [&](errc code, duration latency) {
    auto now = start;
    for (int second = 0; second < 30; ++second, now += 1s) {
      std::vector<std::uint64_t> out;
      for (auto call = route.acquire(patient, now); call.admitted();
           call = route.acquire(patient, now))
        out.push_back(call.ticket);
      for (auto ticket : out)
        route.settle(ticket, {code, {}, latency}, now);
    }
    return route.limit();
  };
  SECTION("answers in time let it grow") {
    CHECK(run(errc::none, 100ms) > 60);
  }
  SECTION("overload shrinks it") {
    CHECK(run(GENERATE(errc::provider_overloaded, errc::rate_limited, errc::deadline_exceeded), {})
          < 10);
  }
  SECTION("the rest leaves it alone") {
    CHECK(run(GENERATE(errc::provider_failed, errc::bad_request, errc::cancelled), 100ms) == 50);
    CHECK(run(errc::none, {}) == 50); // Nothing was measured.
  }
}
