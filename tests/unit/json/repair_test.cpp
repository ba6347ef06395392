#include "runtime/json/check.hpp"
#include "runtime/json/object.hpp"
#include "runtime/json/repair.hpp"
#include "tests/support/catch.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace skep;

namespace {

using texts = std::vector<std::string>;

std::string object_with(const std::string& text) {
  return R"({"t":")" + text + R"("})";
}

} // namespace

TEST_CASE("what no text can have becomes U+FFFD", "[json][repair]") {
  CHECK(json::repaired(object_with(R"(a\ud83db)")) == object_with("a\uFFFDb"));
  CHECK(json::repaired(object_with(R"(\udcaf)")) == object_with("\uFFFD"));
  CHECK(json::repaired(object_with("a\xF0\x9F")) == object_with("a\uFFFD"));
  CHECK(json::repaired(object_with("\x9F\x98z")) == object_with("\uFFFD\uFFFDz"));
  CHECK(json::repaired(object_with(R"(\ud83d\u0041)")) == object_with(R"(�\u0041)"));
}

TEST_CASE("a text that needs no repair keeps its bytes", "[json][repair]") {
  const auto text
    = GENERATE(as<std::string>{}, R"({"a":"\ud83d\ude00 \\ud83d \" é","b":[1,{}]})",
               "{\"a\":\"\U0001F600\"}", "", "{nonsense", R"({"cut":"\)", R"("\u12)", "[DONE]");
  CHECK(json::repaired(text) == text);
}

TEST_CASE("a character that two texts share is put together", "[json][repair]") {
  const auto [first, second]
    = GENERATE(std::pair{std::string{R"(a\ud83d)"}, std::string{R"(\ude00b)"}},
               std::pair{std::string{"a\xF0\x9F"}, std::string{"\x98\x80"
                                                               "b"}});
  json::stream_repair repair;
  CHECK(repair.add(object_with(first)).empty());
  CHECK(repair.holds());
  const auto ready = repair.add(object_with(second));
  REQUIRE(ready.size() == 2);
  CHECK(json::object{ready[0]}.text("t") == "a");
  CHECK(json::object{ready[1]}.text("t")
        == "\U0001F600"
           "b");
  CHECK(!repair.holds());
}

TEST_CASE("a character cut in three is put together", "[json][repair]") {
  json::stream_repair repair;
  CHECK(repair.add(object_with("\xF0")).empty());
  CHECK(repair.add(object_with("\x9F\x98")) == texts{object_with("")});
  CHECK(repair.add(object_with("\x80")) == texts{object_with(""), object_with("\U0001F600")});
}

TEST_CASE("a half whose other half never comes becomes U+FFFD", "[json][repair]") {
  json::stream_repair repair;
  CHECK(repair.add(object_with(R"(a\ud83d)")).empty());
  SECTION("because another text comes") {
    CHECK(repair.add(object_with("b")) == texts{object_with("a\uFFFD"), object_with("b")});
  }
  SECTION("because the stream ends with a mark") {
    CHECK(repair.add("[DONE]") == texts{object_with("a\uFFFD"), "[DONE]"});
  }
  SECTION("because nothing follows") {
    CHECK(repair.finish() == object_with("a\uFFFD"));
    CHECK(!repair.finish());
  }
  SECTION("because bytes come for an escape") {
    CHECK(repair.add(object_with("\x98\x80")).front() == object_with("a\uFFFD"));
  }
}

TEST_CASE("what is repaired is JSON, whatever its strings held", "[json][repair]") {
  std::uint32_t seed = 1;
  for (int round = 0; round < 2'000; ++round) {
    std::string text;
    for (int n = 0; n < 8; ++n) {
      seed = seed * 1'664'525 + 1'013'904'223;
      constexpr std::array<const char*, 8> pieces{R"(\ud83d)", R"(\ude00)", "\xF0", "\x9F",
                                                  "\x98",      "\x80",      "a",    R"(\\)"};
      text += pieces[seed >> 29];
    }
    CAPTURE(round, text);
    REQUIRE(json::is_valid(json::repaired(object_with(text))));
  }
}
