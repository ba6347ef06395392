#include "runtime/base/utf8.hpp"
#include "tests/support/catch.hpp"

#include <string>

using skep::utf8_prefix;
using skep::utf8_repaired;
using skep::utf8_sequence;

TEST_CASE("well-formed sequences have their length", "[base][utf8]") {
  CHECK(utf8_sequence("a") == 1);
  CHECK(utf8_sequence("\xC3\xA9") == 2);
  CHECK(utf8_sequence("\xE2\x82\xAC") == 3);
  CHECK(utf8_sequence("\xF0\x9F\x90\x9D") == 4);
  CHECK(utf8_sequence("\xF4\x8F\xBF\xBF") == 4);
}

TEST_CASE("what is not UTF-8 has none", "[base][utf8]") {
  CHECK(utf8_sequence("") == 0);
  CHECK(utf8_sequence("\x80") == 0);
  CHECK(utf8_sequence("\xC0\xAF") == 0);         // Overlong.
  CHECK(utf8_sequence("\xE0\x80\xAF") == 0);     // Overlong.
  CHECK(utf8_sequence("\xF0\x80\x80\xAF") == 0); // Overlong.
  CHECK(utf8_sequence("\xED\xA0\x80") == 0);     // A surrogate.
  CHECK(utf8_sequence("\xF4\x90\x80\x80") == 0); // Above U+10FFFF.
  CHECK(utf8_sequence("\xF5\x80\x80\x80") == 0);
  CHECK(utf8_sequence("\xE2\x82") == 0); // Cut.
  CHECK(utf8_sequence("\xC3z") == 0);
}

TEST_CASE("a prefix never cuts a sequence", "[base][utf8]") {
  const std::string text = "ab\xE2\x82\xAC"
                           "c";
  CHECK(utf8_prefix(text, 99) == text);
  CHECK(utf8_prefix(text, 5) == "ab\xE2\x82\xAC");
  CHECK(utf8_prefix(text, 4) == "ab");
  CHECK(utf8_prefix(text, 3) == "ab");
  CHECK(utf8_prefix(text, 0).empty());
}

TEST_CASE("repairing replaces each bad byte and keeps the rest", "[base][utf8]") {
  CHECK(utf8_repaired("plain \xC3\xA9") == "plain \xC3\xA9");
  CHECK(utf8_repaired("a\xFF\xE2\x82z") == "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
}
