#include "actors/cache/near_cache.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

const time_point start{std::chrono::hours{1}};
const msg::cache_key key{7, 8};
const msg::cache_get_request any{key, 0};

} // namespace

TEST_CASE("a near entry tells its owner's age and freshness", "[actors][cache][near]") {
  near_cache near{{}, start};
  near.put(key, {"value", 10, 100}, start);
  CHECK(near.get(any, start + 1900ms) == msg::cache_get_reply{"value", 11, 98});
  CHECK(!near.get(any, start + 2s));
  CHECK(near.stats().entries == 0);
}

TEST_CASE("a near entry never outlives its own freshness", "[actors][cache][near]") {
  near_cache near{{}, start};
  near.put(key, {"value", 10, 1}, start);
  CHECK(near.get(any, start + 999ms));
  CHECK(!near.get(any, start + 1s));
  near.put(key, {"value", 10, 0}, start + 1s);
  CHECK(near.stats().entries == 0);
}

TEST_CASE("a near entry that may be too old is no hit", "[actors][cache][near]") {
  near_cache near{{}, start};
  near.put(key, {"value", 10, 100}, start); // Up to 10.999 s old.
  CHECK(!near.get({key, 10}, start));
  CHECK(near.get({key, 11}, start));
  CHECK(!near.get({key, 11}, start + 1ms));
  CHECK(near.get({key, 12}, start + 1s));
  CHECK(!near.get({key, 1}, start));
}

TEST_CASE("a near-cache of no bytes keeps nothing, a small one makes room",
          "[actors][cache][near]") {
  near_cache none{{0, 2s}, start};
  none.put(key, {"value", 0, 100}, start);
  CHECK(!none.get(any, start));
  near_cache small{{4096, 2s}, start};
  for (std::uint64_t n = 0; n < 100; ++n)
    small.put({n, n}, {std::string(500, 'x'), 0, 100}, start);
  CHECK(small.stats().bytes <= 4096);
  CHECK(small.stats().entries > 2);
}

TEST_CASE("near entries are cleared one by one or all at once", "[actors][cache][near]") {
  near_cache near{{}, start};
  near.put(key, {"", 0, 100}, start);
  near.put({1, 1}, {"other", 0, 100}, start);
  near.erase(key);
  CHECK(!near.get(any, start));
  CHECK(near.get({{1, 1}, 0}, start));
  near.clear();
  CHECK(!near.get({{1, 1}, 0}, start));
}
