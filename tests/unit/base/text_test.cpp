#include "runtime/base/text.hpp"
#include "tests/support/catch.hpp"

using namespace skep;

TEST_CASE("blanks at either end are trimmed, others stay", "[base]") {
  CHECK(trimmed(" \ta b\t ") == "a b");
  CHECK(trimmed(" \t ").empty());
  CHECK(trimmed("").empty());
  CHECK(trimmed(" a\r\n") == "a\r\n");
  CHECK(trimmed(" a\r\n", " \r\n") == "a");
}

TEST_CASE("a list is taken piece by piece", "[base]") {
  std::string_view list = "a,,b";
  CHECK(next_of(list, ',') == "a");
  CHECK(next_of(list, ',').empty());
  CHECK(next_of(list, ',') == "b");
  CHECK(list.empty());
  CHECK(next_of(list, ',').empty());
}
