#include "actors/gateway/health.hpp"
#include "actors/gateway/performance_monitor.hpp"
#include "actors/gateway/pool_advice.hpp"
#include "runtime/config/loader.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;
using Catch::Matchers::Contains;

namespace {

/// A pool of 100 that did well for five minutes.
pool_figures calm_pool() {
  pool_figures p;
  p.name = "helper";
  p.size = 20;
  p.idle = 15;
  p.size_max = 100;
  p.idle_min = 4;
  p.idle_ttl_seconds = 60;
  p.busy_peak = 12;
  p.window_seconds = 300;
  p.checkouts = 1000;
  return p;
}

advice only(const std::vector<advice>& all) {
  REQUIRE(all.size() == 1);
  return all.front();
}

request_summary ended(int status, errc error = errc::none, duration took = 10ms,
                      endpoint what = endpoint::chat) {
  request_summary done;
  const endpoint_table endpoints;
  done.is(endpoints.find(label_of(what)));
  done.status = status;
  done.error = error;
  done.total = took;
  done.usage.prompt = 5;
  done.usage.completion = 2;
  return done;
}

const time_point start = time_point{} + 1000s;

} // namespace

TEST_CASE("a pool that does well gets no advice", "[actors][gateway][performance]") {
  CHECK(advise(calm_pool()).empty());
  auto unused = calm_pool();
  unused.checkouts = 0;
  unused.busy_peak = 0;
  CHECK(advise(unused).empty());
}

TEST_CASE("refused calls ask for a larger pool, in proportion to what was offered",
          "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.refused = 500;
  p.busy_peak = 100;
  const auto found = only(advise(p));
  CHECK(found.rule == "refused");
  CHECK(found.option == "agent.helper.pool.size_max");
  CHECK(found.proposed == 180); // 100 * 1500 / 1000 * 1.2
  CHECK_THAT(found.reason, Contains("500 of 1500 calls were refused in the last 300 s"));
  CHECK_THAT(found.reason, Contains("all 100 instances"));
  // No step is larger than fourfold, however bad it is, and none is nothing.
  p.checkouts = 1;
  CHECK(only(advise(p)).proposed == 400);
  p.size_max = 1;
  p.busy_peak = 1;
  p.checkouts = 1000;
  p.refused = 1;
  CHECK(only(advise(p)).proposed == 2);
}

TEST_CASE("a pool that was nearly full is named before it refuses",
          "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.busy_peak = 90;
  const auto found = only(advise(p));
  CHECK(found.rule == "nearly_full");
  CHECK(found.proposed == 120);
  CHECK_THAT(found.reason, Contains("up to 90 of 100"));
}

TEST_CASE("instances ended and started over and over are named", "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.spawned = 150;
  p.evicted = 140;
  const auto found = only(advise(p));
  CHECK(found.rule == "churn");
  CHECK(found.option == "agent.helper.pool.idle_min");
  CHECK(found.proposed == 15);
  CHECK_THAT(found.reason, Contains("idle_ttl_ms above 60000"));
  p.evicted = 9;
  CHECK(advise(p).empty());
}

TEST_CASE("many instances kept for nobody are named, once that is known for long enough",
          "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.idle_min = 64;
  CHECK(only(advise(p)).rule == "idle");
  CHECK(only(advise(p)).proposed == 15);
  p.window_seconds = 30;
  CHECK(advise(p).empty());
}

TEST_CASE("instances that crash are named, without an option to turn",
          "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.discarded = 60;
  const auto found = only(advise(p));
  CHECK(found.rule == "crashes");
  CHECK(found.option.empty());
  CHECK(found.proposed == 0);
}

TEST_CASE("a pass-through pool has no option of its own", "[actors][gateway][performance]") {
  auto p = calm_pool();
  p.name = "model/openai";
  p.refused = 1;
  CHECK(only(advise(p)).option.empty());
}

TEST_CASE("connections are named when calls were refused, wait, or lose theirs",
          "[actors][gateway][performance]") {
  connection_figures p;
  p.name = "fetch/api.example";
  p.size = 10;
  p.in_use = 10;
  p.window_seconds = 300;
  p.waiting = 5;
  CHECK(advise(p).empty());
  p.waiting = 11;
  CHECK(only(advise(p)).rule == "waiting");
  p.refused = 3;
  CHECK(only(advise(p)).rule == "refused");
  p.refused = 0;
  p.waiting = 0;
  p.lost = 5;
  CHECK(only(advise(p)).rule == "lost");
}

TEST_CASE("values are graded in four bands, whichever way is better",
          "[actors][gateway][performance]") {
  const slo_bands latency{200, 500, 1000};
  CHECK(grade_of(0, latency) == slo_grade::excellent);
  CHECK(grade_of(200, latency) == slo_grade::excellent);
  CHECK(grade_of(200.1, latency) == slo_grade::target);
  CHECK(grade_of(500.1, latency) == slo_grade::watch);
  CHECK(grade_of(1000, latency) == slo_grade::watch);
  CHECK(grade_of(1000.1, latency) == slo_grade::action);
  const slo_bands success{99.9, 99, 98};
  CHECK(grade_of(100, success) == slo_grade::excellent);
  CHECK(grade_of(99.5, success) == slo_grade::target);
  CHECK(grade_of(98, success) == slo_grade::watch);
  CHECK(grade_of(97.9, success) == slo_grade::action);
}

