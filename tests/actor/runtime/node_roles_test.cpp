// What roles say of themselves, in a whole node.
#include "runtime/actor/guard.hpp"
#include "runtime/cluster/route.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"
#include "tests/unit/io/sqlite_fixture.hpp"

using namespace skep;
using namespace skep::rt;
using Catch::Matchers::Contains;
using skep::test::worker;

namespace {

using words = std::vector<std::string>;

expected<std::unique_ptr<node>> start(const std::vector<role>& roles,
                                      const std::string& text = {}) {
  config::sources from;
  from.file = "test.toml";
  from.text = text;
  const auto document = config::load(node::schema_of(roles), from);
  INFO((document ? "" : to_string(document.error())));
  REQUIRE(document);
  return node::start(*document, roles);
}

/// Writes its name into the log when it is built, and again, with a mark, when all are.
role logging_role(std::string name, std::vector<std::string> needs, words& log) {
  role made;
  made.name = name;
  made.needs = std::move(needs);
  made.build = [name, &log](role_context& node) -> expected<void> {
    log.push_back(name);
    node.when_built([name, &log](role_context&) -> expected<void> {
      log.push_back(name + " sees all");
      return {};
    });
    return {};
  };
  return made;
}

/// Publishes a worker under each name.
role publishing_role(std::vector<name_family> families, words names) {
  role made;
  made.name = "tool";
  made.publishes = std::move(families);
  made.build = [names](role_context& node) -> expected<void> {
    auto& env = node.env();
    const auto& kind = node.kind("tool", {});
    for (const auto& name : names) {
      child_spec spec;
      spec.name = name;
      spec.start = [&env, &kind] { return env.spawn<worker>(kind); };
      node.supervise(std::move(spec));
    }
    return {};
  };
  return made;
}

} // namespace

TEST_CASE("a node builds each role after those it needs, and tells when all are built",
          "[runtime][node]") {
  words log;
  const auto made = start({logging_role("front", {"middle"}, log),
                           logging_role("middle", {"back"}, log), logging_role("back", {}, log)});
  REQUIRE(made);
  CHECK(log
        == words{"back", "middle", "front", "back sees all", "middle sees all", "front sees all"});
}

TEST_CASE("a node whose roles contradict each other does not start and says which",
          "[runtime][node]") {
  words log;
  const auto made
    = start({logging_role("one", {"other"}, log), logging_role("other", {"one"}, log)});
  REQUIRE_FALSE(made);
  CHECK_THAT(made.error().detail, Contains("one needs other, other needs one"));
  CHECK(log.empty());
}

TEST_CASE("what only fails when all roles are built keeps a node from starting",
          "[runtime][node]") {
  role late;
  late.name = "late";
  late.build = [](role_context& node) -> expected<void> {
    node.when_built(
      [](role_context&) -> expected<void> { return fail(errc::transport_failed, "port taken"); });
    return {};
  };
  const auto made = start({late});
  REQUIRE_FALSE(made);
  CHECK(made.error().detail == "port taken");
}

TEST_CASE("a role publishes only what its families cover", "[runtime][node]") {
  CHECK(start({publishing_role({{"tool/"}}, {"tool/clock"})}));
  const auto made = start({publishing_role({{"tool/"}}, {"tool/clock", "agent/clock"})});
  REQUIRE_FALSE(made);
  CHECK_THAT(made.error().detail, Contains("the role tool publishes agent/clock"));
}

TEST_CASE("a clustered node shares the names that its roles call clustered, and no others",
          "[runtime][node][cluster]") {
  const io::testing::temp_folder folder;
  const auto text = "[node]\nname = \"a\"\n[cluster]\nname = \"hive\"\n"
                    "listen = \"tcp://127.0.0.1:0\"\nseeds = [\"a=tcp://127.0.0.1:1\"]\n"
                    "data_dir = \""
                    + folder.file("") + "\"\n";
  const auto made = start(
    {publishing_role({{"tool/", name_scope::cluster}, {"desk/"}}, {"tool/clock", "desk/clock"})},
    text);
  INFO((made ? "" : made.error().detail));
  REQUIRE(made);
  auto& env = (*made)->env();
  const auto is_route = [&](std::string_view name) {
    const auto found = env.find(name);
    REQUIRE(found);
    return dynamic_cast<route*>(caf::actor_cast<caf::abstract_actor*>(found)) != nullptr;
  };
  CHECK(is_route("tool/clock"));
  CHECK_FALSE(is_route("desk/clock"));
}
