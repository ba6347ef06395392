// A discrete event simulation of workers with queues: how close the picker comes to join the
// shortest queue, which knows everything and costs O(n).
#include "runtime/flow/picker.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

using namespace skep::flow;

namespace {

/// Workers that each serve four calls at once and queue the rest, first in, first out.
class simulation {
public:
  explicit simulation(std::vector<double> speeds)
    : speeds_(std::move(speeds)), busy_(speeds_.size()), waiting_(speeds_.size()) {}

  /// `choose` returns the worker of a call, `done` hears of its end. Returns the p99 of the time
  /// from arrival to end, in units of the mean service time.
  double p99(double load, std::uint64_t seed, const std::function<std::uint32_t()>& choose,
             const std::function<void(std::uint32_t)>& done) {
    rng arrivals{seed};
    rng sizes{seed + 1};
    double capacity = 0;
    for (auto speed : speeds_)
      capacity += speed * places;
    double next_arrival = 0;
    for (int calls = 0; calls < 60'000;) {
      if (ends_.empty() || next_arrival < ends_.top().at) {
        arrive(next_arrival, choose(), size(sizes));
        next_arrival += -std::log(1 - arrivals.uniform()) / (load * capacity);
        ++calls;
      } else {
        finish(done);
      }
    }
    while (!ends_.empty())
      finish(done);
    auto at = times_.begin() + static_cast<std::ptrdiff_t>(times_.size() * 99 / 100);
    std::nth_element(times_.begin(), at, times_.end());
    return *at;
  }

private:
  static constexpr int places = 4;
  struct call {
    double arrived;
    double size;
  };
  struct end {
    double at;
    std::uint32_t worker;
    double arrived;
    bool operator>(const end& other) const {
      return at > other.at;
    }
  };

  /// Log-normal with mean 1 and sigma 1: a few calls are ten times longer than most.
  static double size(rng& random) {
    auto radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    return std::exp(radius * std::cos(6.283185307179586 * random.uniform()) - 0.5);
  }

  void arrive(double now, std::uint32_t worker, double size) {
    if (busy_[worker] < places)
      start(now, worker, {now, size});
    else
      waiting_[worker].push({now, size});
  }

  void start(double now, std::uint32_t worker, call c) {
    ++busy_[worker];
    ends_.push({now + c.size / speeds_[worker], worker, c.arrived});
  }

  void finish(const std::function<void(std::uint32_t)>& done) {
    auto e = ends_.top();
    ends_.pop();
    times_.push_back(e.at - e.arrived);
    --busy_[e.worker];
    done(e.worker);
    if (waiting_[e.worker].empty())
      return;
    start(e.at, e.worker, waiting_[e.worker].front());
    waiting_[e.worker].pop();
  }

  std::vector<double> speeds_;
  std::vector<int> busy_;
  std::vector<std::queue<call>> waiting_;
  std::priority_queue<end, std::vector<end>, std::greater<>> ends_;
  std::vector<double> times_;
};

double with_picker(const std::vector<double>& speeds, std::uint64_t seed) {
  picker p{{.slots_max = static_cast<std::uint32_t>(speeds.size())}};
  for (auto speed : speeds)
    p.enable(*p.add(static_cast<std::uint32_t>(speed * 300), 1'000'000), true);
  rng random{seed + 2};
  return simulation{speeds}.p99(
    0.75, seed, [&] { return *p.take(random); }, [&](std::uint32_t worker) { p.release(worker); });
}

double with_shortest_queue(const std::vector<double>& speeds, std::uint64_t seed) {
  std::vector<double> inflight(speeds.size());
  auto choose = [&] {
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < speeds.size(); ++i)
      if ((inflight[i] + 1) / speeds[i] < (inflight[best] + 1) / speeds[best])
        best = i;
    ++inflight[best];
    return best;
  };
  return simulation{speeds}.p99(0.75, seed, choose, [&](std::uint32_t w) { --inflight[w]; });
}

double with_random(const std::vector<double>& speeds, std::uint64_t seed) {
  rng random{seed + 2};
  auto choose = [&] { return random.below(static_cast<std::uint32_t>(speeds.size())); };
  return simulation{speeds}.p99(0.75, seed, choose, [](std::uint32_t) {});
}

} // namespace

TEST_CASE("picker's p99 is close to the shortest queue's among equal workers",
          "[flow][picker][sim]") {
  std::vector<double> speeds(20, 1.0);
  auto seed = GENERATE(1u, 20u, 300u);
  auto ideal = with_shortest_queue(speeds, seed);
  auto ours = with_picker(speeds, seed);
  CAPTURE(ideal, ours);
  CHECK(ours < 1.10 * ideal);
  CHECK(ours < with_random(speeds, seed));
}

TEST_CASE("picker's p99 is close to the shortest queue's among unequal ones",
          "[flow][picker][sim]") {
  std::vector<double> speeds(20, 1.0);
  speeds[3] = speeds[9] = speeds[17] = 1.0 / 3;
  auto seed = GENERATE(1u, 20u, 300u);
  auto ideal = with_shortest_queue(speeds, seed);
  auto ours = with_picker(speeds, seed);
  CAPTURE(ideal, ours);
  CHECK(ours < 1.25 * ideal);
  CHECK(10 * ours < with_random(speeds, seed)); // Random drowns the slow ones.
}
