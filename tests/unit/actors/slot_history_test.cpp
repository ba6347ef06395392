#include "actors/cache/slot_history.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fake_cluster.hpp"

using namespace skep;
using namespace skep::actors;
using test::fake_cluster;
using change = slot_history::change;

namespace {

const time_point start{std::chrono::hours{1}};
constexpr auto slot_count = flow::slot_map::slot_count;

rt::cluster_state_ptr view(std::uint64_t number, const std::vector<std::string>& names,
                           std::uint32_t copies = 1, bool owning = true,
                           const std::map<std::string, std::uint64_t>& lives = {}) {
  auto made = fake_cluster::state(number, names, copies, {}, lives);
  made.owning = owning;
  return std::make_shared<const rt::cluster_state>(std::move(made));
}

std::uint64_t id(const char* name) {
  return rt::node_id(name);
}

} // namespace

TEST_CASE("who owned a slot before is known for a while", "[actors][cache][slots]") {
  slot_history history{id("a"), 30s};
  CHECK(history.install(view(1, {"a"}), start) == change::view);
  CHECK(history.previous(0).empty());
  const auto second = view(2, {"a", "b"});
  CHECK(history.install(second, start + 100s) == change::view);
  const auto gives = history.gives();
  REQUIRE(gives.size() == 1);
  CHECK(gives.begin()->first == id("b"));
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    const bool moved = second->slots.owners(slot).front() == id("b");
    CHECK(history.previous(slot).empty() == !moved);
    CHECK(gives.at(id("b"))[slot] == moved);
    CHECK(history.owned()[slot] == !moved);
  }
  history.prune(start + 129s);
  CHECK(history.gives().size() == 1);
  history.prune(start + 130s);
  CHECK(history.gives().empty());
}

TEST_CASE("only the first owner that is still there gives", "[actors][cache][slots]") {
  const auto first = view(1, {"a", "b", "c"}, 2);
  const auto second = view(2, {"b", "c", "d"}, 2);
  std::array<int, slot_count> givers{};
  for (const char* name : {"b", "c"}) {
    slot_history history{id(name), 30s};
    history.install(first, start);
    history.install(second, start + 100s);
    for (const auto& [to, slots] : history.gives())
      for (std::uint32_t slot = 0; slot < slot_count; ++slot)
        givers[slot] += slots[slot] ? 1 : 0;
  }
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    const auto was = first->slots.owners(slot);
    const auto is = second->slots.owners(slot);
    int fresh = 0;
    for (const auto owner : is)
      fresh += std::find(was.begin(), was.end(), owner) == was.end() ? 1 : 0;
    CHECK(givers[slot] == fresh); // Nobody gives twice, nothing is left out.
  }
}

TEST_CASE("a newcomer asks the others in the order in which they would own without it",
          "[actors][cache][slots]") {
  slot_history history{id("c"), 30s};
  history.install(std::make_shared<const rt::cluster_state>(), start);
  const auto old = view(1, {"a", "b"});
  const auto now = view(2, {"a", "b", "c"});
  history.install(now, start);
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    const auto& before = history.previous(slot);
    const bool mine = now->slots.owners(slot).front() == id("c");
    REQUIRE(before.size() == (mine ? 2 : 1));
    CHECK((!mine || before.front() == old->slots.owners(slot).front()));
  }
  CHECK(history.gives().empty());
  history.prune(start + 30s);
  CHECK(history.previous(0).empty());
}

TEST_CASE("several views in a row are all remembered, the latest first", "[actors][cache][slots]") {
  slot_history history{id("z"), 30s};
  history.install(view(1, {"a", "z"}), start);
  history.prune(start + 60s);
  history.install(view(2, {"a", "b", "z"}), start + 60s);
  const auto last = view(3, {"a", "b", "c", "z"});
  history.install(last, start + 61s);
  const auto one = view(1, {"a", "z"});
  const auto two = view(2, {"a", "b", "z"});
  int twice = 0;
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    std::vector<std::uint64_t> expected;
    const auto owner = last->slots.owners(slot).front();
    for (const auto& each : {two, one})
      if (const auto was = each->slots.owners(slot).front();
          was != owner && std::count(expected.begin(), expected.end(), was) == 0)
        expected.push_back(was);
    CHECK(history.previous(slot) == expected);
    twice += expected.size() == 2 ? 1 : 0;
  }
  CHECK(twice > 0);
}

TEST_CASE("a node that was restarted is another one", "[actors][cache][slots]") {
  slot_history history{id("b"), 30s};
  history.install(view(1, {"a", "b"}, 2), start);
  history.prune(start + 60s);
  history.install(view(2, {"a", "b"}, 2, true, {{"a", 2}}), start + 60s);
  const auto gives = history.gives();
  REQUIRE(gives.count(id("a")) == 1);
  CHECK(gives.at(id("a")).all());
}

TEST_CASE("a node that may have missed a view holds what is outdated", "[actors][cache][slots]") {
  slot_history history{id("a"), 30s};
  history.install(view(1, {"a", "b", "c"}), start);
  SECTION("others went on without it") {
    CHECK(history.install(view(1, {"a", "b", "c"}, 1, false), start) == change::none);
    CHECK(history.install(view(3, {"a", "b", "c"}), start) == change::outdated);
  }
  SECTION("the next view follows at once") {
    CHECK(history.install(view(1, {"a", "b", "c"}, 1, false), start) == change::none);
    CHECK(history.install(view(2, {"a", "b", "c", "d"}), start) == change::view);
  }
  SECTION("it had contact all the time") {
    CHECK(history.install(view(3, {"a", "b", "c", "d"}), start) == change::view);
  }
  SECTION("it had contact again in between") {
    CHECK(history.install(view(1, {"a", "b", "c"}, 1, false), start) == change::none);
    CHECK(history.install(view(1, {"a", "b", "c"}, 1, true), start) == change::none);
    CHECK(history.install(view(3, {"a", "b", "c", "d"}), start) == change::view);
  }
  SECTION("it is told that it is out") {
    CHECK(history.install(view(2, {"b", "c"}, 1, false), start) == change::outdated);
  }
  SECTION("a view not yet in force is no loss of contact") {
    CHECK(history.install(view(2, {"a", "b"}, 1, false), start) == change::view);
    CHECK(history.install(view(4, {"a", "b", "c"}, 1, false), start) == change::view);
  }
  SECTION("news of an older view are passed over") {
    CHECK(history.install(view(0, {"a"}), start) == change::none);
    CHECK(history.state()->view->number == 1);
  }
}
