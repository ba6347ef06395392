#include "runtime/flow/rng.hpp"
#include "runtime/json/members.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace skep;

namespace {

std::vector<std::string> names_in(std::string_view object) {
  const auto members = json::members_of(object);
  REQUIRE(members);
  std::vector<std::string> names;
  for (const auto& each : *members)
    names.push_back(each.name);
  return names;
}

} // namespace

TEST_CASE("members come in their order with their own bytes", "[json]") {
  const auto members = json::members_of(
    " { \"b\" : [1, {\"x\":\"},]\"}] ,\"a\":-1.50e3,\"s\":\"q\\\"\\\\\" , \"o\":{ } } ");
  REQUIRE(members);
  REQUIRE(members->size() == 4);
  CHECK((*members)[0].name == "b");
  CHECK((*members)[0].value == "[1, {\"x\":\"},]\"}]");
  CHECK((*members)[1].value == "-1.50e3");
  CHECK((*members)[2].value == "\"q\\\"\\\\\"");
  CHECK((*members)[3].value == "{ }");
  CHECK(json::members_of("{}")->empty());
  CHECK(names_in(R"({"a":1})") == std::vector<std::string>{"a"});
}

TEST_CASE("a name counts once, whatever its escapes, and its last value stands", "[json]") {
  const auto members = json::members_of("{\"m\":1,\"b\":2,\"\\u006d\":3,\"m\":4}");
  REQUIRE(members);
  REQUIRE(members->size() == 2);
  CHECK((*members)[0].name == "m");
  CHECK((*members)[0].value == "4");
  CHECK((*members)[1].value == "2");
}

TEST_CASE("what is no object has no members, however it ends", "[json]") {
  for (const auto* text :
       {"", " ", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{\"a\":1}x",
        "{a:1}", "{\"a\" 1}", "{\"a\":\"", "{\"a\":\"\\", "null"})
    CHECK_FALSE(json::members_of(text));
  CHECK_FALSE(json::elements_of("[1,]"));
  CHECK_FALSE(json::elements_of("[1"));
  CHECK(json::elements_of("[ ]")->empty());
  CHECK(*json::elements_of("[1, [2,3] ,\"]\"]")
        == std::vector<std::string_view>{"1", "[2,3]", "\"]\""});
}

TEST_CASE("taking an object apart and putting it together changes no value", "[json]") {
  flow::rng random{42};
  for (int round = 0; round < 300; ++round) {
    auto object = nlohmann::ordered_json::object();
    for (std::uint32_t n = random.below(6); n > 0; --n) {
      auto& value = object["k" + std::to_string(random.below(9))];
      switch (random.below(4)) {
        case 0: value = random.below(1000); break;
        case 1: value = std::string{"a\"b\\{[,"} + std::to_string(random.below(9)); break;
        case 2: value = {{"x", {1, 2, {{"y", "}"}}}}, {"z", nullptr}}; break;
        default: value = {"[", true, 0.5}; break;
      }
    }
    const auto text = object.dump(random.below(3) == 0 ? 2 : -1);
    const auto members = json::members_of(text);
    REQUIRE(members);
    const auto again = json::object_of(*members);
    CHECK((again.empty() ? "{}" : nlohmann::ordered_json::parse(again).dump()) == object.dump());
  }
}

TEST_CASE("members are left out and the rest stays as it was", "[json]") {
  CHECK(json::object_without(R"({"z":1, "model":"x", "a":{ "b" : 2 }})", {"model"})
        == R"({"z":1,"a":{ "b" : 2 }})");
  CHECK(json::object_without(R"({"model":"x"})", {"model"}).empty());
  CHECK(json::object_without("nonsense", {"model"}).empty());
}

TEST_CASE("one member changes and everything else keeps its bytes", "[json]") {
  CHECK(json::object_with(R"({ "a" : 1.0, "b":[ 2 ] })", "a", "\"x\"")
        == R"({ "a" : "x", "b":[ 2 ] })");
  CHECK(json::object_with(R"({"a":1})", "b", "2") == R"({"a":1,"b":2})");
  CHECK(json::object_with("{ }", "b", "2") == R"({ "b":2})");
  CHECK(json::object_with("[]", "b", "2") == "[]");
}

TEST_CASE("members of one name are noticed", "[json]") {
  CHECK(json::repeats_members(R"({"model":"a","x":1,"model":"b"})"));
  CHECK(json::repeats_members(R"({"model":"a","mod\u0065l":"b"})"));
  CHECK_FALSE(json::repeats_members(R"({"model":"a","x":{"model":1}})"));
  CHECK_FALSE(json::repeats_members("[]"));
}
