#include "runtime/flow/rng.hpp"
#include "runtime/json/string.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>

using namespace skep;

TEST_CASE("bytes that are no UTF-8 are not written", "[json]") {
  CHECK(json::quoted("a\xff") == "\"a\xef\xbf\xbd\"");
  CHECK(json::quoted("\xE4\xBD") == "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST_CASE("text is written with the escapes it needs and no others", "[json]") {
  CHECK(json::quoted("") == "\"\"");
  CHECK(json::quoted("a/\x7f\xC3\xA9") == "\"a/\x7f\xC3\xA9\"");
  std::string controls;
  for (char c = 0; c < 0x20; ++c)
    controls += c;
  CHECK(json::quoted(controls + "\"\\") == nlohmann::json(controls + "\"\\").dump());
}

TEST_CASE("a string is read with its escapes", "[json]") {
  CHECK(json::string_of(R"("")") == "");
  CHECK(json::string_of(R"("plain")") == "plain");
  CHECK(json::string_of(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(json::string_of(R"("\u0041\u00e9\u20AC\ud83d\ude00!")")
        == "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!");
  CHECK(json::string_of(R"("\u0000")") == std::string(1, '\0'));
}

TEST_CASE("what is no string has no text", "[json]") {
  for (const auto* value : {"", "1", "null", "{}", "\"", "\"a", "\"a\"b", "\"a\" ", "\"\\q\"",
                            "\"\\ud800\"", "\"\\udc00\"", "\"\xff\"", "\"\n\""})
    CHECK_FALSE(json::string_of(value));
}

TEST_CASE("a text that was written is read as it was", "[json]") {
  constexpr std::string_view bytes = "ab \"\\/\n\t\x01\x7f";
  flow::rng random{11};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint32_t n = random.below(40); n > 0; --n)
      switch (random.below(4)) {
        case 0: text += "\xE4\xBD\xA0"; break;
        case 1: text += "\xF0\x9F\x98\x80"; break;
        default: text += bytes[random.below(static_cast<std::uint32_t>(bytes.size()))]; break;
      }
    const auto written = json::quoted(text);
    CHECK(written == nlohmann::json(text).dump());
    CHECK(json::string_of(written) == text);
    const auto ascii = nlohmann::json(text).dump(-1, ' ', true);
    CHECK(json::string_of(ascii) == text);
  }
}
