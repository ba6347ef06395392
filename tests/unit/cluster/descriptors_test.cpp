#include "runtime/node/descriptors.hpp"
#include "tests/support/catch.hpp"

using namespace skep::rt;

TEST_CASE("all clients fit where the limit is high enough", "[node][descriptors]") {
  descriptor_needs needs{.limit = 0, .open = 40, .providers = 512, .reserve = 128};
  CHECK(clients_that_fit(needs, 10'000) == 10'000);
  needs.limit = limit_that_fits(needs, 10'000);
  CHECK(needs.limit == 40 + 512 + 128 + 10'000 + 64);
  CHECK(clients_that_fit(needs, 10'000) == 10'000);
  --needs.limit;
  CHECK(clients_that_fit(needs, 10'000) == 9'999);
}

TEST_CASE("clients get what providers and the reserve leave", "[node][descriptors]") {
  const descriptor_needs needs{.limit = 4096, .open = 40, .providers = 512, .reserve = 128};
  const auto clients = clients_that_fit(needs, 10'000);
  CHECK(clients == 4096 - 40 - 512 - 128 - 64);
}

TEST_CASE("a low limit is shared between clients and providers", "[node][descriptors]") {
  const descriptor_needs needs{.limit = 128, .open = 38, .providers = 512, .reserve = 128};
  // A third of 90, half of it for those who are told that there is no room.
  CHECK(clients_that_fit(needs, 10'000) == 15);
  CHECK(clients_that_fit({.limit = 10, .open = 30, .providers = 5, .reserve = 5}, 10'000) == 1);
}
