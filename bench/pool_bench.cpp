// Connection pools against a real HTTP server on this machine: how they follow steps of load up and
// down, what that costs a transfer, and what outlier detection costs a pick of the balancer.
#include "actors/balancer/balancer.hpp"
#include "bench/measure.hpp"
#include "messages/chat.hpp"
#include "runtime/flow/pool_sizer.hpp"
#include "runtime/net/http_client.hpp"
#include "tests/support/real_system.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <caf/actor_proxy.hpp>
#include <caf/make_actor.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

namespace {

using namespace skep;
using namespace skep::bench;
using skep::testing::tiny_upstream;
using std::chrono::milliseconds;

constexpr int runs = 5;

[[noreturn]] void stop_with(const std::string& why) {
  std::fprintf(stderr, "pool_bench: %s\n", why.c_str());
  std::exit(1);
}

// -- a closed loop of transfers -------------------------------------------------------------------

/// Keeps as many transfers in flight as it is told, until it is told none.
class load {
public:
  load(net::http_client& client, std::string url) : client_(client), url_(std::move(url)) {}
  ~load() {
    set(0);
    while (in_flight_ > 0)
      std::this_thread::sleep_for(milliseconds{1});
  }

  void set(int wanted) {
    wanted_ = wanted;
    fill();
  }
  std::uint64_t done() const {
    return done_;
  }
  /// What transfers took since the last call, in ms.
  std::vector<double> take_times() {
    const std::lock_guard lock{mutex_};
    return std::exchange(times_, {});
  }

private:
  struct handler : net::fetch_handler {
    explicit handler(load& o) : of(o) {}
    void on_done(net::fetch_result result) noexcept override {
      of.ended(result);
    }
    load& of;
  };

  void fill() {
    while (in_flight_ < wanted_) {
      ++in_flight_;
      net::fetch_request request;
      request.url = url_;
      if (!client_.start(std::move(request), std::make_shared<handler>(*this)))
        stop_with("a transfer was refused");
    }
  }
  void ended(const net::fetch_result& result) {
    if (!result.ok())
      stop_with("a transfer failed: " + to_string(result.why));
    {
      const std::lock_guard lock{mutex_};
      times_.push_back(static_cast<double>(result.timings.total.count()) / 1000);
    }
    ++done_;
    --in_flight_;
    fill();
  }

