#include "runtime/telemetry/system_probe.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::telemetry;

TEST_CASE("processor times are read from the first line of /proc/stat", "[telemetry][probe]") {
  const auto times = parse_cpu_times("cpu  100 20 30 800 50 1 2 7 40 5\ncpu0 1 1 1 1\nintr 9\n");
  REQUIRE(times);
  CHECK(times->total == 100 + 20 + 30 + 800 + 50 + 1 + 2 + 7);
  CHECK(times->busy == 100 + 20 + 30 + 1 + 2 + 7);
  // An old kernel has the first four only.
  const auto few = parse_cpu_times("cpu  1 2 3 4");
  REQUIRE(few);
  CHECK(few->total == 10);
  CHECK(few->busy == 6);
  for (const auto* text :
       {"", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3", "cpu  a b c d", "intr 1\ncpu  1 2 3 4"})
    CHECK_FALSE(parse_cpu_times(text));
}

TEST_CASE("memory is read from /proc/meminfo", "[telemetry][probe]") {
  const auto memory = parse_memory("MemTotal:       16000 kB\nMemFree:          100 kB\n"
                                   "MemAvailable:    4000 kB\nBuffers: 1 kB\n");
  REQUIRE(memory);
  CHECK(memory->total == 16000u * 1024);
  CHECK(memory->available == 4000u * 1024);
  CHECK(parse_memory("MemTotal: 10 kB\nMemAvailable: 20 kB\n")->available == 10u * 1024);
  CHECK_FALSE(parse_memory("MemTotal: 16000 kB\n"));
  CHECK_FALSE(parse_memory("MemTotalX: 1 kB\nMemAvailable: 1 kB\n"));
  CHECK_FALSE(parse_memory("MemTotal: many kB\nMemAvailable: 1 kB\n"));
  CHECK_FALSE(parse_memory(""));
}

TEST_CASE("processor shares are those between two samples", "[telemetry][probe]") {
  const time_point start{};
  const cpu_sample before{start, {1000, 4000}, 10.0};
  const cpu_sample after{start + 5s, {1300, 5000}, 12.5};
  const auto usage = usage_between(before, after, 4);
  CHECK(usage.machine_percent == Approx(30));
  CHECK(usage.process_percent == Approx(12.5)); // 2.5 s of 5 s on four cores.
  CHECK(usage_between(after, before, 4).machine_percent == 0);
  CHECK(usage_between(before, before, 4).process_percent == 0);
  // The clock of the process is finer than the machine's; a share never passes the whole.
  CHECK(usage_between(before, {start + 5s, {1300, 5000}, 99.0}, 1).process_percent == 100);
}

TEST_CASE("percentages of nothing are zero", "[telemetry][probe]") {
  CHECK(percent_of(1, 0) == 0);
  CHECK(percent_of(1, 4) == 25);
  CHECK(percent_of(5, 4) == 100);
}

TEST_CASE("this machine has memory, a disk and, after two samples, processor shares",
          "[telemetry][probe]") {
  system_probe probe{"."};
  const auto start = clock::now();
  CHECK(probe.usage().cpu_seconds == 0);
  probe.sample(start);
  CHECK(probe.usage().cpu_seconds == 0);
  probe.sample(start + 2s);
  const auto usage = probe.usage();
  CHECK(usage.cpu_seconds == Approx(2));
  CHECK(usage.cpu.machine_percent >= 0);
  CHECK(usage.cpu.machine_percent <= 100);
  CHECK(usage.cores >= 1);
  CHECK(usage.memory_total > usage.memory_used);
  CHECK(usage.memory_used > 0);
  CHECK(usage.process_resident > 0);
  CHECK(usage.disk_total >= usage.disk_used);
  CHECK(usage.disk_total > 0);
  CHECK(system_probe{"/no/such/folder"}.usage().disk_total == 0);
}
