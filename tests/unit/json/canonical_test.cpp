#include "runtime/json/canonical.hpp"
#include "tests/support/catch.hpp"

#include <vector>

using namespace skep;

TEST_CASE("the canonical form is that of the value", "[json]") {
  const auto form
    = [](std::string_view text) { return json::canonical_form(text).value_or("none"); };
  CHECK(form(R"({"b":[1,{"y":null,"x":"é"}],"a":true})")
        == form(" { \"a\" : true, \"b\" : [ 1 , { \"x\":\"\\u00e9\" , \"y\":null } ] } "));
  CHECK(form(R"({"a":1,"b":2,"a":3})") == form(R"({"b":2,"a":3})"));
  CHECK(form(R"({"a":1,"a":1})") == form(R"({"a":1})"));
  const std::vector<const char*> different{"{}",
                                           "[]",
                                           "null",
                                           "\"null\"",
                                           "1",
                                           "-1",
                                           "1.0",
                                           "\"1\"",
                                           "true",
                                           "false",
                                           R"({"a":1})",
                                           R"({"a":"1"})",
                                           R"(["a"])",
                                           "[[\"a\"]]",
                                           R"(["a","b"])",
                                           R"(["ab"])",
                                           "[1,2]",
                                           "[[1],2]",
                                           "12345678901234567890123",
                                           "12345678901234567890124"};
  for (const auto* one : different)
    for (const auto* other : different)
      CHECK((form(one) == form(other)) == (one == other));
  for (const auto* none : {"", "{", "nonsense", "1 2"})
    CHECK_FALSE(json::canonical_form(none));
}
