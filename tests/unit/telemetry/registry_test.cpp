#include "runtime/telemetry/registry.hpp"
#include "tests/support/catch.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

namespace {

using namespace skep::telemetry;

/// The value of a counter or gauge series, as a double; nothing when it is not there.
std::optional<double> value_of(const registry& r, const std::string& name,
                               const label_set& labels = {}) {
  for (const auto& f : r.collect())
    for (const auto& s : f.series)
      if (f.name == name && s.labels == labels) {
        if (const auto* n = std::get_if<std::uint64_t>(&s.value))
          return static_cast<double>(*n);
        if (const auto* i = std::get_if<std::int64_t>(&s.value))
          return static_cast<double>(*i);
        if (const auto* d = std::get_if<double>(&s.value))
          return *d;
      }
  return std::nullopt;
}

/// Does `act` abort? Run in a child process whose stderr goes nowhere.
template <class F>
bool aborts(F act) {
  const auto child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    if (std::freopen("/dev/null", "w", stderr) == nullptr)
      _exit(2);
    act();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

} // namespace

TEST_CASE("counters are exact under four threads", "[telemetry][registry]") {
  registry r;
  auto& hits = r.counter("test_hits_total", "Hits.");
  auto& level = r.gauge("test_level", "Level.");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50'000; ++i) {
        hits.inc();
        level.add(3);
        level.dec();
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(hits.value() == 200'000);
  CHECK(level.value() == 400'000);
  CHECK(value_of(r, "test_hits_total") == 200'000.0);
}

TEST_CASE("registering again gives the same handle, whatever the order of labels",
          "[telemetry][registry]") {
  registry r;
  auto& first = r.counter("test_total", "Help.", {{"a", "1"}, {"b", "2"}});
  first.add(5);
  auto& again = r.counter("test_total", "Other help.", {{"b", "2"}, {"a", "1"}});
  CHECK(&first == &again);
  CHECK(again.value() == 5);
  CHECK(&r.counter("test_total", "Help.", {{"a", "1"}, {"b", "3"}}) != &first);
  CHECK(&r.gauge("test_level", "L.") == &r.gauge("test_level", "L."));
  CHECK(&r.histogram("test_seconds", "S.") == &r.histogram("test_seconds", "S."));
}

TEST_CASE("threads that register the same series at once share one handle",
          "[telemetry][registry]") {
  registry r;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&r] {
      for (int i = 0; i < 500; ++i)
        r.counter("test_total", "Help.", {{"n", std::to_string(i % 50)}}).inc();
    });
  for (auto& t : threads)
    t.join();
  for (int n = 0; n < 50; ++n)
    CHECK(value_of(r, "test_total", {{"n", std::to_string(n)}}) == 40.0);
}

TEST_CASE("misused names abort, for they are bugs", "[telemetry][registry]") {
  registry r;
  r.counter("test_total", "Help.");
  r.histogram("test_seconds", "Help.");
  CHECK_FALSE(aborts([&] { r.counter("test_total", "Help."); }));
  CHECK(aborts([&] { r.gauge("test_total", "Help."); }));
  CHECK(aborts([&] { r.counter("test_seconds_count", "Taken by the histogram."); }));
  CHECK(aborts([&] { r.counter("test-total", "A bad character."); }));
  CHECK(aborts([&] { r.counter("1st_total", "A leading digit."); }));
  CHECK(aborts([&] { r.counter("x_total", "A bad label.", {{"a-b", "1"}}); }));
  CHECK(aborts([&] { r.counter("x_total", "A label twice.", {{"a", "1"}, {"a", "2"}}); }));
  CHECK(aborts([&] { r.histogram("x_seconds", "A label of ours.", {{"le", "1"}}); }));
}

TEST_CASE("a callback is read at collection until its registration ends", "[telemetry][registry]") {
  registry r;
  double level = 0.25;
  {
    auto kept = r.gauge_callback("test_ratio", "Ratio.", {}, [&] { return level; });
    CHECK(value_of(r, "test_ratio") == 0.25);
    level = 0.75;
    CHECK(value_of(r, "test_ratio") == 0.75);
    auto moved = std::move(kept);
    CHECK(value_of(r, "test_ratio") == 0.75);
  }
  CHECK_FALSE(value_of(r, "test_ratio"));
}

TEST_CASE("the newest callback of a series wins and the old one's end does not remove it",
          "[telemetry][registry]") {
  registry r;
  auto old = r.gauge_callback("test_ratio", "Ratio.", {{"a", "1"}}, [] { return 1.0; });
  auto fresh = r.gauge_callback("test_ratio", "Ratio.", {{"a", "1"}}, [] { return 2.0; });
  CHECK(value_of(r, "test_ratio", {{"a", "1"}}) == 2.0);
  old = registration{};
  CHECK(value_of(r, "test_ratio", {{"a", "1"}}) == 2.0);
  fresh = r.gauge_callback("test_ratio", "Ratio.", {{"a", "1"}}, [] { return 3.0; });
  CHECK(value_of(r, "test_ratio", {{"a", "1"}}) == 3.0);
}

TEST_CASE("a callback that throws is left out and the others stay", "[telemetry][registry]") {
  registry r;
  auto bad = r.gauge_callback("test_bad", "Bad.", {},
                              []() -> double { throw std::runtime_error{"gone"}; });
  auto good = r.counter_callback("test_good_total", "Good.", {}, [] { return 4.0; });
  CHECK_FALSE(value_of(r, "test_bad"));
  CHECK(value_of(r, "test_good_total") == 4.0);
}

TEST_CASE("a callback may register metrics", "[telemetry][registry]") {
  registry r;
  auto kept = r.gauge_callback("test_level", "Level.", {}, [&r] {
    r.counter("test_reads_total", "Reads.").inc();
    return 1.0;
  });
  CHECK(value_of(r, "test_level") == 1.0);
  CHECK(value_of(r, "test_reads_total") == 1.0);
}

TEST_CASE("no callback runs once its registration has ended", "[telemetry][registry]") {
  registry r;
  std::atomic<bool> stop{false};
  std::thread collector{[&] {
    while (!stop)
      r.collect();
  }};
  for (int i = 0; i < 300; ++i) {
    auto alive = std::make_unique<double>(1.0);
    auto kept = r.gauge_callback("test_level", "Level.", {}, [p = alive.get()] { return *p; });
    r.collect();
    kept = registration{};
    alive.reset(); // A late call would read freed memory: asan and tsan watch.
  }
  stop = true;
  collector.join();
  CHECK_FALSE(value_of(r, "test_level"));
}

TEST_CASE("a registration may outlive its registry", "[telemetry][registry]") {
  registration kept;
  {
    registry r;
    kept = r.gauge_callback("test_level", "Level.", {}, [] { return 1.0; });
  }
  kept = registration{};
  SUCCEED();
}

TEST_CASE("past the bound new series share one and are counted", "[telemetry][registry]") {
  registry r{registry_config{.series_max = 3}};
  for (int i = 0; i < 10; ++i)
    r.counter("test_total", "Help.", {{"n", std::to_string(i)}}).inc();
  CHECK(value_of(r, "test_total", {{"n", "2"}}) == 1.0);
  CHECK_FALSE(value_of(r, "test_total", {{"n", "3"}}));
  CHECK(value_of(r, "test_total", {{"overflow", "true"}}) == 7.0);
  CHECK(value_of(r, "skep_telemetry_series_refused_total") == 7.0);
}

TEST_CASE("ended callbacks make room under the bound", "[telemetry][registry]") {
  registry r{registry_config{.series_max = 2}};
  for (int i = 0; i < 6; ++i) {
    const label_set labels{{"n", std::to_string(i)}};
    auto kept = r.gauge_callback("test_level", "Level.", labels, [] { return 1.0; });
    CHECK(value_of(r, "test_level", labels) == 1.0);
  }
  auto a = r.gauge_callback("test_level", "Level.", {{"n", "a"}}, [] { return 1.0; });
  auto b = r.gauge_callback("test_level", "Level.", {{"n", "b"}}, [] { return 1.0; });
  auto c = r.gauge_callback("test_level", "Level.", {{"n", "c"}}, [] { return 1.0; });
  CHECK_FALSE(value_of(r, "test_level", {{"n", "c"}}));
  CHECK(value_of(r, "skep_telemetry_series_refused_total") == 1.0);
}

TEST_CASE("the default boundaries are those of the GenAI durations", "[telemetry][registry]") {
  const auto bounds = duration_boundaries();
  REQUIRE(bounds.size() == 14);
  CHECK(bounds.front() == 0.01);
  CHECK(bounds[3] == 0.08);
  CHECK(bounds.back() == 81.92);
}
