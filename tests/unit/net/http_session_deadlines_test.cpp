#include "runtime/net/http_session_deadlines.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::net;
using waiting = http_session_deadlines::waiting;

TEST_CASE("pace watch wants a least rate in every window", "[net][http]") {
  const time_point start{};
  pace_watch pace{10s, 100};
  CHECK_FALSE(pace.window_over(start + 24h));
  pace.begin(start, 5000);
  CHECK_FALSE(pace.window_over(start + 9s));
  REQUIRE(pace.window_over(start + 10s));
  CHECK_FALSE(pace.next_window(start + 10s, 5999));
  CHECK(pace.next_window(start + 10s, 6000));
  CHECK_FALSE(pace.window_over(start + 19s));
  // What came in the window before does not count again.
  CHECK_FALSE(pace.next_window(start + 20s, 6999));
  pace.stop();
  CHECK_FALSE(pace.window_over(start + 24h));
}

TEST_CASE("pace watch wants one byte even where no rate is asked for", "[net][http]") {
  pace_watch pace{10s, 0};
  pace.begin(time_point{}, 7);
  CHECK_FALSE(pace.next_window(time_point{} + 10s, 7));
  CHECK(pace.next_window(time_point{} + 10s, 8));
}

TEST_CASE("a body has time for as long as it moves", "[net][http]") {
  http_server_config config;
  config.body_timeout = 30s;
  config.body_rate_min_bytes = 1024;
  http_session_deadlines deadlines{config};
  auto now = time_point{};
  std::uint64_t received = 100;
  deadlines.wait_for(waiting::body, now, received, false);
  for (int i = 0; i < 100; ++i) {
    now += 30s;
    received += 30 * 1024;
    CHECK_FALSE(deadlines.late(now, received));
  }
  CHECK_FALSE(deadlines.late(now + 29s, received));
  CHECK(deadlines.late(now + 30s, received + 30 * 1024 - 1));
}

TEST_CASE("reading a refused request away ends with silence or its time", "[net][http]") {
  http_server_config config;
  config.linger_timeout = 12s;
  http_session_deadlines deadlines{config};
  const time_point start{};
  deadlines.wait_for(waiting::linger, start, 0, false);
  CHECK_FALSE(deadlines.late(start + 4s, 0));
  CHECK(deadlines.late(start + 5s, 0));
  deadlines.wait_for(waiting::linger, start + 4s, 1, false);
  deadlines.wait_for(waiting::linger, start + 8s, 2, false);
  CHECK_FALSE(deadlines.late(start + 11s, 2));
  CHECK(deadlines.late(start + 12s, 3));
  // A drain does not wait for who goes on sending.
  deadlines.wait_for(waiting::linger, start + 9s, 3, true);
  deadlines.wait_for(waiting::linger, start + 10s, 4, true);
  CHECK_FALSE(deadlines.late(start + 10s, 4));
  CHECK(deadlines.late(start + 11s, 5));
}
