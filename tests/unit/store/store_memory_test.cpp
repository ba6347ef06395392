#include "runtime/store/response_store.hpp"
#include "runtime/store/value_codec.hpp"
#include "tests/support/catch.hpp"

#include <malloc.h>

#include <cmath>
#include <random>

// Sanitizers bring their own heap, of which mallinfo2() knows nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKEP_OWN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)                            \
  || __has_feature(memory_sanitizer)
#define SKEP_OWN_HEAP 1
#endif
#endif

using namespace skep;
using namespace skep::store;

namespace {

const time_point start{std::chrono::hours{1}};

key128 key(std::uint64_t n) {
  return {n * 0x9e37'79b9'7f4a'7c15ull, n};
}

bool heap_can_be_read() {
#ifdef SKEP_OWN_HEAP
  WARN("SKIPPED: a sanitizer replaces the heap, no memory was compared");
  return false;
#else
  return true;
#endif
}

/// What the heap has given out, mapped blocks included.
std::size_t heap_in_use() {
  const auto is = ::mallinfo2();
  return is.uordblks + is.hblkhd;
}

/// The bytes a store counts against what the heap gave out since the scale was made.
class scale {
public:
  void check(const response_store& store) const {
    const auto counted = static_cast<double>(store.stats().bytes);
    const auto taken = static_cast<double>(heap_in_use() - before_);
    CAPTURE(counted, taken, store.stats().entries);
    CHECK(std::abs(counted - taken) < 0.1 * taken);
  }

private:
  std::size_t before_ = heap_in_use();
};

std::string text(std::mt19937_64& random, std::size_t bytes) {
  std::string made(bytes, ' ');
  for (auto& c : made)
    c = static_cast<char>('a' + random() % 26);
  return made;
}

} // namespace

TEST_CASE("the bytes counted are the bytes taken, for values of any size", "[store][memory]") {
  if (!heap_can_be_read())
    return;
  const auto policy = GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware);
  const std::size_t bytes = GENERATE(10u, 64u, 100u, 500u, 1024u, 4096u, 16'384u);
  CAPTURE(static_cast<int>(policy), bytes);
  store_config config;
  config.policy = policy;
  std::mt19937_64 random{bytes};
  const scale scale;
  response_store store{config, start};
  // About 4 MiB of them; a count with nothing round about it.
  for (std::uint64_t n = 0; n < (std::size_t{4} << 20) / (bytes + 200) + 77; ++n)
    store.put(key(n), text(random, bytes), {1h}, start);
  scale.check(store);
}

TEST_CASE("the bytes counted are the bytes taken after evictions and replacements",
          "[store][memory]") {
  if (!heap_can_be_read())
    return;
  const auto policy = GENERATE(policy_kind::s3_fifo, policy_kind::lru, policy_kind::cost_aware);
  CAPTURE(static_cast<int>(policy));
  store_config config;
  config.policy = policy;
  config.bytes_max = std::size_t{8} << 20;
  std::mt19937_64 random{7};
  const scale scale;
  response_store store{config, start};
  const auto fill = [&](std::uint64_t keys, std::size_t least, std::size_t most, int puts) {
    for (int n = 0; n < puts; ++n)
      store.put(key(random() % keys), text(random, least + random() % (most - least)), {1h}, start);
    CHECK(store.stats().bytes <= config.bytes_max);
    scale.check(store);
  };
  fill(200'000, 64, 200, 60'000); // Many small ones: the tables grow, and stay.
  CHECK(store.stats().evicted > 1000);
  fill(200'000, 4000, 16'384, 5000); // Large ones push them out.
  fill(3000, 64, 4000, 20'000);      // Replacements.
  for (std::uint64_t n = 0; n < 200'000; ++n)
    store.erase(key(n));
  CHECK(store.stats().entries == 0);
  scale.check(store); // The tables alone.
}

TEST_CASE("the bytes counted are the bytes taken by compressed values", "[store][memory]") {
  if (!heap_can_be_read())
    return;
  store_config config;
  config.codec = std::make_shared<value_codec>();
  std::mt19937_64 random{5};
  config.codec->compress(text(random, 16'384)); // Its contexts are its own.
  const scale scale;
  response_store store{config, start};
  std::size_t raw = 0;
  for (std::uint64_t n = 0; n < 5000; ++n) {
    const auto bytes = 64 + random() % 4000;
    raw += bytes;
    store.put(key(n), text(random, bytes), {1h}, start);
  }
  CHECK(store.stats().bytes < raw);
  scale.check(store);
}
