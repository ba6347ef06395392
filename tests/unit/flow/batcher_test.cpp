#include "runtime/flow/batcher.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

using namespace skep;
using namespace skep::flow;

namespace {

constexpr time_point start{1h};

batcher_config small() {
  batcher_config config;
  config.count_max = 4;
  config.bytes_max = 100;
  config.in_flight_max = 2;
  config.queue_count_max = 10;
  config.queue_bytes_max = 250;
  return config;
}

using batch = std::vector<int>;

} // namespace

TEST_CASE("with nothing in flight an item goes out at once", "[flow][batcher]") {
  batcher<int> b{small()};
  CHECK(!b.due());
  REQUIRE(b.push(1, 1, 1, start));
  CHECK(b.due() == time_point::min());
  CHECK(b.next(start) == batch{1});
  CHECK(b.next(start).empty());
  CHECK(!b.due());
  b.done();
  CHECK(b.idle());
}

TEST_CASE("a batch fills while another one is in flight, no longer than its age",
          "[flow][batcher]") {
  batcher<int> b{small()};
  REQUIRE(b.push(1, 1, 1, start));
  REQUIRE(b.next(start) == batch{1});
  REQUIRE(b.push(2, 1, 1, start + 1ms));
  REQUIRE(b.push(3, 1, 1, start + 2ms));
  CHECK(b.due() == start + 6ms);
  CHECK(b.next(start + 5ms).empty());
  CHECK(b.next(start + 6ms) == batch{2, 3});
}

TEST_CASE("a batch goes out when it is full or the upstream is idle, whatever its age",
          "[flow][batcher]") {
  batcher<int> b{small()};
  REQUIRE(b.push(0, 1, 1, start));
  REQUIRE(b.next(start) == batch{0});
  SECTION("by count") {
    for (int n = 1; n <= 4; ++n) {
      CHECK(b.next(start).empty());
      REQUIRE(b.push(n, 1, 1, start));
    }
    CHECK(b.next(start) == batch{1, 2, 3, 4});
  }
  SECTION("by bytes") {
    REQUIRE(b.push(1, 1, 60, start));
    CHECK(b.next(start).empty());
    REQUIRE(b.push(2, 1, 60, start));
    CHECK(b.next(start) == batch{1});
  }
  SECTION("by an upstream that has nothing else to do") {
    REQUIRE(b.push(1, 1, 1, start));
    CHECK(b.next(start).empty());
    b.done();
    CHECK(b.next(start) == batch{1});
  }
}

TEST_CASE("no more batches than slots are in flight", "[flow][batcher]") {
  batcher<int> b{small()};
  for (int n = 0; n < 10; ++n)
    REQUIRE(b.push(n, 1, 1, start));
  CHECK(b.next(start) == batch{0, 1, 2, 3});
  CHECK(b.next(start) == batch{4, 5, 6, 7});
  CHECK(b.next(start + 1h).empty());
  CHECK(!b.due());
  CHECK(b.in_flight() == 2);
  b.done();
  CHECK(b.next(start + 1h) == batch{8, 9});
}

TEST_CASE("a full queue refuses by items and by bytes, and counts it", "[flow][batcher]") {
  batcher<int> b{small()};
  for (int n = 0; n < 5; ++n)
    REQUIRE(b.push(n, 2, 1, start));
  CHECK(!b.push(9, 1, 1, start));
  REQUIRE(b.erase(3));
  REQUIRE(b.push(5, 2, 100, start));
  REQUIRE(b.erase(1));
  CHECK(b.queued_bytes() == 103);
  REQUIRE(b.push(6, 1, 100, start));
  CHECK(!b.push(7, 1, 50, start));
  CHECK(b.refusals() == 2);
  CHECK(b.queued_count() == 9);
  CHECK(b.queued_bytes() == 203);
  CHECK(!b.fits(5, 1));
  CHECK(!b.fits(1, 101));
}

TEST_CASE("an item that is taken back never goes out", "[flow][batcher]") {
  batcher<int> b{small()};
  const auto one = b.push(1, 1, 1, start);
  const auto two = b.push(2, 1, 1, start);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(b.erase(*one));
  CHECK(!b.erase(*one));
  CHECK(b.next(start) == batch{2});
  CHECK(!b.erase(*two));
}

TEST_CASE("halves of a batch go out before what waits for its first turn", "[flow][batcher]") {
  batcher<int> b{small()};
  for (int n = 0; n < 5; ++n)
    REQUIRE(b.push(n, 1, 1, start));
  auto failed = b.next(start);
  REQUIRE(failed == batch{0, 1, 2, 3});
  b.done();
  b.halve({0, 1, 2});
  CHECK(!b.idle());
  CHECK(b.due() == time_point::min());
  CHECK(b.next(start) == batch{0, 1});
  CHECK(b.next(start) == batch{2});
  CHECK(b.next(start).empty());
  b.done();
  b.again({7});
  CHECK(b.next(start) == batch{7});
  b.done();
  b.done();
  CHECK(b.next(start) == batch{4});
}

