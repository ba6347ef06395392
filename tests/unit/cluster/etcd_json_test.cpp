#include "runtime/base/base64.hpp"
#include "runtime/cluster/etcd_json.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::rt;
using nlohmann::json;

TEST_CASE("requests are what etcd's gateway reads", "[cluster][etcd]") {
  CHECK(json::parse(etcd::grant_body(std::chrono::seconds{5})) == json{{"TTL", "5"}});
  CHECK(json::parse(etcd::lease_body(7587862094992166417u)) == json{{"ID", "7587862094992166417"}});
  const json range{{"key", to_base64("/skep/x/")}, {"range_end", to_base64("/skep/x0")}};
  CHECK(json::parse(etcd::range_body("/skep/x/")) == range);
  CHECK(json::parse(etcd::watch_body("/skep/x/")) == json{{"create_request", range}});
  const auto put = json::parse(etcd::put_if_body("k", "v", 9, 4));
  CHECK(
    put["compare"]
    == json::array({json{
      {"key", to_base64("k")}, {"target", "MOD"}, {"result", "EQUAL"}, {"mod_revision", "4"}}}));
  CHECK(put["success"][0]["request_put"]
        == json{{"key", to_base64("k")}, {"value", to_base64("v")}, {"lease", "9"}});
  CHECK(put["failure"][0]["request_range"] == json{{"key", to_base64("k")}});
  CHECK_FALSE(
    json::parse(etcd::put_if_body("k", "v", 0, 4))["success"][0]["request_put"].contains("lease"));
}

TEST_CASE("answers of a real etcd are read", "[cluster][etcd]") {
  const std::string header
    = R"("header":{"cluster_id":"1","member_id":"2","revision":"17","raft_term":"3"})";
  const auto lease = etcd::read_grant("{" + header + R"(,"ID":"7587862094992166417","TTL":"5"})");
  REQUIRE(lease);
  CHECK(lease->id == 7587862094992166417u);
  CHECK(lease->ttl == std::chrono::seconds{5});

  const auto kept
    = etcd::read_keepalive(R"({"result":{)" + header + R"(,"ID":"12","TTL":"5"}})" + "\n");
  REQUIRE(kept);
  CHECK(kept->ttl == std::chrono::seconds{5});
  const auto lost = etcd::read_keepalive(R"({"result":{)" + header + R"(,"ID":"12"}})");
  REQUIRE(lost);
  CHECK(lost->ttl == std::chrono::seconds{0});

  const auto nothing = etcd::read_range("{" + header + "}");
  REQUIRE(nothing);
  CHECK(nothing->revision == 17);
  CHECK(nothing->keys.empty());
  const auto some = etcd::read_range(
    "{" + header
    + R"(,"kvs":[{"key":"aw==","create_revision":"3","mod_revision":"4","version":"1",)"
    + R"("value":"dg==","lease":"12"},)" + R"({"key":"bA==","mod_revision":"5"}],"count":"2"})");
  REQUIRE(some);
  CHECK(some->keys == std::vector<etcd::key_value>{{"k", "v", 4, 12}, {"l", "", 5, 0}});

  const auto put = etcd::read_put_if(
    "{" + header + R"(,"succeeded":true,"responses":[{"response_put":{"header":{}}}]})");
  REQUIRE(put);
  CHECK(put->done);
  CHECK(put->revision == 17);
  const auto refused = etcd::read_put_if(
    "{" + header
    + R"(,"responses":[{"response_range":{"kvs":[{"key":"aw==","mod_revision":"4"}]}}]})");
  REQUIRE(refused);
  CHECK_FALSE(refused->done);
  REQUIRE(refused->found);
  CHECK(refused->found->mod_revision == 4);
  const auto gone
    = etcd::read_put_if("{" + header + R"(,"responses":[{"response_range":{"header":{}}}]})");
  REQUIRE(gone);
  CHECK_FALSE(gone->found);
}

TEST_CASE("answers that are none are refused", "[cluster][etcd]") {
  const std::vector<std::string> garbage{
    "",
    "\n",
    "null",
    "[]",
    "17",
    "\"text\"",
    "{}",
    "{",
    "<html>502</html>",
    R"({"error":"etcdserver: no leader","code":14})",
    R"({"header":[],"ID":"-1","TTL":"5"})",
    R"({"header":{"revision":"x"},"ID":"1e9","TTL":"5","kvs":[]})",
    R"({"header":{"revision":-4},"ID":"12","TTL":"99999999999999999999"})",
    R"({"header":{"revision":"1"},"kvs":{}})",
    R"({"header":{"revision":"1"},"kvs":[[]]})",
    R"({"header":{"revision":"1"},"kvs":[{"key":17}]})",
    R"({"header":{"revision":"1"},"kvs":[{"key":"a"}]})",
    R"({"header":{"revision":"1"},"succeeded":"yes","kvs":null})",
    R"({"header":{"revision":"1"},"responses":[],"kvs":7})",
    R"({"header":{"revision":"1"},"responses":[7],"kvs":[null]})",
    R"({"result":[]})",
    R"({"result":{"TTL":"5"}})",
    R"({"result":{"ID":"5","TTL":"1000000"}})",
    std::string(100'000, '['),
    "\xff\xfe\x00",
  };
  for (const auto& each : garbage) {
    INFO(each.substr(0, 80));
    CHECK_FALSE(etcd::read_grant(each));
    CHECK_FALSE(etcd::read_keepalive(each));
    CHECK_FALSE(etcd::read_range(each));
    CHECK_FALSE(etcd::read_put_if(each));
    CHECK_FALSE(etcd::read_member(each));
    CHECK_FALSE(etcd::read_view(each));
  }
  CHECK(etcd::read_range("?").error().code == errc::malformed);
}

TEST_CASE("members and views are JSON that people can read", "[cluster][etcd]") {
  const msg::member a{"a", 0xffff'ffff'ffff'fffe, "tcp://10.0.0.1:7400", 3, true};
  CHECK(etcd::member_text(a)
        == R"({"name":"a","incarnation":18446744073709551614,"address":"tcp://10.0.0.1:7400",)"
           R"("weight":3,"draining":true})");
  CHECK(etcd::read_member(etcd::member_text(a)) == a);
  const msg::cluster_view view{9, "b", {a, {"b", 1, "x", 0, false}}};
  CHECK(etcd::read_view(etcd::view_text(view)) == view);
  CHECK(etcd::read_view(R"({"number":1,"proposer":"a","members":[],"new":true})")
        == msg::cluster_view{1, "a", {}});

  for (const auto* wrong : {R"({"name":"","incarnation":1})", R"({"name":"a","incarnation":-1})",
                            R"({"name":"a","weight":4294967296})", R"({"name":"a","draining":1})",
                            R"({"name":"a","address":7})"})
    CHECK_FALSE(etcd::read_member(wrong));
  for (const auto* wrong :
       {R"({"number":0,"proposer":"a","members":[]})", R"({"number":1,"proposer":"a"})",
        R"({"number":1,"proposer":"a","members":[{"name":"b"},{"name":"a"}]})",
        R"({"number":1,"proposer":"a","members":[{"name":"a"},{"name":"a"}]})",
        R"({"number":1,"proposer":"a","members":[7]})"})
    CHECK_FALSE(etcd::read_view(wrong));
}

TEST_CASE("names that are no UTF-8 are written as JSON all the same", "[cluster][etcd]") {
  const auto text = etcd::member_text({"a\xff", 1, "", 1, false});
  CHECK(etcd::read_member(text));
}
