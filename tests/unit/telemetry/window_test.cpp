#include "runtime/telemetry/window_history.hpp"
#include "runtime/telemetry/window_ring.hpp"
#include "tests/support/catch.hpp"

#include <random>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::telemetry;

namespace {

struct tally {
  std::uint64_t count = 0;
  void merge(const tally& other) {
    count += other.count;
  }
};

const time_point start = time_point{} + 1000s;
constexpr metric_info calls_total{"calls_total", "Calls."};

} // namespace

TEST_CASE("a window holds what happened in it and forgets by itself", "[telemetry][window]") {
  window_ring<tally> ring{60s, 12};
  CHECK(ring.window() == 60s);
  CHECK(ring.sum(start).count == 0);
  ring.at(start).count += 3;
  ring.at(start + 30s).count += 4;
  CHECK(ring.sum(start + 30s).count == 7);
  CHECK(ring.sum(start + 54s).count == 7);
  CHECK(ring.sum(start + 61s).count == 4);
  CHECK(ring.sum(start + 95s).count == 0);
  // A slot used again begins anew.
  ring.at(start + 60s).count += 1;
  CHECK(ring.sum(start + 60s).count == 5);
}

TEST_CASE("a time slightly older than the newest finds its slot, a very old one the newest",
          "[telemetry][window]") {
  window_ring<tally> ring{60s, 12};
  ring.at(start + 20s).count += 1;
  ring.at(start + 12s).count += 1;
  CHECK(ring.sum(start + 20s).count == 2);
  CHECK(ring.sum(start + 74s).count == 1); // The older one's slot is gone.
  ring.at(start - 500s).count += 1;
  CHECK(ring.sum(start + 74s).count == 2);
}

TEST_CASE("a window agrees with a list of all events", "[telemetry][window]") {
  std::mt19937_64 random{7};
  window_ring<tally> ring{10s, 10};
  std::vector<time_point> all;
  auto now = start;
  for (int n = 0; n < 5000; ++n) {
    now += std::chrono::milliseconds{random() % 200};
    ++ring.at(now).count;
    all.push_back(now);
    if (n % 97 != 0)
      continue;
    const auto slot = now.time_since_epoch() / 1s;
    std::uint64_t expected = 0;
    for (const auto at : all)
      expected += at.time_since_epoch() / 1s > slot - 10 ? 1 : 0;
    REQUIRE(ring.sum(now).count == expected);
  }
}

TEST_CASE("a history tells what counters grew by", "[telemetry][window]") {
  registry metrics;
  auto& calls = metrics.counter("calls_total", "Calls.", {{"agent", "a"}});
  auto& gauge = metrics.gauge("size", "Size.");
  metrics.histogram("took_seconds", "Time.").record(1s);
  window_history history{60s};
  CHECK(history.growth(start, 60s, metrics.collect()).covered == 0s);
  CHECK(history.growth(start, 60s, metrics.collect()).series.empty());

  calls.add(10);
  gauge.set(5);
  history.add(start, metrics.collect());
  calls.add(7);
  history.add(start + 20s, metrics.collect());
  auto& late = metrics.counter("calls_total", "Calls.", {{"agent", "b"}});
  late.add(2);
  calls.add(1);

  const auto all = history.growth(start + 30s, 60s, metrics.collect());
  CHECK(all.covered == 30s);
  CHECK(sum_of(all.series, calls_total) == 10);
  CHECK(sum_of(all.series, calls_total, "a") == 8);
  CHECK(sum_of(all.series, calls_total, "b") == 2); // It was not there before.
  CHECK_FALSE(find_sum(all.series, {"took_seconds", ""}));
  CHECK_FALSE(find_sum(all.series, {"nothing_total", ""}));
  const auto lately = history.growth(start + 30s, 10s, metrics.collect());
  CHECK(lately.covered == 10s);
  CHECK(sum_of(lately.series, calls_total, "a") == 1);
}

TEST_CASE("a counter that begins anew counts from zero", "[telemetry][window]") {
  double shown = 100;
  registry metrics;
  const auto kept
    = metrics.counter_callback("calls_total", "Calls.", {}, [&shown] { return shown; });
  window_history history{60s};
  history.add(start, metrics.collect());
  shown = 3;
  CHECK(sum_of(history.growth(start + 5s, 60s, metrics.collect()).series, calls_total) == 3);
}

TEST_CASE("a history keeps no more than its window needs", "[telemetry][window]") {
  registry metrics;
  auto& calls = metrics.counter("calls_total", "Calls.");
  window_history history{60s};
  for (int n = 0; n < 100; ++n) {
    calls.inc();
    history.add(start + n * 5s, metrics.collect());
  }
  const auto grown = history.growth(start + 495s, 60s, metrics.collect());
  CHECK(grown.covered == 60s);
  CHECK(sum_of(grown.series, calls_total) == 12);
  // Asked for more than is kept, it says how much it covers.
  CHECK(history.growth(start + 495s, 600s, metrics.collect()).covered == 60s);
}

TEST_CASE("only the metrics asked for are collected", "[telemetry][registry]") {
  registry metrics;
  metrics.counter("one_total", "One.").inc();
  int read = 0;
  const auto kept = metrics.gauge_callback("two", "Two.", {}, [&read] { return ++read; });
  const auto shown = metrics.collect_if([](std::string_view name) { return name == "one_total"; });
  REQUIRE(shown.size() == 1);
  CHECK(shown.front().name == "one_total");
  CHECK(read == 0);
  metrics.collect();
  CHECK(read == 1);
}
