#include "actors/cache/handover.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::actors;

namespace {

const time_point start{std::chrono::hours{1}};

store::key128 key(std::uint64_t slot, std::uint64_t n) {
  return {slot << 54 | n, n};
}

slot_set slots(std::initializer_list<std::size_t> which) {
  slot_set made;
  for (const auto slot : which)
    made.set(slot);
  return made;
}

msg::cache_clear_request one(const store::key128& key) {
  return {false, {key.high, key.low}};
}

store::response_store filled() {
  store::response_store store{{}, start};
  for (std::uint64_t slot = 0; slot < 8; ++slot)
    for (std::uint64_t n = 0; n < 10; ++n)
      store.put(key(slot, n), "value", {10s}, start);
  return store;
}

} // namespace

TEST_CASE("a hand-over sends the entries of its slots, one slot a batch",
          "[actors][cache][handover]") {
  auto store = filled();
  handover_stream stream{store, slots({2, 5})};
  std::vector<std::uint32_t> seen;
  while (true) {
    const auto batch = stream.batch(store, start + 3s);
    if (batch.empty())
      break;
    CHECK(batch.size() == 10);
    for (const auto& each : batch) {
      CHECK(slot_of(each.key) == slot_of(batch.front().key));
      CHECK(each.age_ms == 3000);
      CHECK(each.left_ms == 7000);
    }
    seen.push_back(slot_of(batch.front().key));
    stream.advance();
  }
  CHECK(seen == std::vector<std::uint32_t>{2, 5});
}

TEST_CASE("a batch that is not acknowledged comes again, without what went meanwhile",
          "[actors][cache][handover]") {
  auto store = filled();
  handover_stream stream{store, slots({2})};
  CHECK(stream.batch(store, start).size() == 10);
  store.erase(key(2, 3));
  const auto again = stream.batch(store, start);
  CHECK(again.size() == 9);
  stream.advance();
  CHECK(stream.batch(store, start).empty());
  CHECK(handover_stream{store, slots({2})}.batch(store, start + 10s).empty()); // All expired.
}

TEST_CASE("what is written during a hand-over follows, if its slot moves",
          "[actors][cache][handover]") {
  auto store = filled();
  handover_stream stream{store, slots({2})};
  CHECK(stream.batch(store, start).size() == 10);
  stream.advance();
  store.put(key(2, 77), "late", {10s}, start);
  store.put(key(3, 77), "late", {10s}, start);
  stream.add(key(2, 77));
  stream.add(key(3, 77));
  const auto late = stream.batch(store, start);
  REQUIRE(late.size() == 1);
  CHECK(late.front().value == "late");
}

TEST_CASE("a batch is bounded in bytes", "[actors][cache][handover]") {
  store::response_store store{{}, start};
  for (std::uint64_t n = 0; n < 9; ++n)
    store.put(key(1, n), std::string(20'000, 'x'), {10s}, start);
  handover_stream stream{store, slots({1})};
  for (int n = 0; n < 3; ++n) {
    CHECK(stream.batch(store, start).size() == 3); // 60 kB of 64 KiB.
    stream.advance();
  }
  CHECK(stream.batch(store, start).empty());
}

TEST_CASE("a value larger than a batch travels alone", "[actors][cache][handover]") {
  store::response_store store{{}, start};
  for (std::uint64_t n = 0; n < 3; ++n)
    store.put(key(1, n), std::string(100'000, 'x'), {10s}, start);
  handover_stream stream{store, slots({1})};
  for (int n = 0; n < 3; ++n) {
    CHECK(stream.batch(store, start).size() == 1);
    stream.advance();
  }
  CHECK(stream.batch(store, start).empty());
}

TEST_CASE("what was cleared stays cleared, what was written later does not",
          "[actors][cache][handover]") {
  recent_clears clears;
  clears.add(one(key(1, 1)), start);
  CHECK(clears.cover(key(1, 1), 0, 0s, start));
  CHECK(!clears.cover(key(1, 2), 0, 50s, start));
  CHECK(clears.cover(key(1, 1), 0, 3s, start + 5s));
  // Written after the clear, and longer ago than any batch travels.
  CHECK(!clears.cover(key(1, 1), 0, 1s, start + 5s));
  clears.add({true, {}}, start + 6s);
  CHECK(clears.cover(key(1, 2), 0, 50s, start + 6s));
  CHECK(!clears.cover(key(1, 2), 0, 50s, start + 6s + recent_clears::keep + 1s));
}

TEST_CASE("what belongs to a cleared group stays cleared", "[actors][cache][handover]") {
  recent_clears clears;
  clears.add({false, {}, 7}, start);
  CHECK(clears.cover(key(1, 1), 7, 1s, start));
  CHECK(!clears.cover(key(1, 1), 8, 1s, start));
  CHECK(!clears.cover(key(1, 1), 0, 1s, start));
  CHECK(!clears.cover(key(1, 1), 7, 1s, start + 5s));
  CHECK(!clears.cover(key(1, 1), 7, 50s, start + recent_clears::keep + 1s));
}

TEST_CASE("cleared keys or groups beyond the bound count as everything",
          "[actors][cache][handover]") {
  recent_clears clears;
  const bool groups = GENERATE(false, true);
  const auto clear = [&](std::uint64_t n) {
    clears.add(groups ? msg::cache_clear_request{false, {}, n + 1} : one(key(1, n)), start);
  };
  for (std::uint64_t n = 0; n < recent_clears::keys_max; ++n)
    clear(n);
  CHECK(!clears.cover(key(2, 0), 0, 1h, start));
  clear(recent_clears::keys_max);
  CHECK(clears.cover(key(2, 0), 0, 1h, start));
  CHECK(clears.cover(key(1, 0), 1, 1h, start));
}
