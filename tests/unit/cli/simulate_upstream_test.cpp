#include "cli/http.hpp"
#include "cli/simulate/upstream.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

using namespace skep;
using namespace skep::cli;
using nlohmann::json;

namespace {

/// A serving upstream and a client of it.
struct served {
  explicit served(simulate::plan from = {}) {
    from.upstream.first_token = 0ms;
    from.upstream.tokens_per_s = 0;
    auto started = simulate::upstream::start("127.0.0.1", 0, std::move(from));
    REQUIRE(started);
    upstream = std::move(*started);
  }

  net::fetch_result chat(bool stream, std::chrono::milliseconds patience = 10s) {
    net::fetch_request request;
    request.method = "POST";
    request.url = url() + "/v1/chat/completions";
    request.body = json{{"model", "m"},
                        {"stream", stream},
                        {"messages", {{{"role", "user"}, {"content", "x"}}}}}
                     .dump();
    request.first_byte_timeout = patience;
    request.idle_timeout = patience;
    request.total_timeout = 2 * patience;
    request.body_max = 64 << 20;
    return ask(client, std::move(request));
  }
  json faults(const std::string& method, const std::string& body = {}) {
    net::fetch_request request = command_request(method, url() + "/simulate/faults");
    request.body = body;
    const auto result = ask(client, std::move(request));
    return json::parse(result.body, nullptr, false);
  }
  std::string url() const {
    return "http://" + upstream->endpoint();
  }

  std::unique_ptr<simulate::upstream> upstream;
  net::http_client client{net::fetch_config{}};
};

simulate::plan with(simulate::fault_mode mode) {
  simulate::plan made;
  made.phases.emplace_back().mode = mode;
  made.upstream.huge = 8 << 20;
  return made;
}

} // namespace

TEST_CASE("an upstream answers over a socket, whole and streamed", "[cli][simulate][net]") {
  served up;
  const auto whole = up.chat(false);
  CHECK(whole.status == 200);
  CHECK(json::parse(whole.body)["choices"].size() == 1);
  const auto streamed = up.chat(true);
  CHECK(streamed.ok());
  CHECK(streamed.body.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("an upstream cuts, stalls, trickles and floods a socket", "[cli][simulate][net]") {
  using mode = simulate::fault_mode;
  for (const bool stream : {false, true}) {
    CHECK(served{with(mode::cut)}.chat(stream).error == net::fetch_error::cut);
    CHECK(served{with(mode::cut_before)}.chat(stream).error == net::fetch_error::reset);
    CHECK(served{with(mode::stall)}.chat(stream, 100ms).error
          == net::fetch_error::first_byte_timeout);
    CHECK_FALSE(served{with(mode::stall_midway)}.chat(stream, 100ms).ok());
    auto slow = with(mode::slow_loris);
    slow.upstream.loris_pause = 20ms;
    const auto trickled = served{slow}.chat(stream, 300ms);
    CHECK(trickled.error == net::fetch_error::total_timeout);
    CHECK(trickled.body_bytes < 40);
    const auto huge = served{with(mode::huge_chunk)}.chat(stream);
    CHECK(huge.ok());
    CHECK(huge.body.size() > (8 << 20));
  }
}

TEST_CASE("an upstream that is down refuses connections and comes back at the same address",
          "[cli][simulate][net]") {
  served up;
  CHECK(up.chat(false).status == 200);
  const auto address = up.upstream->endpoint();
  CHECK(up.faults("POST", R"({"mode": "down", "to_ms": 300})")["rules"] == 1);
  const auto deadline = skep::clock::now() + 10s;
  bool refused = false;
  bool back = false;
  while (skep::clock::now() < deadline && !(refused && back)) {
    const auto result = up.chat(false);
    refused = refused || result.error == net::fetch_error::connect_failed;
    back = refused && result.status == 200;
  }
  CHECK(refused);
  CHECK(back);
  CHECK(up.upstream->endpoint() == address);
}

TEST_CASE("what is above an upstream's places waits, and what is above its queue is told so",
          "[cli][simulate][net]") {
  simulate::plan narrow;
  narrow.upstream.concurrency_max = 1;
  narrow.upstream.queue_max = 1;
  narrow.phases.emplace_back().mode = simulate::fault_mode::stall;
  narrow.phases.back().count = 1;
  served up{narrow};
  std::vector<net::fetch_result> results(3);
  std::vector<std::thread> callers;
  const auto is = [&up](const char* name, int count) { return up.faults("GET")[name] == count; };
  // The first one holds the place until it gives up, the second waits for it.
  callers.emplace_back([&] { results[0] = up.chat(false, 1s); });
  const auto deadline = skep::clock::now() + 10s;
  const auto await = [&](const char* name) {
    while (!is(name, 1) && skep::clock::now() < deadline)
      std::this_thread::yield();
    return is(name, 1);
  };
  const bool first_works = await("working");
  callers.emplace_back([&] { results[1] = up.chat(false, 10s); });
  const bool second_waits = await("waiting");
  results[2] = up.chat(false, 10s);
  for (auto& each : callers)
    each.join();
  CHECK(first_works);
  CHECK(second_waits);
  CHECK(results[2].status == 503);
  CHECK(results[0].error == net::fetch_error::first_byte_timeout);
  CHECK(results[1].status == 200);
  CHECK(up.faults("GET")["by_mode"]["overloaded"] == 1);
}

TEST_CASE("an address that is taken is refused with its name", "[cli][simulate][net]") {
  served up;
  const auto port = static_cast<std::uint16_t>(
    std::stoi(up.upstream->endpoint().substr(up.upstream->endpoint().rfind(':') + 1)));
  const auto again = simulate::upstream::start("127.0.0.1", port, {});
  REQUIRE_FALSE(again);
  CHECK(again.error().detail.find(std::to_string(port)) != std::string::npos);
}