  net::http_client& client_;
  const std::string url_;
  std::atomic<int> wanted_{0};
  std::atomic<int> in_flight_{0};
  std::atomic<std::uint64_t> done_{0};
  std::mutex mutex_;
  std::vector<double> times_; // GUARDED_BY(mutex_)
};

tiny_upstream::script answers_after(milliseconds pause) {
  return tiny_upstream::each_request([pause](auto& peer, auto&) {
    if (pause.count() > 0)
      std::this_thread::sleep_for(pause);
    peer.reply(200, std::string(512, 'x'));
  });
}

double ms_until(const std::function<bool()>& reached) {
  const auto start = bench_clock::now();
  while (!reached()) {
    if (ns_since(start) > 60e9)
      stop_with("a pool did not follow within a minute");
    std::this_thread::sleep_for(milliseconds{1});
  }
  return ns_since(start) / 1e6;
}

// -- steps ----------------------------------------------------------------------------------------

struct step_figures {
  std::vector<double> up;
  std::vector<double> down;
  std::vector<double> waited;
  std::vector<double> slowest;
  std::vector<double> steady;
  std::vector<std::vector<double>> sizes; // At the moments below, run by run.
};
constexpr int moments_ms[]{0, 5, 10, 20, 50, 100, 200};

std::uint64_t size_of(const net::http_client& client) {
  return client.pools().front().size;
}

/// 4 transfers at a time, then 100, then 4 again; each takes the server 20 ms. The pool has its
/// defaults, except that it shrinks after 1 s instead of 30.
void one_step(step_figures& to) {
  tiny_upstream upstream{answers_after(milliseconds{20})};
  net::fetch_config config;
  config.shrink_after = milliseconds{1'000};
  telemetry::registry metrics;
  net::http_client client{config, metrics};
  client.name_pool(upstream.url());
  load transfers{client, upstream.url()};
  transfers.set(4);
  while (transfers.done() < 100)
    std::this_thread::sleep_for(milliseconds{1});
  transfers.take_times();
  const auto start = bench_clock::now();
  transfers.set(100);
  std::vector<double> sizes;
  for (const int at : moments_ms) {
    while (ns_since(start) < at * 1e6)
      std::this_thread::sleep_for(milliseconds{1});
    sizes.push_back(static_cast<double>(size_of(client)));
  }
  to.sizes.push_back(std::move(sizes));
  ms_until([&] { return client.stats().waiting == 0 && size_of(client) >= 100; });
  double grown = 0;
  for (const auto& each : client.pool_resizes())
    if (each.step.to >= 100 && grown == 0)
      grown = std::chrono::duration<double, std::milli>(each.step.when - start).count();
  to.up.push_back(grown);
  const telemetry::label_set host{{"host", client.pools().front().host}};
  const auto waits = metrics.histogram("skep_fetch_pool_wait_seconds", "", host).snapshot();
  to.waited.push_back(static_cast<double>(waits.count()));
  to.slowest.push_back(quantile(transfers.take_times(), 1));
  std::this_thread::sleep_for(milliseconds{500});
  to.steady.push_back(quantile(transfers.take_times(), 0.5));
  transfers.set(4);
  to.down.push_back(ms_until([&] { return size_of(client) <= 16; }));
}

void bench_steps() {
  step_figures figures;
  for (int run = 0; run < runs; ++run)
    one_step(figures);
  for (std::size_t n = 0; n < std::size(moments_ms); ++n) {
    std::vector<double> sizes;
    for (const auto& each : figures.sizes)
      sizes.push_back(each[n]);
    print("pool size " + std::to_string(moments_ms[n]) + " ms after a step from 4 to 100 transfers",
          "conns", sizes);
  }
  print("pool: step from 4 to 100 transfers followed after", "ms", figures.up);
  print("pool: transfers that had to wait in that step", "", figures.waited);
  print("pool: slowest transfer of that step (20 ms at the server)", "ms", figures.slowest);
  print("pool: median transfer afterwards", "ms", figures.steady);
  print("pool: back to 16 or fewer after the step down (1 s per halving)", "ms", figures.down);
}

// -- throughput -----------------------------------------------------------------------------------

double rate(const net::fetch_config& config, const std::string& url, int at_once) {
  net::http_client client{config};
  load transfers{client, url};
  transfers.set(at_once);
  while (transfers.done() < static_cast<std::uint64_t>(2 * at_once))
    std::this_thread::sleep_for(milliseconds{1}); // Connections are open by then.
  const auto before = transfers.done();
  const auto start = bench_clock::now();
  std::this_thread::sleep_for(milliseconds{700});
  return static_cast<double>(transfers.done() - before) / ns_since(start) * 1e9;
}

void bench_rates() {
  for (const int at_once : {1, 16, 64, 256}) {
    tiny_upstream upstream{answers_after(milliseconds{0})};
    net::fetch_config moving;
    net::fetch_config fixed;
    fixed.connections_per_host_min = fixed.connections_per_host_max;
    std::vector<double> ours;
    std::vector<double> theirs;
    interleaved(
      runs, [&] { return rate(moving, upstream.url(), at_once); },
      [&] { return rate(fixed, upstream.url(), at_once); }, ours, theirs);
    const auto what = ", " + std::to_string(at_once) + " at once";
    print("fetch over a pool of moving size" + what, "1/s", ours);
    print("fetch over a pool of fixed size" + what, "1/s", theirs);
  }
}

void bench_sizer() {
  std::vector<double> costs;
  for (int run = 0; run < runs; ++run) {
    flow::pool_sizer sizer{flow::pool_sizer_config{}};
    auto now = time_point{std::chrono::hours{1}};
    constexpr int count = 1'000'000;
    const auto start = bench_clock::now();
    for (int n = 0; n < count; ++n)
      sizer.observe(now += 50us, n % 7, false);
    costs.push_back(ns_since(start) / count);
  }
  print("pool sizer: one observation", "ns", costs);
}

// -- the balancer ---------------------------------------------------------------------------------

/// A member that answers at once, on the sender's thread.
class instant final : public caf::actor_proxy {
public:
  explicit instant(caf::actor_config& config) : actor_proxy(config) {}

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    const auto token = rt::ensure_lease(*what);
    token->fail(failure{errc::not_found, {}}); // An answer, and the cheapest to make.
  }
  void kill_proxy(caf::execution_unit*, caf::error) override {}
};

caf::actor make_instant(caf::actor_system& system) {
  caf::actor_config config;
  return caf::actor_cast<caf::actor>(caf::make_actor<instant, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config));
}

double ns_per_call(const caf::actor& to) {
  constexpr int count = 200'000;
  const auto start = bench_clock::now();
  for (int n = 0; n < count; ++n) {
    const auto id = caf::make_message_id(static_cast<std::uint64_t>(n) + 1);
    auto token = caf::make_counted<rt::lease>(nullptr, id, 0);
    to->enqueue(caf::make_mailbox_element(nullptr, id, {}, rt::call{{}, std::move(token), 0},
                                          msg::chat_request{}),
                nullptr);
  }
  return ns_since(start) / count;
}

void bench_balancer() {
  test::real_system sys;
  const rt::actor_kind kind{sys.metrics, "bench", {}};
  const auto made = [&](const char* name, bool eject) {
    std::vector<actors::balancer_member> members;
    for (int n = 0; n < 16; ++n)
      members.push_back({make_instant(sys.system), 1, 1000, 0});
    actors::health_rules rules;
    rules.eject = eject;
    return sys.adopt(sys.env.spawn<actors::balancer>(kind, name, std::move(members),
                                                     actors::affinity_rules{}, rules));
  };
  const auto with = made("with", true);
  const auto without = made("without", false);
  const auto direct = make_instant(sys.system);
  std::vector<double> on;
  std::vector<double> off;
  std::vector<double> none;
  for (int run = 0; run < runs; ++run) {
    off.push_back(ns_per_call(without));
    on.push_back(ns_per_call(with));
    none.push_back(ns_per_call(direct));
  }
  print("call answered at once, no balancer", "ns", none);
  print("call through a balancer of 16, outlier detection off", "ns", off);
  print("call through a balancer of 16, outlier detection on", "ns", on);
}

} // namespace

int main() {
  bench_steps();
  bench_rates();
  bench_sizer();
  bench_balancer();
  return 0;
}
