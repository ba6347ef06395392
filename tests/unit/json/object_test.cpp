#include "runtime/json/object.hpp"
#include "runtime/json/splice.hpp"
#include "tests/support/catch.hpp"

using namespace skep;

TEST_CASE("members are looked up by name, a null counts as none", "[json]") {
  const json::object body{R"({"a":"x\n","n":7.9,"z":null,"o":{"k": 1},"minus":-1,"much":1e300})"};
  CHECK(body.at("o") == R"({"k": 1})");
  CHECK(body.text("a") == "x\n");
  CHECK(body.text("n").empty());
  CHECK(body.count("n") == 7);
  CHECK(body.count("minus") == 0);
  CHECK(body.count("much") == 0);
  CHECK(body.has("a"));
  CHECK_FALSE(body.has("z"));
  CHECK_FALSE(body.has("missing"));
  CHECK(json::object{"[]"}.members().empty());
}

TEST_CASE("an object is written member by member", "[json]") {
  json::object_writer out;
  CHECK(out.object() == "{}");
  CHECK(out.object_or_nothing().empty());
  out.text("t\"", "a\n").number("n", 5).raw("r", "[1]").raw("left out", "");
  CHECK(out.object() == R"({"t\"":"a\n","n":5,"r":[1]})");
  CHECK(json::array_of({"1", "{}"}) == "[1,{}]");
  CHECK(json::array_of({}) == "[]");
}

TEST_CASE("members are spliced into an object unless they stand there", "[json]") {
  std::string out = R"({"a":1)";
  json::splice(out, "{}");
  json::splice(out, "");
  json::splice(out, R"({"b": 2})");
  json::splice_but(out, R"({"a":5,"c":3})", {"a"});
  json::splice_but(out, R"({"a":6})", {"a"});
  json::append_member(out += ',', "d", "x\"");
  CHECK(out + "}" == R"({"a":1,"b": 2,"c":3,"d":"x\""})");
}
