#include "cli/bench/expectation.hpp"
#include "cli/bench/runner.hpp"
#include "cli/bench/workload.hpp"
#include "runtime/net/http_server.hpp"
#include "tests/support/catch.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

using namespace skep;
using namespace skep::cli::bench;

namespace {

const std::string typed
  = R"({"error":{"message":"later","type":"requests","param":null,"code":null}})";
const std::string chunk = R"(data: {"choices":[{"delta":{"content":"a"}}]})"
                          "\n\n";

/// Runs `count` requests, one after the other, against a server that answers as `answer` says.
phase_result run_against(std::uint64_t count, phase_config phase,
                         const std::function<void(int, net::http_exchange&)>& answer) {
  std::atomic<int> number{0};
  std::mutex mutex;
  std::vector<std::shared_ptr<net::http_exchange>> kept; // Those that are never answered.
  auto server = net::http_server::start({}, [&](net::http_request&&, auto exchange) {
    answer(number++, *exchange);
    std::lock_guard guard{mutex};
    kept.push_back(std::move(exchange));
  });
  REQUIRE(server);
  phase.concurrency = 1;
  phase.requests_max = count;
  runner to{{"http://" + (*server)->local_endpoint()}, ""};
  auto result = to.run(phase, 1, [](const progress&) {});
  (*server)->stop();
  return result;
}

/// What loading a workload of this text says about it.
tl::expected<workload, config::diagnostics> workload_of(const std::string& text) {
  const auto path = std::filesystem::temp_directory_path()
                    / ("skep-workload-" + std::to_string(std::hash<std::string>{}(text)) + ".toml");
  std::ofstream{path} << text;
  auto read = load_workload(path.string());
  std::filesystem::remove(path);
  return read;
}

} // namespace

TEST_CASE("answers and typed errors count as answered, all else does not", "[cli][bench]") {
  const auto result = run_against(6, {}, [](int n, net::http_exchange& exchange) {
    switch (n) {
      case 0: return exchange.respond({200, {}, R"({"choices":[]})"});
      case 1: return exchange.respond({429, {}, typed});
      case 2: return exchange.respond({502, {}, "<html>Bad Gateway</html>"});
      case 3: return exchange.respond({200, {}, R"({"choices":[)"});
      case 4: return exchange.respond({500, {}, R"({"error":"plain"})"});
      default: exchange.begin_stream(200, {}); return exchange.abort();
    }
  });
  CHECK(result.ok == 1);
  CHECK(result.typed_errors == 1);
  CHECK(*figure_of(result, "untyped_errors") == 4);
  CHECK(*figure_of(result, "answered_share") == Approx(2.0 / 6));
  CHECK(result.errors.at("malformed") == 1);
}

TEST_CASE("a stream that tells of its error before it breaks off is answered", "[cli][bench]") {
  phase_config phase;
  phase.stream_share = 1;
  const auto result = run_against(3, phase, [](int n, net::http_exchange& exchange) {
    exchange.begin_stream(200, {{"content-type", "text/event-stream"}});
    CHECK(exchange.write(chunk));
    if (n == 0)
      CHECK(exchange.write("data: " + typed + "\n\n"));
    if (n == 2)
      CHECK(exchange.write("data: [DONE]\n\n"));
    n == 2 ? exchange.end() : exchange.abort();
  });
  CHECK(result.ok == 1);
  CHECK(result.typed_errors == 1);
  CHECK(result.broken_streams == 2);
  CHECK(*figure_of(result, "answered_share") == Approx(2.0 / 3));
}

TEST_CASE("what ends well behind its deadline is late, however it ends", "[cli][bench]") {
  phase_config phase;
  phase.deadline = std::chrono::milliseconds{50};
  phase.timeout = std::chrono::milliseconds{400};
  const auto result = run_against(2, phase, [](int n, net::http_exchange& exchange) {
    if (n == 0)
      exchange.respond({200, {}, R"({"choices":[]})"});
  });
  CHECK(result.ok == 1);
  CHECK(result.late == 1);
  CHECK(*figure_of(result, "answered_share") == 0.5);
  phase_result other;
  other.merge(result);
  CHECK(other.answered == 1);
  CHECK(other.late == 1);
}

TEST_CASE("the node is told the deadline", "[cli][bench]") {
  phase_config phase;
  phase.deadline = std::chrono::milliseconds{5'000};
  std::atomic<int> told{0};
  auto server = net::http_server::start({}, [&](net::http_request&& request, auto exchange) {
    told = std::stoi("0" + std::string{request.header("x-request-timeout-ms")});
    exchange->respond({200, {}, R"({"choices":[]})"});
  });
  REQUIRE(server);
  phase.concurrency = 1;
  phase.requests_max = 1;
  runner to{{"http://" + (*server)->local_endpoint()}, ""};
  to.run(phase, 1, [](const progress&) {});
  CHECK(told > 4'000);
  CHECK(told <= 5'000);
}

TEST_CASE("a workload's arguments name its upstreams", "[cli][bench]") {
  CHECK(with_upstreams({"a=${upstream.one}/v1", "b=${upstream.one}${upstream.two}", "c=$d"},
                       {{"one", "http://h"}, {"two", "${upstream.two}"}})
        == std::vector<std::string>{"a=http://h/v1", "b=http://h${upstream.two}", "c=$d"});
  const std::string one = "[[upstream]]\nname = \"one\"\nplan = \"p.toml\"\n";
  const auto read = workload_of("[workload]\nsets = [\"a=${upstream.one}\"]\n" + one);
  REQUIRE(read);
  CHECK(read->upstreams.front().plan.ends_with("/p.toml"));
  const auto unknown = workload_of("[workload]\nsets = [\"a=${upstream.other}\"]\n" + one);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().front().line == 2);
  CHECK(unknown.error().front().message.find("\"other\"") != std::string::npos);
  CHECK_FALSE(workload_of(one + one));
}
