#include "runtime/net/fetch_pools.hpp"
#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fetch_recorder.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::testing;

namespace {

/// Answers wait until the gate is opened.
class gate {
public:
  tiny_upstream::script script() {
    return tiny_upstream::each_request([this](upstream_connection& peer, upstream_request&) {
      const int now = ++inside_;
      for (int seen = most_; now > seen && !most_.compare_exchange_weak(seen, now);) {
      }
      open_.wait(false);
      --inside_;
      peer.reply(200, "through");
    });
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }
  int inside() const {
    return inside_;
  }
  int most() const {
    return most_;
  }
  ~gate() {
    open();
  }

private:
  std::atomic<bool> open_{false};
  std::atomic<int> inside_{0};
  std::atomic<int> most_{0};
};

fetch_config quick_pool(std::size_t min, std::size_t max) {
  fetch_config config;
  config.connections_per_host_min = min;
  config.connections_per_host_max = max;
  config.utilisation_window = std::chrono::milliseconds{20};
  config.shrink_after = std::chrono::milliseconds{50};
  return config;
}

std::vector<std::shared_ptr<fetch_recorder>> begin_many(http_client& client, const std::string& url,
                                                        int count) {
  std::vector<std::shared_ptr<fetch_recorder>> running;
  for (int n = 0; n < count; ++n)
    running.push_back(begin_fetch(client, get(url)).second);
  return running;
}

} // namespace

TEST_CASE("a pool is known by host and port", "[net][http_client][pool]") {
  CHECK(host_of("http://a.example/v1") == "a.example:80");
  CHECK(host_of("https://A.Example") == "a.example:443");
  CHECK(host_of("https://a.example:8443/v1?x=http://b") == "a.example:8443");
  CHECK(host_of("http://user:secret@a.example/") == "a.example:80");
  CHECK(host_of("http://[::1]/v1") == "[::1]:80");
  CHECK(host_of("http://[::1]:8/v1") == "[::1]:8");
  CHECK(host_of("nonsense") == "nonsense");
}

TEST_CASE("a full pool makes transfers wait in their order, visibly", "[net][http_client][pool]") {
  std::vector<std::string> seen;
  std::mutex mutex;
  box<bool> go;
  tiny_upstream upstream{tiny_upstream::each_request([&](auto& peer, auto& request) {
    if (request.target == "/0")
      go.take();
    {
      const std::lock_guard lock{mutex};
      seen.push_back(request.target);
    }
    peer.reply(200, "done");
  })};
  telemetry::registry metrics;
  http_client client{quick_pool(1, 1), metrics};
  client.name_pool(upstream.url());
  std::vector<std::shared_ptr<fetch_recorder>> running;
  for (int n = 0; n < 5; ++n)
    running.push_back(begin_fetch(client, get(upstream.url("/" + std::to_string(n)))).second);
  CHECK(eventually([&] { return client.stats().waiting == 4; }));
  const auto pools = client.pools();
  REQUIRE(pools.size() == 1);
  CHECK(pools.front().host == "127.0.0.1:" + std::to_string(upstream.port()));
  CHECK(pools.front().size == 1);
  CHECK(pools.front().in_use == 1);
  CHECK(pools.front().waiting == 4);
  go.put(true);
  for (auto& each : running)
    CHECK(each->wait_done().ok());
  CHECK(seen == std::vector<std::string>{"/0", "/1", "/2", "/3", "/4"});
  CHECK(upstream.accepted() == 1);
  CHECK(client.stats().waiting == 0);
  const telemetry::label_set host{{"host", pools.front().host}};
  CHECK(metrics.histogram("skep_fetch_pool_wait_seconds", "", host).snapshot().count() == 4);
}

TEST_CASE("who waits for a connection keeps its time-out and may give up",
          "[net][http_client][pool]") {
  gate closed;
  tiny_upstream upstream{closed.script()};
  http_client client{quick_pool(1, 1)};
  const auto [first_id, first] = begin_fetch(client, get(upstream.url()));
  CHECK(eventually([&] { return closed.inside() == 1; }));
  auto hasty = get(upstream.url());
  hasty.total_timeout = std::chrono::milliseconds{50};
  const auto late = fetch(client, hasty);
  CHECK(late.error == fetch_error::total_timeout);
  const auto [id, events] = begin_fetch(client, get(upstream.url()));
  CHECK(eventually([&] { return client.stats().waiting == 1; }));
  client.cancel(id);
  CHECK(events->wait_done().error == fetch_error::cancelled);
  CHECK(client.stats().waiting == 0);
  closed.open();
  CHECK(first->wait_done().ok());
  CHECK(fetch(client, get(upstream.url())).ok());
}

TEST_CASE("a pool follows a burst up and its end down", "[net][http_client][pool]") {
  gate closed;
  tiny_upstream upstream{closed.script()};
  telemetry::registry metrics;
  http_client client{quick_pool(2, 32), metrics};
  client.name_pool(upstream.url());
  const auto running = begin_many(client, upstream.url(), 40);
  CHECK(eventually([&] { return closed.inside() == 32; }));
  CHECK(client.stats().waiting == 8);
  closed.open();
  for (const auto& each : running)
    CHECK(each->wait_done().ok());
  CHECK(closed.most() == 32); // The maximum was kept.
  CHECK(upstream.accepted() == 32);
  CHECK(eventually([&] { return client.pools().front().size == 2; }));
  const auto steps = client.pool_resizes();
  REQUIRE(steps.size() >= 5); // Up in one step or several, and four halvings down.
  CHECK(steps.front().step.from == 2);
  CHECK(steps.front().step.why == flow::resize_reason::waiting);
  CHECK(steps.back().step.to == 2);
  CHECK(steps.back().step.why == flow::resize_reason::idle);
  const telemetry::label_set host{{"host", client.pools().front().host}};
  CHECK(metrics.counter("skep_fetch_pool_shrunk_total", "", host).value() == 4);
  CHECK(metrics.counter("skep_fetch_pool_grown_total", "", host).value() == steps.size() - 4);
}

