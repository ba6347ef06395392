#include "runtime/telemetry/process_metrics.hpp"
#include "tests/support/catch.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

using namespace skep::telemetry;

TEST_CASE("an opened file shows in the process's usage", "[telemetry][process]") {
  const auto before = read_process_usage();
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  const auto during = read_process_usage();
  close(fds[0]);
  close(fds[1]);
  CHECK(during.open_fds == before.open_fds + 2);
  CHECK(before.threads >= 1);
  CHECK((before.fds_max == 0 || before.fds_max >= before.open_fds));
}

TEST_CASE("touched memory shows in the resident bytes", "[telemetry][process]") {
  const auto before = read_process_usage().resident_bytes;
  constexpr std::size_t size = 32u << 20;
  const auto block = std::make_unique<char[]>(size);
  std::memset(block.get(), 1, size);
  const auto after = read_process_usage().resident_bytes;
  CHECK(block[size / 2] == 1);
  CHECK(after >= before + size / 2);
  // Sanitizers keep shadow memory beside it; a wrong unit would be off by far more.
  CHECK(after < before + 16 * size);
}

TEST_CASE("burned time shows in the cpu seconds", "[telemetry][process]") {
  const auto before = read_process_usage().cpu_seconds;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  auto now = before;
  while (now < before + 0.02 && std::chrono::steady_clock::now() < give_up)
    now = read_process_usage().cpu_seconds;
  CHECK(now >= before + 0.02);
}

TEST_CASE("the start time lies in the recent past", "[telemetry][process]") {
  const auto now
    = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  // btime is whole seconds.
  CHECK(process_start_seconds() <= now + 2);
  CHECK(process_start_seconds() > now - 24 * 3600);
}

TEST_CASE("process metrics are exported under their usual names", "[telemetry][process]") {
  registry r;
  const process_metrics kept{r, build_info{"0.1.0", "release"}};
  const auto families = r.collect();
  const auto has = [&](const char* name, metric_kind kind) {
    return std::any_of(families.begin(), families.end(), [&](const family_snapshot& f) {
      return f.name == name && f.kind == kind && f.series.size() == 1;
    });
  };
  CHECK(has("process_resident_memory_bytes", metric_kind::gauge));
  CHECK(has("process_cpu_seconds_total", metric_kind::counter));
  CHECK(has("process_open_fds", metric_kind::gauge));
  CHECK(has("process_max_fds", metric_kind::gauge));
  CHECK(has("process_threads", metric_kind::gauge));
  CHECK(has("process_start_time_seconds", metric_kind::gauge));
  CHECK(has("skep_build_info", metric_kind::gauge));
  CHECK(has("skep_log_dropped_total", metric_kind::counter));
  CHECK(has("skep_log_queue_depth", metric_kind::gauge));
}
