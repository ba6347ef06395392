#include "runtime/flow/rng.hpp"
#include "runtime/json/check.hpp"
#include "runtime/json/members.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace skep;

namespace {

std::string levels(std::size_t n) {
  return std::string(n, '[') + std::string(n, ']');
}

std::string elements(std::size_t n) {
  std::string text = "[\"\"";
  while (--n > 1)
    text += ",\"\"";
  return text + "]";
}

std::string complaint(std::string_view text) {
  const auto checked = json::check(text);
  return checked ? "none" : checked.error().detail;
}

/// Texts that are JSON, each with something of its own.
const std::vector<std::string> samples{
  "0",
  "-0",
  "-1.5e+3",
  "1E5",
  "0.1e-400",
  "123456789012345678901234567890",
  "\"\"",
  "true",
  "false",
  "null",
  "{}",
  "[]",
  " \t\r\n[ 1 , { \"a\" : [ ] } ] ",
  "\xEF\xBB\xBF{\"a\":1}",
  R"({"a":{"b":[true,false,null,-12.5e-3,"x\"\\\/\b\f\n\r\té\ud83d\ude00"]},"a":[]})",
  "\"\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80 eight plain bytes and more\"",
  R"([{"type":"text","text":"a long text, longer than eight bytes"},[[]],[{}],{"k":{"k":{}}}])"};

} // namespace

TEST_CASE("nesting and elements of a text from outside have bounds", "[json]") {
  CHECK(json::check(levels(json::depth_max)));
  const auto deep = json::check(levels(json::depth_max + 1));
  REQUIRE_FALSE(deep);
  CHECK(deep.error() == failure{errc::bad_request, "it is nested deeper than 64 levels"});
  CHECK(json::check(elements(json::elements_max)));
  const auto many = json::check(elements(json::elements_max + 1));
  REQUIRE_FALSE(many);
  CHECK(many.error().code == errc::too_large);
  CHECK(many.error().detail.find("more than 500000 elements") != std::string::npos);
  std::string numbers = "[1";
  for (std::size_t n = 0; n < 2 * json::elements_max; ++n)
    numbers += ",1";
  CHECK(json::check(numbers + "]"));
}

TEST_CASE("depth is counted by what is open, not by what was", "[json]") {
  std::string text = "[";
  for (int n = 0; n < 1000; ++n)
    text += levels(json::depth_max - 1) + ",{},";
  CHECK(json::check(text + "0]"));
}

TEST_CASE("texts that pass a bound are counted by the bound", "[json]") {
  const auto before = json::refusals();
  CHECK_FALSE(json::check(levels(json::depth_max + 1)));
  CHECK_FALSE(json::check(R"({"a":)" + levels(100) + "}"));
  CHECK_FALSE(json::check(elements(json::elements_max + 1)));
  CHECK_FALSE(json::check("no JSON"));
  CHECK(json::check("[]"));
  const auto after = json::refusals();
  CHECK(after.depth == before.depth + 2);
  CHECK(after.elements == before.elements + 1);
}

TEST_CASE("a refusal says what is wrong and where", "[json]") {
  const auto at = [](int line, int column) {
    return "parse error at line " + std::to_string(line) + ", column " + std::to_string(column)
           + ": ";
  };
  CHECK(complaint("") == at(1, 1) + "a value is expected");
  CHECK(complaint("{\n  \"a\": 1,\n  }") == at(3, 3) + "a member's name is expected");
  CHECK(complaint("{\"a\" 1}") == at(1, 6) + "a colon is expected behind a member's name");
  CHECK(complaint("[1 2]") == at(1, 4) + "a comma or the end of the list is expected");
  CHECK(complaint("{\"a\":1]") == at(1, 7) + "a comma or the end of the object is expected");
  CHECK(complaint("[1]\n]") == at(2, 1) + "the text goes on behind its value");
  CHECK(complaint("\"a") == at(1, 3) + "a string does not end");
  CHECK(complaint("\"a\nb\"") == at(1, 3) + "a string has a control character that is not escaped");
  CHECK(complaint(R"("\ud83d")") == at(1, 2) + "a string has half of a surrogate pair");
  CHECK(complaint(R"("\x")") == at(1, 2) + "a string has an escape that JSON does not know");
  CHECK(complaint("\"\xff\"") == at(1, 2) + "a string has a byte that is not UTF-8");
  CHECK(complaint("-") == at(1, 2) + "a number lacks a digit");
  CHECK(complaint("1e999") == at(1, 6) + "a number is too large");
}

TEST_CASE("what is no JSON is refused", "[json]") {
  for (const auto* text : {"tru",
                           "True",
                           "nul",
                           "nulll",
                           "+1",
                           "01",
                           "-01",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "0x10",
                           "NaN",
                           "[1,]",
                           "[,1]",
                           "{\"a\":1,}",
                           "{,}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\":}",
                           "[}",
                           "{]",
                           "]",
                           "}",
                           "'a'",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\ud800x\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xF4\x90\x80\x80\"",
                           "\"\xE4\xBD\"",
                           "\"\x1f\"",
                           "\"\\",
                           "\"\\u",
                           "\xEF\xBB",
                           "[]\xEF\xBB\xBF",
                           "// a\n1",
                           "1 1"}) {
    INFO(text);
    CHECK_FALSE(json::check(text));
  }
  CHECK_FALSE(json::check(std::string_view{"1\0", 2}));
  CHECK_FALSE(json::check(std::string_view{"\"a\0\"", 4}));
}

// A whole parser is the judge: every sample, and every sample with a byte changed, taken out or put
// in, is JSON to both or to neither.
TEST_CASE("a text is valid when a whole parser takes it", "[json]") {
  constexpr std::string_view bytes = "{}[],:\"\\ \n019.eE+-tfnul/\x01\x7f\x80\xc3\xa9\xed\xf0";
  flow::rng random{7};
  int valid = 0;
  int refused = 0;
  for (int round = 0; round < 40'000; ++round) {
    auto text = samples[random.below(static_cast<std::uint32_t>(samples.size()))];
    for (std::uint32_t changes = random.below(3); changes > 0 && !text.empty(); --changes) {
      const auto at = random.below(static_cast<std::uint32_t>(text.size()));
      const char byte = bytes[random.below(static_cast<std::uint32_t>(bytes.size()))];
      switch (random.below(3)) {
        case 0: text[at] = byte; break;
        case 1: text.erase(at, 1); break;
        default: text.insert(at, 1, byte); break;
      }
    }
    const bool known = nlohmann::json::accept(text);
    INFO(text);
    REQUIRE(json::is_valid(text) == known);
    ++(known ? valid : refused);
  }
  CHECK(valid > 5000);
  CHECK(refused > 5000);
}
