#include "cli/bench/expectation.hpp"
#include "cli/bench/node_metrics.hpp"
#include "cli/bench/report.hpp"
#include "cli/bench/runner.hpp"
#include "cli/bench/schedule.hpp"
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"

#include <atomic>
#include <map>
#include <thread>

using namespace skep;
using namespace skep::cli::bench;

TEST_CASE("an expectation is a figure, a comparison and a number", "[cli][bench]") {
  phase_result result;
  result.requests = 10;
  result.ok = 8;
  result.errors["status 503"] = 1;
  result.errors["cut"] = 1;
  result.statuses[503] = 1;
  for (int n = 1; n <= 100; ++n)
    result.latency.record(std::chrono::milliseconds{n});
  result.took = 2s;
  for (const auto* holds : {"errors = 2", "errors <= 2", "unanswered = 1", "refused = 1",
                            "status_503 = 1", "status_429 = 0", "error_rate < 0.3",
                            "throughput = 4", "p99_ms > 90", "p50_ms < 60", "requests>=10"})
    CHECK(read_expectation(holds)->holds(result));
  for (const auto* fails : {"errors = 0", "p99_ms < 50", "throughput > 4", "ok > 8"})
    CHECK(!read_expectation(fails)->holds(result));
}

TEST_CASE("times and shares of nothing meet no expectation", "[cli][bench]") {
  phase_result nothing;
  for (const auto* figure : {"p99_ms", "ttft_p50_ms", "error_rate", "cache_hit_rate",
                             "answered_share", "cache_hit_share"}) {
    INFO(figure);
    const auto below = read_expectation(std::string{figure} + " < 1000");
    CHECK_FALSE(below->measured(nothing));
    CHECK_FALSE(below->holds(nothing));
  }
  CHECK(read_expectation("errors = 0")->holds(nothing)); // A count of nothing is one.
}

TEST_CASE("an expectation nobody can check is refused with its reason", "[cli][bench]") {
  CHECK(read_expectation("p99_ms").error().detail
        == "\"p99_ms\": an expectation reads like p99_ms < 50");
  CHECK(read_expectation("speed > 5").error().detail
        == "\"speed > 5\": there is no figure called \"speed\"");
  CHECK(read_expectation("errors = none").error().detail
        == "\"errors = none\": \"none\" is no number");
}

TEST_CASE("answers are expected by what the cache did for them", "[cli][bench]") {
  phase_result result;
  result.ok = 10;
  result.cache_words = {{"hit", 4}, {"shared", 5}, {"miss", 1}};
  for (const auto* holds : {"cache_hit = 4", "cache_shared_share = 0.5", "cache_miss <= 1",
                            "cache_stale = 0", "cache_semantic_share = 0"})
    CHECK(read_expectation(holds)->holds(result));
  phase_result other;
  other.cache_words = {{"shared", 3}};
  other.node_metrics = {{"calls", 2}};
  result.merge(other);
  CHECK(read_expectation("cache_shared = 8")->holds(result));
  CHECK(read_expectation("metric:calls = 2")->holds(result));
  CHECK(read_expectation("metric:nobody_has_it = 0")->holds(result));
  CHECK_FALSE(read_expectation("cache_guess = 1"));
  CHECK_FALSE(read_expectation("metric: = 1"));
}

TEST_CASE("counters are expected by how far they rose, gauges as they are", "[cli][bench]") {
  metric_sums before;
  before.add(R"({"calls":{"type":"counter","series":[{"value":5},{"value":1}]}})");
  metric_sums after;
  after.add(R"({"calls":{"type":"counter","series":[{"value":9},{"value":1}]},)"
            R"("new":{"type":"counter","series":[{"value":2}]},)"
            R"("open":{"type":"gauge","series":[{"value":3}]},)"
            R"("took":{"type":"histogram","series":[{"count":3}]}})");
  after.add("no JSON at all");
  CHECK(after.since(before)
        == std::map<std::string, double>{{"calls", 4}, {"new", 2}, {"open", 3}});
  after.add(R"({"calls":{"type":"counter","series":[{"value":1}]}})"); // A second node.
  CHECK(after.since(before)["calls"] == 5);
  CHECK(before.since(after)["calls"] == 0); // A node that started again.
}

