#include "runtime/io/blocking_pool.hpp"
#include "runtime/telemetry/registry.hpp"
#include "tests/support/catch.hpp"

#include <atomic>
#include <future>
#include <mutex>
#include <vector>

using namespace skep;
using namespace skep::io;

namespace {

/// A job that tells how it ended: errc::none when it ran.
std::pair<blocking_job, std::future<errc>> told(
  std::function<void()> work = [] {}, time_point deadline = time_point::max()) {
  auto end = std::make_shared<std::promise<errc>>();
  blocking_job job;
  job.deadline = deadline;
  job.bytes = 100;
  job.run = [end, work = std::move(work)](time_point) {
    work();
    end->set_value(errc::none);
  };
  job.refuse = [end](const failure& why) { end->set_value(why.code); };
  return {std::move(job), end->get_future()};
}

/// Keeps a thread of a pool busy until it is opened.
struct barrier {
  void open() {
    gate.set_value();
  }

  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  std::shared_ptr<std::promise<void>> entered = std::make_shared<std::promise<void>>();
};

} // namespace

TEST_CASE("a pool of one thread runs jobs in the order they came", "[io][pool]") {
  telemetry::registry metrics;
  blocking_pool pool{{}, metrics};
  std::vector<int> order;
  std::vector<std::future<errc>> ends;
  for (int n = 0; n < 100; ++n) {
    auto [job, end] = told([&order, n] { order.push_back(n); });
    pool.submit(std::move(job));
    ends.push_back(std::move(end));
  }
  for (auto& end : ends)
    CHECK(end.get() == errc::none);
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a pool refuses what is over its bounds, late, or comes after its end", "[io][pool]") {
  telemetry::registry metrics;
  blocking_pool_config config;
  config.queue_max = 2;
  config.queue_bytes_max = 200;
  blocking_pool pool{config, metrics};
  barrier busy;
  auto entered = busy.entered->get_future();
  auto [first, first_end] = told([opened = busy.opened, in = busy.entered] {
    in->set_value();
    opened.wait();
  });
  pool.submit(std::move(first));
  entered.wait();
  auto [late, late_end] = told([] {}, clock::now() - 1s);
  auto [waits, waits_end] = told();
  auto [over, over_end] = told();
  pool.submit(std::move(late));
  pool.submit(std::move(waits));
  pool.submit(std::move(over));
  CHECK(over_end.get() == errc::overloaded);
  busy.open();
  CHECK(first_end.get() == errc::none);
  CHECK(late_end.get() == errc::deadline_exceeded);
  CHECK(waits_end.get() == errc::none);
  CHECK(pool.close());
  auto [after, after_end] = told();
  pool.submit(std::move(after));
  CHECK(after_end.get() == errc::shutting_down);
}

TEST_CASE("closing a pool refuses what waits and leaves a thread that hangs behind", "[io][pool]") {
  telemetry::registry metrics;
  blocking_pool pool{{}, metrics};
  barrier busy;
  auto entered = busy.entered->get_future();
  auto [hangs, hangs_end] = told([opened = busy.opened, in = busy.entered] {
    in->set_value();
    opened.wait();
  });
  auto [waits, waits_end] = told();
  pool.submit(std::move(hangs));
  pool.submit(std::move(waits));
  entered.wait();
  CHECK_FALSE(pool.close(1ms));
  CHECK(waits_end.get() == errc::shutting_down);
  busy.open();
  CHECK(hangs_end.get() == errc::none);
  CHECK(pool.close());
}
