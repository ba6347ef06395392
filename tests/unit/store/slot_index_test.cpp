#include "runtime/store/slot_index.hpp"
#include "tests/support/catch.hpp"

#include <malloc.h>

#include <cstdlib>
#include <map>
#include <random>

using namespace skep::store;

TEST_CASE("a slot index finds what a map finds, also among equal hashes", "[store][index]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    slot_index index;
    std::map<slot, std::uint64_t> names;
    std::size_t slots = 0;
    const auto hash = [](std::uint64_t name) { return name % 7; }; // Long chains.
    const auto find = [&](std::uint64_t name) {
      return index.find(hash(name), [&](slot at) { return names.at(at) == name; });
    };
    CHECK(find(1) == no_slot); // Nothing was reserved yet.
    for (int step = 0; step < 5000; ++step) {
      if (slots == 0 || (random() % 100 == 0 && slots < 300))
        index.reserve(slots += 1 + random() % 20);
      const auto at = static_cast<slot>(random() % slots);
      const auto name = random() % 500;
      if (const auto known = names.find(at); known != names.end()) {
        REQUIRE(find(known->second) == at);
        index.erase(at);
        names.erase(known);
      } else if (find(name) == no_slot) {
        names[at] = name;
        index.insert(hash(name), at);
      }
      if (random() % 1000 == 0) {
        index.clear();
        names.clear();
      }
    }
    for (const auto& [at, name] : names)
      REQUIRE(find(name) == at);
  }
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("heap bytes are what malloc takes", "[store][memory]") {
  for (std::size_t bytes = 1; bytes < 5000; bytes += 7) {
    auto* block = std::malloc(bytes);
    // Up to 31 bytes that would be left of a free block are given along.
    const auto taken = ::malloc_usable_size(block) + 8;
    CHECK(taken - heap_bytes(bytes) < 32);
    std::free(block);
  }
  CHECK(heap_bytes(0) == 0);
}
#endif
