// What a role says of its names, seen from the other nodes of a cluster.
#include "tests/sim/sim_cluster.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/echo_actor.hpp"

using namespace skep;
using namespace skep::test;

namespace {

/// A kind that the runtime has never heard of: the nodes b and c publish a tool that any node may
/// serve, and a desk of their own.
rt::role tool_role() {
  rt::role made;
  made.name = "tool";
  made.publishes = {{"tool/", rt::name_scope::cluster}, {"desk/"}};
  made.build = [](rt::role_context& node) -> expected<void> {
    if (node.cluster().self() == "a")
      return {};
    auto& env = node.env();
    const auto& kind = node.kind("tool", {});
    for (const auto* name : {"tool/clock", "desk/clock"}) {
      rt::child_spec spec;
      spec.name = name;
      spec.start = [&env, &kind] { return env.spawn<worker>(kind); };
      node.supervise(std::move(spec));
    }
    return {};
  };
  return made;
}

bool finds(sim_cluster& sim, std::size_t node, std::string_view name) {
  return static_cast<bool>(sim.cluster_of(node).find(name));
}

} // namespace

TEST_CASE("a role's clustered names are found and called from another node", "[sim][cluster]") {
  sim_cluster sim{1, 3, {tool_role()}};
  sim.run_for(3s);
  REQUIRE(finds(sim, 0, "tool/clock"));
  worker::reset();
  sim.ask(0, 5s, false, "tool/clock");
  sim.run_for(1s);
  REQUIRE(sim.requests().back().got->complete());
  CHECK(sim.requests().back().got->why().code == errc::none);
  CHECK(worker::served().size() == 1);
}

TEST_CASE("a role's clustered names go with the last node that serves them", "[sim][cluster]") {
  sim_cluster sim{2, 3, {tool_role()}};
  sim.run_for(3s);
  sim.crash(1);
  sim.run_for(10s);
  CHECK(finds(sim, 0, "tool/clock"));
  sim.crash(2);
  sim.run_for(10s);
  CHECK_FALSE(finds(sim, 0, "tool/clock"));
}

TEST_CASE("a role's other names belong to their node", "[sim][cluster]") {
  sim_cluster sim{3, 3, {tool_role()}};
  sim.run_for(3s);
  CHECK_FALSE(finds(sim, 0, "desk/clock"));
  CHECK(finds(sim, 1, "desk/clock"));
  // Whoever knows the node may still ask there.
  CHECK(sim.cluster_of(0).nodes_of("desk/clock") == std::vector<std::string>{"b", "c"});
}