TEST_CASE("an open loop's starts are evenly spaced", "[cli][bench]") {
  const time_point start{1h};
  arrival_schedule arrivals{start, 100, 50ms};
  std::vector<duration> offsets;
  for (; arrivals.next(); arrivals.taken())
    offsets.push_back(*arrivals.next() - start);
  CHECK(offsets == std::vector<duration>{0ms, 10ms, 20ms, 30ms, 40ms});
}

TEST_CASE("zipf prompts are uneven, unique ones are not alike, lists go round", "[cli][bench]") {
  phase_config phase;
  phase.prompts = prompt_mix::zipf;
  phase.zipf_keys = 100;
  prompt_source popular{phase, 7};
  std::map<std::string, int> seen;
  for (int n = 0; n < 10'000; ++n)
    ++seen[popular.next()];
  CHECK(seen.size() > 80);
  CHECK(seen["prompt 0"] > 10 * seen["prompt 50"]);
  phase.prompts = prompt_mix::unique;
  prompt_source unique{phase, 7};
  CHECK(unique.next() != unique.next());
  phase.prompts = prompt_mix::list;
  phase.prompt_list = {"a", "b"};
  prompt_source list{phase, 7};
  CHECK(list.next() + list.next() + list.next() == "aba");
}

TEST_CASE("an open loop tells the truth about a server that stalls", "[cli][bench]") {
  // Answers at once, but for 300 ms in every second it answers nobody: a tenth of all who come then
  // wait more than 200 ms, which a closed loop would hide.
  const auto start = skep::clock::now();
  std::atomic<bool> stop{false};
  std::vector<std::thread> waiting;
  net::http_server_config config;
  config.threads = 1;
  auto server = net::http_server::start(config, [&](net::http_request&&, auto exchange) {
    const auto into_second = (skep::clock::now() - start) % 1s;
    const auto stalled_until = skep::clock::now() + (300ms - into_second);
    if (into_second < 300ms)
      std::this_thread::sleep_until(stalled_until); // tidy: allow sleep, the server stalls
    exchange->respond({200, {{"content-type", "application/json"}}, R"({"choices":[]})"});
  });
  REQUIRE(server);
  phase_config phase;
  phase.rate_per_s = 200;
  phase.duration = std::chrono::milliseconds{3000};
  runner to{{"http://" + (*server)->local_endpoint()}, ""};
  const auto result = to.run(phase, 1, [](const progress&) {});
  CHECK(result.error_count() == 0);
  CHECK(result.ok == 600);
  CHECK(*figure_of(result, "p50_ms") < 100);
  CHECK(*figure_of(result, "p90_ms") > 120);
  CHECK(*figure_of(result, "p90_ms") < 300);
}

TEST_CASE("what the server answers is counted by kind", "[cli][bench]") {
  std::atomic<int> number{0};
  net::http_server_config config;
  auto server = net::http_server::start(config, [&](net::http_request&&, auto exchange) {
    switch (number++ % 4) {
      case 0:
        exchange->respond({200, {{"cache-status", "skep; hit; ttl=1"}}, R"({"choices":[]})"});
        break;
      case 1: exchange->respond({503, {{"retry-after", "1"}}, "{}"}); break;
      case 2: exchange->respond({503, {}, "{}"}); break;
      default:
        exchange->begin_stream(200, {});
        exchange->abort();
        break;
    }
  });
  REQUIRE(server);
  phase_config phase;
  phase.concurrency = 1;
  phase.requests_max = 8;
  runner to{{"http://" + (*server)->local_endpoint()}, ""};
  const auto result = to.run(phase, 1, [](const progress&) {});
  CHECK(result.requests == 8);
  CHECK(result.ok == 2);
  CHECK(result.cache_hits == 2);
  CHECK(result.statuses.at(503) == 4);
  CHECK(result.refused_without_retry_after == 2);
  CHECK(result.unanswered() == 2);
  CHECK(table_of({result}).find("load") != std::string::npos);
}
