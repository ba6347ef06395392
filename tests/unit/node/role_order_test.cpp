#include "actors/roles.hpp"
#include "runtime/node/role_order.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace skep;
using namespace skep::rt;

namespace {

role make_role(std::string name, std::vector<std::string> needs = {},
               std::vector<name_family> publishes = {}) {
  role made;
  made.name = std::move(name);
  made.needs = std::move(needs);
  made.publishes = std::move(publishes);
  return made;
}

std::vector<std::string> names_of(const expected<std::vector<const role*>>& order) {
  REQUIRE(order);
  std::vector<std::string> names;
  for (const auto* each : *order)
    names.push_back(each->name);
  return names;
}

std::string complaint(const std::vector<role>& roles) {
  const auto order = build_order(roles);
  REQUIRE_FALSE(order);
  return order.error().detail;
}

using words = std::vector<std::string>;

} // namespace

TEST_CASE("each role comes after those it needs, the rest stay in their order", "[node][role]") {
  CHECK(names_of(build_order({})).empty());
  const std::vector<role> roles{make_role("agent", {"flight", "provider"}), make_role("store"),
                                make_role("flight", {"cache"}), make_role("cache"),
                                make_role("provider")};
  CHECK(names_of(build_order(roles)) == words{"store", "cache", "flight", "provider", "agent"});
}

TEST_CASE("a need that no role meets is told with both names", "[node][role]") {
  CHECK(complaint({make_role("cache", {"redsi"}), make_role("redis")})
        == "the role cache needs redsi, and no role is called that");
}

TEST_CASE("roles that need each other are told with their names, bystanders are not",
          "[node][role]") {
  CHECK(complaint({make_role("waits", {"a"}), make_role("a", {"fine", "b"}), make_role("b", {"c"}),
                   make_role("c", {"a"}), make_role("fine")})
        == "roles need each other in a circle: a needs b, b needs c, c needs a");
  CHECK(complaint({make_role("a", {"a"})}) == "roles need each other in a circle: a needs a");
}

TEST_CASE("a role's name is used once", "[node][role]") {
  CHECK(complaint({make_role("a"), make_role("b"), make_role("a")}) == "two roles are called a");
}

TEST_CASE("a family covers the names below it, or one name", "[node][role]") {
  CHECK(name_family{"tool/"}.covers("tool/clock"));
  CHECK(name_family{"tool/"}.covers("tool/clock/0"));
  CHECK_FALSE(name_family{"tool/"}.covers("tool"));
  CHECK_FALSE(name_family{"tool/"}.covers("tools/clock"));
  CHECK(name_family{"store"}.covers("store"));
  CHECK_FALSE(name_family{"store"}.covers("store/0"));
}

TEST_CASE("roles may share a family, but must agree on who serves it", "[node][role]") {
  const auto with = [](name_family other) {
    return families_of(std::vector<role>{make_role("one", {}, {{"tool/", name_scope::cluster}}),
                                         make_role("two", {}, {std::move(other)})});
  };
  CHECK(with({"tool/", name_scope::cluster}));
  CHECK(with({"tools/", name_scope::node}));
  CHECK(with({"tool", name_scope::node}));
  CHECK_FALSE(with({"tool/", name_scope::node}));
  const auto refused = with({"tool/clock", name_scope::node});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail
        == "the roles one and two disagree on which nodes serve tool/ and tool/clock");
}

TEST_CASE("the order in which skep's roles are listed does not matter", "[node][role]") {
  auto roles = actors::all_roles();
  std::sort(roles.begin(), roles.end(),
            [](const role& a, const role& b) { return a.name > b.name; });
  do {
    const auto names = names_of(build_order(roles));
    const auto place = [&](const std::string& name) {
      return std::find(names.begin(), names.end(), name) - names.begin();
    };
    for (const auto& each : roles)
      for (const auto& need : each.needs)
        REQUIRE(place(need) < place(each.name));
    std::rotate(roles.begin(), roles.begin() + 1, roles.end());
  } while (roles.front().name != "store");
  CHECK(families_of(roles));
}
