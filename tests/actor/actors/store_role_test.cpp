// The role in a node, with a file and in real time.
#include "actors/store/role.hpp"
#include "messages/store.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/io/sqlite_fixture.hpp"

#include <caf/scoped_actor.hpp>

#include <array>
#include <fstream>
#include <memory>
#include <string>

using namespace skep;
using namespace skep::actors;

namespace {

const std::array roles{store_role()};

config::load_result load(const std::string& text) {
  config::sources from;
  from.file = "test.toml";
  from.text = text;
  return config::load(rt::node::schema_of(roles), from);
}

expected<std::unique_ptr<rt::node>> start(const std::string& text) {
  const auto document = load(text);
  REQUIRE(document);
  return rt::node::start(*document, roles);
}

template <class Reply, class Request>
errc ask(rt::node& node, Request request, Reply& into) {
  caf::scoped_actor client{node.env().system()};
  skep::context context;
  context.deadline = clock::now() + 10s;
  failure why;
  client
    ->request(node.env().find("store"), std::chrono::seconds{10}, rt::call{context, nullptr, 1},
              request)
    .receive([&](const Reply& reply) { into = reply; },
             [&](const caf::error& e) { why = from_caf_error(e); });
  return why.code;
}

} // namespace

TEST_CASE("a node's store outlives the node", "[actors][store][role]") {
  const io::testing::temp_folder folder;
  const auto text = "[store]\npath = \"" + folder.file("store.db") + "\"\n";
  msg::store_put_request put{{"acme", "response", "a"}, "value", 60'000};
  msg::store_put_reply written;
  msg::store_get_reply found;
  {
    auto node = start(text);
    REQUIRE(node);
    REQUIRE(ask(**node, put, written) == errc::none);
    CHECK(written.done);
    CHECK_FALSE(start(text)); // One node per file.
  }
  auto node = start(text);
  REQUIRE(node);
  REQUIRE(ask(**node, msg::store_get_request{put.key}, found) == errc::none);
  CHECK(found.value == "value");
  CHECK(found.version == written.version);
  CHECK(found.left_ms > 50'000);
}

TEST_CASE("a node without a path keeps its store in memory, within its bounds",
          "[actors][store][role]") {
  auto node = start("[store]\nvalue_bytes = 1024\n");
  REQUIRE(node);
  msg::store_put_request put{{"acme", "response", "a"}, std::string(1025, 'x')};
  msg::store_put_reply written;
  CHECK(ask(**node, put, written) == errc::too_large);
  put.value.pop_back();
  CHECK(ask(**node, put, written) == errc::none);
}

TEST_CASE("a file that is no store keeps the node from starting", "[actors][store][role]") {
  const io::testing::temp_folder folder;
  std::ofstream{folder.file("x.db")} << std::string(8192, 'x');
  const auto node = start("[store]\npath = \"" + folder.file("x.db") + "\"\n");
  REQUIRE_FALSE(node);
  CHECK(node.error().code == errc::malformed);
  CHECK(node.error().detail.find("x.db") != std::string::npos);
}
