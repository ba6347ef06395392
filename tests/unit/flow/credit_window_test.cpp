#include "runtime/flow/credit_window.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <deque>

using namespace skep;
using namespace skep::flow;

TEST_CASE("a producer stops at zero credit and goes on after a grant", "[flow][credit]") {
  credit_window window{100};
  CHECK(window.try_take(60));
  CHECK_FALSE(window.try_take(60));
  CHECK(window.take_up_to(60) == 40);
  CHECK(window.credits() == 0);
  CHECK(window.take_up_to(1) == 0);
  REQUIRE(window.grant(10));
  CHECK(window.credits() == 10);
  CHECK(window.inflight() == 90);
}

TEST_CASE("a grant for bytes never sent is refused and changes nothing", "[flow][credit]") {
  credit_window window{100};
  REQUIRE(window.try_take(10));
  auto granted = window.grant(11);
  REQUIRE_FALSE(granted);
  CHECK(granted.error().code == errc::malformed);
  CHECK(window.credits() == 90);
}

TEST_CASE("a producer that overruns its credit is found out", "[flow][credit]") {
  credit_return consumer{100};
  REQUIRE(consumer.received(100));
  auto more = consumer.received(1);
  REQUIRE_FALSE(more);
  CHECK(more.error().code == errc::too_large);
  CHECK(consumer.buffered() == 100);
}

TEST_CASE("short chunks are granted back in halves of the window", "[flow][credit]") {
  credit_return consumer{1000};
  int grants = 0;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(consumer.received(10));
    grants += consumer.consumed(10) > 0;
  }
  CHECK(grants == 20); // 10,000 bytes by 500.
}

TEST_CASE("credits and bytes under way always add up to the window", "[flow][credit]") {
  auto seed = GENERATE(range(1, 41));
  CAPTURE(seed);
  rng random{static_cast<std::uint64_t>(seed)};
  auto size = std::uint64_t{1} + random.below(seed % 2 == 0 ? 20 : 5000);
  credit_window producer{size};
  credit_return consumer{size};
  std::deque<std::uint64_t> chunks; // On the way to the consumer.
  std::deque<std::uint64_t> grants; // On the way back.
  auto sum = [](const std::deque<std::uint64_t>& all) {
    std::uint64_t total = 0;
    for (auto n : all)
      total += n;
    return total;
  };
  std::uint64_t delivered = 0;
  for (int step = 0; step < 3000; ++step) {
    switch (random.below(4)) {
      case 0:
        if (auto n = producer.take_up_to(1 + random.below(static_cast<std::uint32_t>(size))); n > 0)
          chunks.push_back(n);
        break;
      case 1:
        if (!chunks.empty()) {
          REQUIRE(consumer.received(chunks.front()));
          chunks.pop_front();
        }
        break;
      case 2: {
        auto n = random.below(static_cast<std::uint32_t>(consumer.buffered()) + 1);
        delivered += n;
        if (auto grant = consumer.consumed(n); grant > 0)
          grants.push_back(grant);
        break;
      }
      default:
        if (!grants.empty()) {
          REQUIRE(producer.grant(grants.front()));
          grants.pop_front();
        }
    }
    REQUIRE(producer.credits() + producer.inflight() == producer.window());
    REQUIRE(producer.inflight()
            == sum(chunks) + consumer.buffered() + consumer.held_back() + sum(grants));
    REQUIRE(consumer.outstanding() == producer.credits() + sum(chunks) + sum(grants));
  }
  CHECK(delivered > 5 * size);
}

TEST_CASE("a stream in pieces of half the window never stalls", "[flow][credit]") {
  for (std::uint64_t size = 2; size < 200; ++size) {
    credit_window producer{size};
    credit_return consumer{size};
    rng random{size};
    for (int piece = 0; piece < 200; ++piece) {
      auto bytes = 1 + random.below(static_cast<std::uint32_t>(size / 2));
      REQUIRE(producer.try_take(bytes));
      REQUIRE(consumer.received(bytes));
      REQUIRE(producer.grant(consumer.consumed(bytes)));
    }
  }
}
