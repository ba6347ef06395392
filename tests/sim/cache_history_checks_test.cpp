// That the checks of a cache's history find what they are for.
#include "tests/sim/cache_history.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::test;

namespace {

constexpr std::uint64_t groups = 3;

struct checked {
  cache_history history;
  time_point at{1h};

  explicit checked(bool one_owner = true) : history(rules(one_owner)) {}
  static cache_history::bounds rules(bool one_owner) {
    return {2s, 1s, 500ms, 0, one_owner, 0s};
  }
  std::string put(std::uint64_t key, duration ttl = 60s, const std::string& node = "a") {
    at += 1ms;
    auto value = history.put({key, key % groups, 0, ttl}, node, at);
    history.settled(at += 1ms);
    return value;
  }
  std::string get(std::uint64_t key, const std::string& value, bool stale = false,
                  std::uint32_t age_s = 1000, std::uint32_t ttl_s = 0) {
    at += 1ms;
    msg::cache_get_reply reply;
    reply.value = value;
    reply.group = key % groups;
    reply.stale = stale;
    reply.age_s = age_s;
    reply.ttl_s = ttl_s;
    return history.answered({key, "b", 0, at}, reply, at);
  }
  std::string win(std::uint64_t key, std::uint64_t id) {
    at += 1ms;
    msg::cache_get_reply reply;
    reply.found = false;
    reply.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
    reply.lease = id;
    return history.answered({key, "b", 1000, at}, reply, at);
  }
  void clear(std::size_t number) {
    history.cleared(number, at += 1ms);
  }
};

} // namespace

TEST_CASE("a history refuses values from nowhere, of other keys and out of time",
          "[actors][cache][history][sim]") {
  checked h;
  const auto value = h.put(1, 10s);
  h.put(2);
  CHECK(h.get(1, value) == "");
  CHECK(h.get(2, value) != "");
  CHECK(h.get(1, "1/7") != "");
  CHECK(h.get(1, value, false, 0, 12) != "");
  h.at += 5s;
  CHECK(h.get(1, value, false, 5) == "");
  CHECK(h.get(1, value, false, 1) != "");
  h.at += 5s;
  CHECK(h.get(1, value) != "");
  CHECK(h.get(1, value, true) == "");
  h.at += 2s;
  CHECK(h.get(1, value, true) != "");
}

TEST_CASE("a history refuses what was cleared in calm", "[actors][cache][history][sim]") {
  checked h;
  const auto value = h.put(1);
  const auto kind = GENERATE(0, 1, 2);
  const auto clear = [&] {
    h.at += 1ms;
    return kind == 0   ? h.history.clear_all(h.at)
           : kind == 1 ? h.history.clear_group(1, h.at)
                       : h.history.clear_key(1, h.at);
  };
  const auto disturbed = clear();
  CHECK(h.get(1, value) == ""); // Not acknowledged.
  h.history.disturbed(h.at);
  h.clear(disturbed);
  CHECK(h.get(1, value) == "");
  h.clear(clear());
  CHECK(h.get(1, value) != "");
  CHECK(h.get(1, h.put(1)) == "");
  CHECK(h.get(2, h.put(2)) == "");
}

TEST_CASE("a history refuses an older value once a later one is there",
          "[actors][cache][history][sim]") {
  checked h;
  const auto old = h.put(1);
  const auto fresh = h.put(1, 10s, GENERATE("a", "b"));
  const bool own = h.get(1, old) != ""; // Known at once at b, when b wrote it.
  h.at += 1600ms;
  CHECK(h.get(1, fresh) == "");
  CHECK(h.get(1, old) != "");
  h.at += 10s;
  CHECK(h.get(1, old) == ""); // The later one has ended.
  const auto third = h.put(1, 10s, own ? "b" : "a");
  h.history.disturbed(h.at);
  h.at += 2s;
  CHECK(h.get(1, old) == ""); // It may have been lost.
  CHECK(h.get(1, third) == "");
}

TEST_CASE("a history refuses two leases at a time", "[actors][cache][history][sim]") {
  checked h;
  CHECK(h.win(1, 11) == "");
  CHECK(h.win(2, 11) != "");
  CHECK(h.win(1, 12) != "");
  CHECK(h.win(2, 13) == "");
  SECTION("given back") {
    h.history.ended(1, 11);
    CHECK(h.win(1, 14) == "");
    CHECK(h.win(1, 15) != "");
  }
  SECTION("a value came") {
    h.put(1);
    CHECK(h.win(1, 14) == "");
  }
  SECTION("over") {
    h.at += 1s;
    CHECK(h.win(1, 14) == "");
  }
}
