#include "runtime/flow/slots.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <map>

using namespace skep::flow;

namespace {

std::vector<slot_member> nodes(std::uint64_t n) {
  std::vector<slot_member> out;
  for (std::uint64_t id = 1; id <= n; ++id)
    out.push_back({id, 1.0});
  return out;
}

std::map<std::uint64_t, int> owned(const slot_map& map) {
  std::map<std::uint64_t, int> out;
  for (std::uint32_t slot = 0; slot < slot_map::slot_count; ++slot)
    ++out[map.owners(slot).front()];
  return out;
}

} // namespace

TEST_CASE("removing a node moves its slots and no others, to their next owners", "[flow][slots]") {
  auto before = nodes(7);
  auto after = before;
  after.erase(after.begin() + 3);
  slot_map all{before, 2};
  slot_map rest{after, 2};
  for (std::uint32_t slot = 0; slot < slot_map::slot_count; ++slot) {
    if (all.owners(slot)[0] == 4)
      CHECK(rest.owners(slot)[0] == all.owners(slot)[1]);
    else
      CHECK(rest.owners(slot)[0] == all.owners(slot)[0]);
  }
  CHECK(static_cast<int>(all.moved(rest).size()) == owned(all)[4]);
}

TEST_CASE("slots are shared by weight", "[flow][slots]") {
  std::vector<slot_member> members{{1, 1.0}, {2, 2.0}, {3, 1.0}};
  auto share = owned(slot_map{members, 1});
  // Standard deviations are 14 to 16 slots; four of them.
  CHECK(share[1] == Approx(256).margin(56));
  CHECK(share[2] == Approx(512).margin(64));
  CHECK(share[3] == Approx(256).margin(56));
}

TEST_CASE("the order of the members does not matter", "[flow][slots]") {
  auto members = nodes(9);
  slot_map left{members, 3};
  std::reverse(members.begin(), members.end());
  slot_map right{members, 3};
  CHECK(left.moved(right).empty());
  for (std::uint32_t slot = 0; slot < slot_map::slot_count; ++slot)
    CHECK(
      std::equal(left.owners(slot).begin(), left.owners(slot).end(), right.owners(slot).begin()));
}

TEST_CASE("copies lie on different nodes, as many as there are", "[flow][slots]") {
  slot_map map{nodes(2), 3};
  for (std::uint32_t slot = 0; slot < slot_map::slot_count; ++slot) {
    REQUIRE(map.owners(slot).size() == 2);
    REQUIRE(map.owners(slot)[0] != map.owners(slot)[1]);
  }
  CHECK(slot_map{}.owners(0).empty());
  CHECK(slot_map{}.moved(map).size() == slot_map::slot_count);
}

TEST_CASE("a new node takes its share and leaves the rest alone", "[flow][slots]") {
  slot_map nine{nodes(9), 1};
  slot_map ten{nodes(10), 1};
  auto moved = nine.moved(ten);
  CHECK(moved.size() == Approx(102).margin(40));
  for (auto slot : moved)
    CHECK(ten.owners(slot)[0] == 10);
}
