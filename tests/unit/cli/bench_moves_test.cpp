#include "cli/bench/expectation.hpp"
#include "cli/bench/runner.hpp"
#include "cli/bench/target_pool.hpp"
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"

#include <atomic>

using namespace skep;
using namespace skep::cli::bench;

namespace {

using server_ptr = std::unique_ptr<net::http_server>;

/// Answers every request with 200, counting them.
server_ptr counting_server(std::atomic<int>& served) {
  auto server
    = net::http_server::start(net::http_server_config{}, [&](net::http_request&&, auto exchange) {
        ++served;
        exchange->respond({200, {{"content-type", "application/json"}}, R"({"choices":[]})"});
      });
  REQUIRE(server);
  return std::move(*server);
}

std::string url_of(const server_ptr& server) {
  return "http://" + server->local_endpoint();
}

/// An address where nobody listens: of a server that is gone.
std::string deserted_url() {
  std::atomic<int> served{0};
  return url_of(counting_server(served));
}

phase_result load(const std::vector<std::string>& targets, std::uint32_t workers,
                  std::uint64_t requests, double stream_share = 0) {
  phase_config phase;
  phase.concurrency = workers;
  phase.requests_max = requests;
  phase.duration = std::chrono::milliseconds{20'000};
  phase.stream_share = stream_share;
  runner to{targets, ""};
  return to.run(phase, 1, [](const progress&) {});
}

} // namespace

TEST_CASE("workers spread over the targets and avoid one that refused for a second",
          "[cli][bench]") {
  const time_point now{1h};
  target_pool pool{{"a", "b", "c"}};
  CHECK(pool.pick(0, now) == 0);
  CHECK(pool.pick(1, now) == 1);
  CHECK(pool.pick(5, now) == 2);
  pool.refused(1, now);
  CHECK(pool.pick(1, now) == 2);
  CHECK(pool.after(0, now) == 2);
  CHECK(pool.pick(1, now + 999ms) == 2);
  CHECK(pool.pick(1, now + 1s) == 1);
}

TEST_CASE("when all targets are avoided a request still goes on to the next one", "[cli][bench]") {
  const time_point now{1h};
  target_pool pool{{"a", "b"}};
  pool.refused(0, now);
  pool.refused(1, now);
  CHECK(pool.pick(0, now) == 0);
  CHECK(pool.after(0, now) == 1);
  CHECK(pool.tries_max() == 4);
  CHECK(target_pool{{"a"}}.tries_max() == 1);
}

TEST_CASE("what a dead target cannot answer moves on and is no error", "[cli][bench]") {
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  const auto one = counting_server(first);
  const auto two = counting_server(second);
  const auto result = load({url_of(one), deserted_url(), url_of(two)}, 6, 60);
  CHECK(result.ok == 60);
  CHECK(result.error_count() == 0);
  CHECK(result.moved > 0);
  CHECK(first > 0);
  CHECK(second > 0);
  CHECK(read_expectation("moved > 0")->holds(result));
}

TEST_CASE("a connection that ends before any answer moves on, too", "[cli][bench]") {
  std::atomic<int> served{0};
  const auto good = counting_server(served);
  auto mute = net::http_server::start(
    net::http_server_config{}, [](net::http_request&&, auto exchange) { exchange->abort(); });
  REQUIRE(mute);
  const auto result = load({url_of(*mute), url_of(good)}, 2, 20);
  CHECK(result.ok == 20);
  CHECK(result.error_count() == 0);
  CHECK(result.moved > 0);
}

TEST_CASE("with every target dead each request is one error after a few tries", "[cli][bench]") {
  const auto result = load({deserted_url(), deserted_url()}, 2, 6);
  CHECK(result.ok == 0);
  CHECK(result.errors.at("refused connection") == 6);
  CHECK(result.moved == 18);
}

TEST_CASE("an error status stays an error and does not move", "[cli][bench]") {
  std::atomic<int> served{0};
  const auto good = counting_server(served);
  auto failing
    = net::http_server::start(net::http_server_config{}, [](net::http_request&&, auto exchange) {
        exchange->respond({502, {}, "{}"});
      });
  REQUIRE(failing);
  const auto result = load({url_of(*failing), url_of(good)}, 2, 20);
  CHECK(result.errors.at("status 502") > 0);
  CHECK(result.moved == 0);
  CHECK(result.ok + result.error_count() == 20);
}

TEST_CASE("a stream that began and is cut is an error of its own kind", "[cli][bench]") {
  auto server
    = net::http_server::start(net::http_server_config{}, [](net::http_request&&, auto exchange) {
        exchange->begin_stream(200, {{"content-type", "text/event-stream"}});
        (void)exchange->write("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n");
        exchange->abort();
      });
  REQUIRE(server);
  const auto result = load({url_of(*server)}, 1, 4, 1.0);
  CHECK(result.errors.at("cut") == 4);
  for (const auto* holds : {"errors = 4", "cut = 4", "broken_streams = 4", "errors_unbegun = 0"})
    CHECK(read_expectation(holds)->holds(result));
}
