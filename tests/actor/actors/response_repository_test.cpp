// Any node of a cluster finds the responses of the others.
#include "actors/gateway/response_repository.hpp"
#include "actors/store/store_keeper.hpp"
#include "messages/core.hpp"
#include "runtime/io/sqlite_store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fake_cluster.hpp"
#include "tests/support/real_system.hpp"

using namespace skep;
using namespace skep::actors;
using skep::test::eventually;
using skep::test::fake_cluster;

namespace {

/// An actor with a repository that does what it is told.
class desk_owner : public rt::bounded_actor {
public:
  desk_owner(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
             rt::cluster_port& cluster, const gateway_config& rules)
    : bounded_actor(config, env, kind), desk(*this, cluster, rules) {}

  response_repository desk;

protected:
  caf::behavior make_behavior() override {
    return {[](const rt::call&, const msg::ack&) {
      // Nothing to do: the test calls the repository.
    }};
  }
};

struct two_nodes {
  two_nodes() {
    net.use(sys.env());
    auto opened = io::sqlite_store::open({}, metrics);
    REQUIRE(opened);
    store = std::move(*opened);
    const auto keeper = sys.spawn<store_keeper>(sys.kind("store"), store_keeper_config{}, store);
    sys.env().directory().add("store", keeper);
    net.publish("a", "store", keeper);
    for (auto* port : {&a, &b})
      port->set(fake_cluster::state(1, {"a", "b"}, 1));
    at_a = spawn(a);
    at_b = spawn(b);
  }
  ~two_nodes() {
    net.clear();
  }

  desk_owner* spawn(rt::cluster_port& port) {
    const auto who = sys.spawn<desk_owner>(sys.kind("desk"), std::ref(port), std::cref(rules));
    sys.tell(who, msg::ack{}); // It begins with its first message.
    return dynamic_cast<desk_owner*>(caf::actor_cast<caf::abstract_actor*>(who));
  }
  /// Puts a response under the id, as node a does when it has answered.
  void keep(const std::string& id) {
    const auto put
      = sys.ask(sys.env().directory().find("store"),
                msg::store_put_request{{"acme", "response", id},
                                       R"({"response":{"id":"x"},"input":[{"n":1}]})"});
    CHECK(eventually([&] {
      sys.run();
      return put->complete();
    }));
  }
  expected<std::optional<kept_response>> find(desk_owner* at, const std::string& id) {
    std::optional<expected<std::optional<kept_response>>> got;
    at->desk.find(sys.context(), "acme", id, [&](auto found) { got = std::move(found); });
    CHECK(eventually([&] {
      sys.run();
      return got.has_value();
    }));
    return *got;
  }

  telemetry::registry metrics;
  std::shared_ptr<io::sqlite_store> store;
  gateway_config rules;
  fake_cluster net;
  test::fake_port& a = net.add("a");
  test::fake_port& b = net.add("b");
  rt::test_system sys;
  desk_owner* at_a = nullptr;
  desk_owner* at_b = nullptr;
};

} // namespace

TEST_CASE("ids name their node and never repeat", "[actors][gateway][responses]") {
  two_nodes nodes;
  const auto id = nodes.at_a->desk.make_id();
  CHECK(id.size() == 5 + 48);
  CHECK(id.starts_with("resp_"));
  CHECK(id != nodes.at_a->desk.make_id());
  CHECK(id.substr(37) == nodes.at_a->desk.make_id().substr(37));
  CHECK(id.substr(37) != nodes.at_b->desk.make_id().substr(37));
}

TEST_CASE("a response is found from its own node and from another",
          "[actors][gateway][responses]") {
  two_nodes nodes;
  const auto id = nodes.at_a->desk.make_id();
  nodes.keep(id);
  const auto here = nodes.find(nodes.at_a, id);
  REQUIRE(here);
  REQUIRE(*here);
  CHECK((*here)->object == R"({"id":"x"})");
  CHECK((*here)->input == std::vector<std::string>{R"({"n":1})"});
  CHECK(nodes.net.sent == 0);
  const auto there = nodes.find(nodes.at_b, id);
  REQUIRE(there);
  REQUIRE(*there);
  CHECK((*there)->object == R"({"id":"x"})");
  CHECK(nodes.net.sent == 1);
  std::optional<expected<bool>> gone;
  nodes.at_b->desk.forget(nodes.sys.context(), "acme", id,
                          [&](expected<bool> done) { gone = std::move(done); });
  CHECK(eventually([&] {
    nodes.sys.run();
    return gone.has_value();
  }));
  CHECK(**gone);
  CHECK_FALSE(*nodes.find(nodes.at_a, id));
}

TEST_CASE("a node that is gone is told from a response that is", "[actors][gateway][responses]") {
  two_nodes nodes;
  const auto id = nodes.at_a->desk.make_id();
  nodes.keep(id);
  nodes.net.set_down("a", true);
  CHECK(nodes.find(nodes.at_b, id).error().code == errc::node_down);
  nodes.b.set(fake_cluster::state(2, {"b"}, 1));
  const auto left = nodes.find(nodes.at_b, id);
  REQUIRE_FALSE(left);
  CHECK(left.error().code == errc::node_down);
  CHECK(left.error().retry_after.count() > 0);
  for (const auto* none : {"", "resp_", "resp_1", "msg_1", "resp_zz"})
    CHECK_FALSE(*nodes.find(nodes.at_b, none));
  CHECK_FALSE(*nodes.find(nodes.at_b, "resp_" + std::string(48, 'g')));
}