namespace {

batcher_config random_config(rng& random) {
  batcher_config config;
  config.count_max = 1 + random.below(20);
  config.bytes_max = 1 + random.below(300);
  config.age_max = std::chrono::milliseconds{random.below(20)};
  config.in_flight_max = 1 + random.below(4);
  config.queue_count_max = config.count_max * (1 + random.below(5));
  config.queue_bytes_max = config.bytes_max * (1 + random.below(5));
  return config;
}

/// A batcher's owner beside a model of the batcher: random arrivals, departures, ends and failures.
struct batcher_model {
  struct item {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    time_point came{};
    std::uint64_t ticket = 0;
  };

  explicit batcher_model(std::uint64_t seed)
    : random(seed), config(random_config(random)), real(config) {}

  std::uint64_t queued(std::uint64_t item::*field) const {
    std::uint64_t sum = 0;
    for (const auto& [number, each] : waiting)
      sum += each.*field;
    return sum;
  }

  void arrive() {
    item made{1 + random.below(3), random.below(40), now, 0};
    if (!real.fits(made.count, made.bytes))
      return;
    const bool room = queued(&item::count) + made.count <= config.queue_count_max
                      && queued(&item::bytes) + made.bytes <= config.queue_bytes_max;
    const auto ticket = real.push(++last, made.count, made.bytes, now);
    REQUIRE(ticket.has_value() == room);
    refused += room ? 0 : 1;
    made.ticket = ticket.value_or(0);
    if (ticket)
      all[last] = waiting[last] = made;
  }

  /// Whoever waits is taken out, whoever is on the way is not.
  void leave() {
    const auto who = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(last)));
    if (all.count(who) != 0)
      REQUIRE(real.erase(all[who].ticket) == (waiting.erase(who) == 1));
  }

  void end_one() {
    const auto at = flying.begin() + random.below(static_cast<std::uint32_t>(flying.size()));
    const auto ended = *at;
    flying.erase(at);
    real.done();
    if (ended.size() == 1 || random.below(4) != 0)
      return;
    const auto half = static_cast<std::ptrdiff_t>((ended.size() + 1) / 2);
    again.emplace_back(ended.begin(), ended.begin() + half);
    again.emplace_back(ended.begin() + half, ended.end());
    real.halve(ended);
  }

  /// Time goes on, to the batcher's own alarm at the latest.
  void wait() {
    auto then = now + std::chrono::microseconds{random.below(8000)};
    if (const auto due = real.due())
      then = std::min(then, std::max(now, *due));
    now = then;
  }

  void step() {
    const auto dice = random.below(10);
    if (dice < 5)
      arrive();
    else if (dice == 5 && last > 0)
      leave();
    else if (dice < 9 && !flying.empty())
      end_one();
    else
      wait();
  }

  /// The batch had reason to go, and is the oldest of what waits, as much as the limits allow.
  void check_batch(const batch& out) {
    if (!again.empty()) {
      REQUIRE(out == again.front());
      again.pop_front();
      return;
    }
    const auto waited = now - waiting.begin()->second.came;
    const bool full
      = queued(&item::count) >= config.count_max || queued(&item::bytes) >= config.bytes_max;
    REQUIRE((flying.empty() || full || waited >= config.age_max));
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    for (const auto number : out) {
      REQUIRE(waiting.begin()->first == number);
      count += waiting.begin()->second.count;
      bytes += waiting.begin()->second.bytes;
      waiting.erase(waiting.begin());
    }
    REQUIRE(count <= config.count_max);
    REQUIRE(bytes <= config.bytes_max);
    if (!waiting.empty())
      REQUIRE((count + waiting.begin()->second.count > config.count_max
               || bytes + waiting.begin()->second.bytes > config.bytes_max));
  }

  /// Takes what there is; afterwards nobody waits beside a free slot for longer than age_max.
  void pump() {
    for (auto out = real.next(now); !out.empty(); out = real.next(now)) {
      check_batch(out);
      flying.push_back(out);
    }
    const bool slot = flying.size() < config.in_flight_max;
    REQUIRE(flying.size() <= config.in_flight_max);
    REQUIRE((!slot || again.empty()));
    if (slot && !waiting.empty()) {
      REQUIRE(!flying.empty());
      REQUIRE(now - waiting.begin()->second.came < config.age_max);
      REQUIRE(real.due() == waiting.begin()->second.came + config.age_max);
    } else {
      REQUIRE(!real.due());
    }
  }

  void check_books() const {
    REQUIRE(real.in_flight() == flying.size());
    REQUIRE(real.queued_count() == queued(&item::count));
    REQUIRE(real.queued_bytes() == queued(&item::bytes));
    REQUIRE(real.refusals() == refused);
    REQUIRE(real.idle() == (flying.empty() && waiting.empty() && again.empty()));
  }

  rng random;
  batcher_config config;
  batcher<int> real;
  std::map<int, item> waiting; // Ordered as they came.
  std::map<int, item> all;
  std::deque<batch> again;
  std::vector<batch> flying;
  std::uint64_t refused = 0;
  int last = 0;
  time_point now = start;
};

} // namespace

TEST_CASE("no item is lost, doubled, overtaken, or left waiting beside a free slot",
          "[flow][batcher]") {
  const auto seed = GENERATE(range(1, 61));
  CAPTURE(seed);
  batcher_model model{static_cast<std::uint64_t>(seed)};
  for (int n = 0; n < 2000; ++n) {
    model.step();
    model.pump();
    model.check_books();
  }
}