TEST_CASE("the last 200 changes of sizes are remembered, and 128 hosts by name",
          "[net][http_client][pool]") {
  telemetry::registry metrics;
  fetch_pool_book book{metrics};
  for (std::uint32_t n = 0; n < 250; ++n)
    book.add("a:80", {time_point{1h}, n, n + 1, 0.9, flow::resize_reason::busy});
  const auto kept = book.resizes();
  CHECK(kept.size() == 200);
  CHECK(kept.front().step.from == 50);
  CHECK(kept.back().step.from == 249);
  for (int n = 0; n < 200; ++n)
    book.name("host" + std::to_string(n) + ":80");
  CHECK(book.states().size() == fetch_pool_book::hosts_max);
  CHECK(book.meters_of("host127:80").host == "host127:80");
  CHECK(book.meters_of("host128:80").host == "other");
}

TEST_CASE("hosts that no configuration names share a series", "[net][http_client][pool]") {
  tiny_upstream one{tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "1"); })};
  tiny_upstream two{tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "2"); })};
  http_client client{quick_pool(3, 32)};
  CHECK(fetch(client, get(one.url())).body == "1");
  CHECK(fetch(client, get(two.url())).body == "2");
  const auto pools = client.pools();
  REQUIRE(pools.size() == 1);
  CHECK(pools.front().host == "other");
  CHECK(pools.front().size == 6);
}

TEST_CASE("a thousand transfers to one host all get through", "[net][http_client][pool]") {
  tiny_upstream upstream{
    tiny_upstream::each_request([](auto& peer, auto&) { peer.reply(200, "ok"); })};
  http_client client{{}};
  for (const auto& each : begin_many(client, upstream.url(), 1000))
    CHECK(each->wait_done().ok());
  CHECK(upstream.accepted() <= 256);
  CHECK(client.stats().waiting == 0);
}

TEST_CASE("connections that nobody uses are closed after the idle time",
          "[net][http_client][pool]") {
  std::atomic<int> closed{0};
  tiny_upstream upstream{[&](upstream_connection& peer) {
    while (peer.read_request())
      peer.reply(200, "kept");
    ++closed;
  }};
  auto config = quick_pool(4, 4);
  config.connection_idle_ttl = std::chrono::milliseconds{1'000};
  http_client client{config};
  for (const auto& each : begin_many(client, upstream.url(), 4))
    CHECK(each->wait_done().ok());
  CHECK(closed == 0);
  CHECK(eventually([&] { return closed == static_cast<int>(upstream.accepted()); }));
  CHECK(client.pools().empty()); // The host is forgotten, too.
  CHECK(fetch(client, get(upstream.url())).body == "kept");
}

TEST_CASE("a request is never lost to a connection the peer closed in silence",
          "[net][http_client][pool]") {
  std::atomic<int> posts{0};
  tiny_upstream upstream{[&](upstream_connection& peer) {
    // Keeps the connection for two requests and then drops it without a word about it.
    for (int n = 0; n < 2; ++n) {
      if (!peer.read_request())
        return;
      ++posts;
      peer.reply(200, "got it");
    }
  }};
  http_client client{quick_pool(2, 8)};
  for (int n = 1; n <= 50; ++n) {
    auto request = get(upstream.url());
    request.method = "POST";
    request.body = "pay once";
    CHECK(fetch(client, request).body == "got it");
    CHECK(posts == n); // Neither lost nor sent twice.
  }
  CHECK(upstream.accepted() == 25);
}

TEST_CASE("a connection on which a transfer failed is not used again",
          "[net][http_client][pool][tls]") {
  // HTTP/2, where libcurl would go on with it: this peer takes requests and never answers.
  tiny_upstream upstream{[](upstream_connection& peer) {
                           if (!peer.read_exactly(24))
                             return;
                           peer.send(std::string_view{"\0\0\0\4\0\0\0\0\0", 9});
                           while (peer.read_exactly(1)) {
                           }
                         },
                         "h2"};
  auto config = quick_pool(2, 8);
  config.verify_tls = false;
  telemetry::registry metrics;
  http_client client{config, metrics};
  client.name_pool(upstream.url());
  auto request = get(upstream.url());
  request.first_byte_timeout = std::chrono::milliseconds{50};
  for (std::size_t n = 1; n <= 3; ++n) {
    const auto result = fetch(client, request);
    CHECK(result.error == fetch_error::first_byte_timeout);
    CHECK_FALSE(result.reused_connection);
    CHECK(upstream.accepted() == n);
  }
  const telemetry::label_set host{{"host", client.pools().front().host}};
  CHECK(metrics.counter("skep_fetch_pool_evicted_total", "", host).value() == 3);
}
