#include "actors/gateway/role.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <array>
#include <string>

using namespace skep;
using net::testing::raw_client;

namespace {

expected<std::unique_ptr<rt::node>> start_node(const std::string& listen) {
  const std::array roles{actors::gateway_role()};
  config::sources from;
  from.file = "test.toml";
  from.text = "[gateway]\nthreads = 2\nlisten = \"" + listen + "\"\n";
  const auto document = config::load(rt::node::schema_of(roles), from);
  REQUIRE(document);
  return rt::node::start(*document, roles);
}

std::uint16_t port_of(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

} // namespace

TEST_CASE("a node with the gateway's role serves where its status says and drains",
          "[actors][gateway][role]") {
  auto node = start_node("127.0.0.1:0");
  REQUIRE(node);
  // Several connections, so that both threads get some.
  for (int n = 0; n < 8; ++n) {
    raw_client client{port_of((*node)->status().endpoint)};
    REQUIRE(client.send("GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
    const auto text = client.read_to_end();
    CHECK(text.starts_with("HTTP/1.1 200"));
    CHECK(text.find(R"("gateway/1":"ready")") != std::string::npos);
  }
  CHECK((*node)->drain());
}

TEST_CASE("a node whose port is taken does not start and says which", "[actors][gateway][role]") {
  auto first = start_node("127.0.0.1:0");
  REQUIRE(first);
  const auto taken = (*first)->status().endpoint;
  const auto second = start_node(taken);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::transport_failed);
  CHECK(second.error().detail.find(taken) != std::string::npos);
}