TEST_CASE("a node is as well as its worst part, and says why", "[actors][gateway][performance]") {
  std::vector<component_health> parts{{"node", health::healthy, {}},
                                      {"provider/a", health::healthy, {}}};
  CHECK(judge(parts, {}).status == health::healthy);
  CHECK(judge(parts, {}).reasons.empty());
  parts[1] = {"provider/a", health::degraded, "circuit_open"};
  CHECK(judge(parts, {}).status == health::degraded);
  CHECK(judge(parts, {}).reasons == std::vector<std::string>{"provider/a: circuit_open"});
  parts[0] = {"node", health::unhealthy, "is draining"};
  CHECK(judge(parts, {}).status == health::unhealthy);
}

TEST_CASE("an indicator past its action band degrades the node, one without samples does not",
          "[actors][gateway][performance]") {
  const slo_bands latency{200, 500, 1000};
  const std::vector<component_health> fine{{"node", health::healthy, {}}};
  const auto slow = judge(fine, {graded("response_time_p95_ms", 1500, latency, true)});
  CHECK(slow.status == health::degraded);
  CHECK(slow.reasons == std::vector<std::string>{"response_time_p95_ms is 1500, past 1000"});
  CHECK(judge(fine, {graded("response_time_p95_ms", 1500, latency, false)}).status
        == health::healthy);
  CHECK(judge(fine, {graded("response_time_p95_ms", 999, latency, true)}).status
        == health::healthy);
}

TEST_CASE("a node none of whose providers takes calls is unhealthy",
          "[actors][gateway][performance]") {
  std::vector<component_health> parts{{"node", health::healthy, {}}};
  judge_providers(parts);
  CHECK(parts.size() == 1); // It has none: then it is no fault of theirs.
  parts.push_back({"provider/a", health::degraded, "circuit_open"});
  parts.push_back({"provider/a/0", health::healthy, {}});
  parts.push_back({"provider/b", health::healthy, {}});
  judge_providers(parts);
  CHECK(judge(parts, {}).status == health::degraded);
  parts[3].status = health::degraded;
  judge_providers(parts);
  CHECK(judge(parts, {}).status == health::unhealthy);
  CHECK(parts.back().reason == "none of 2 takes calls");
}

TEST_CASE("traffic is told apart by whose fault its end was", "[actors][gateway][performance]") {
  telemetry::registry metrics;
  performance_monitor monitor{metrics, ".", start};
  monitor.ended(ended(200), start);
  monitor.ended(ended(200, errc::stream_cut), start);
  monitor.ended(ended(500, errc::actor_failed), start);
  monitor.ended(ended(429, errc::rate_limited), start);
  monitor.ended(ended(504, errc::deadline_exceeded), start);
  monitor.ended(ended(400, errc::bad_request), start);
  monitor.ended(ended(499, errc::cancelled), start);
  monitor.ended(ended(200, errc::none, 1ms, endpoint::health), start); // A probe.
  const auto view = monitor.view(start + 30s);
  CHECK(view.lately.requests == 7);
  CHECK(view.lately.succeeded == 1);
  CHECK(view.lately.failed == 3);
  CHECK(view.lately.timed_out == 1);
  CHECK(view.lately.client_faults == 2);
  CHECK(view.lately.judged() == 5);
  CHECK(view.lately.prompt_tokens == 35);
  CHECK(view.lately.completion_tokens == 14);
  CHECK(view.lately_covers == 30s);
  const auto later = monitor.view(start + 10min);
  CHECK(later.lately.requests == 0);
  CHECK(later.lately_covers == 1min);
  CHECK(later.since_start.requests == 7);
}

TEST_CASE("response times are those of the window and those since the start",
          "[actors][gateway][performance]") {
  telemetry::registry metrics;
  performance_monitor monitor{metrics, ".", start};
  for (int n = 0; n < 100; ++n)
    monitor.ended(ended(200, errc::none, 1000ms), start);
  for (int n = 0; n < 100; ++n)
    monitor.ended(ended(200, errc::none, 10ms), start + 2min);
  const auto view = monitor.view(start + 2min);
  CHECK(static_cast<double>(view.lately.response_time.quantile(0.99)) == Approx(10e6).epsilon(.04));
  CHECK(static_cast<double>(view.since_start.response_time.quantile(0.99))
        == Approx(1e9).epsilon(.04));
}

TEST_CASE("samples are taken when they are due, whoever asks", "[actors][gateway][performance]") {
  telemetry::registry metrics;
  auto& calls = metrics.counter("skep_provider_requests_total", "Calls.", {{"provider", "p"}});
  performance_monitor monitor{metrics, ".", start};
  monitor.sample(start);
  calls.add(5);
  monitor.sample(start + 1s); // Not due.
  CHECK(monitor.view(start + 1s).system.cpu_seconds == 0);
  monitor.sample(start + 5s);
  CHECK(monitor.view(start + 5s).system.cpu_seconds == 5);
  const auto view = monitor.view(start + 10s);
  CHECK(view.minute.covered() == 10s);
  CHECK(view.minute.sum(metric::provider_requests) == 5);
}

TEST_CASE("thresholds out of order are refused", "[actors][gateway][performance]") {
  config::schema accepted;
  accepted.section("slo", config::cardinality::one, slo_table(), "Thresholds.");
  config::sources from;
  from.file = "t.toml";
  from.text = "[slo.latency_p95]\nexcellent = 2000\ntarget = 4000\naction = 9000\n";
  const auto read = config::load(accepted, from);
  REQUIRE(read);
  CHECK(read->get<slo_config>("slo").latency_p95_ms.action == 9000);
  CHECK(read->get<slo_config>("slo").latency_p99_ms.action == 2000);
  from.text = "[slo.latency_p95]\naction = 1\n";
  const auto refused = config::load(accepted, from);
  REQUIRE_FALSE(refused);
  CHECK_THAT(to_string(refused.error()), Contains("must lie between excellent and action"));
}
