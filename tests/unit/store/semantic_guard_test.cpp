#include "runtime/store/semantic_guard.hpp"
#include "runtime/store/semantic_text.hpp"
#include "tests/support/catch.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>

using namespace skep::store;

namespace {

using text_pair = std::pair<std::string_view, std::string_view>;

bool agree_on(const text_pair& pair, guard_rule rule) {
  const guard_signature a{pair.first};
  const guard_signature b{pair.second};
  // Symmetric, and every text agrees with itself.
  CHECK(agree(a, b, rule) == agree(b, a, rule));
  CHECK(agree(a, a, rule));
  return agree(a, b, rule);
}

std::string texts_of(std::string_view text) {
  std::string all;
  for (const auto& piece : pieces_of(text))
    all += (all.empty() ? "" : "|") + piece.text;
  return all;
}

} // namespace

TEST_CASE("texts that vectors confuse disagree", "[store][semantic][guard]") {
  // Cosines of a sentence encoder for the first four, as measured: .972, .949, .948, .944.
  const auto pair = GENERATE(values<text_pair>({
    {"Transfer $100 from Alice to Bob", "Transfer $100 from Bob to Alice"},
    {"Show the orders of user 42", "Show the orders of user 43"},
    {"How do I enable the firewall?", "How do I disable the firewall?"},
    {"Is it safe to eat?", "Is it unsafe to eat?"},
    {"transfer 5 from alice to bob", "transfer 5 from bob to alice"},
    {"Can I eat it?", "Can't I eat it?"},
    {"Pay twenty dollars", "Pay thirty dollars"},
    {"Pay 100 dollars", "Pay 100 euros"},
    {"Pay $5", "Pay 5 cents"},
    {"the first chapter", "the second chapter"},
    {"Who wrote the book?", "When was the book written?"},
    {"What to do before surgery", "What to do after surgery"},
    {"pizza with cheese", "pizza without cheese"},
    {"flights from Lisbon", "flights to Lisbon"},
    {"Is the form required?", "Is the form optional?"},
    {"Is this valid?", "Is this invalid?"},
    {"explain open_file", "explain open_pipe"},
    {"what does `git reset` do", "what does `git revert` do"},
    {"if x < y", "if x > y"},
    {"Use C", "Use C++"},
    {"Is -5 a temperature?", "Is 5 a temperature?"},
    {"version 2.1", "version 2.10"},
    {"I say \xF0\x9F\x91\x8D", "I say \xF0\x9F\x91\x8E"},
    {"Only members vote", "Members vote"},
    {"tea or coffee", "tea and coffee"},
    {"not Alice but Bob", "Alice but not Bob"},
    {"Caf\xC3\xA9 in K\xC3\xB6ln on Monday", "Caf\xC3\xA9 in K\xC3\xB6ln on Sunday"},
    {"call \"Anna\"", "call \"Hanna\""},
    {"my father's name", "my brother's name"},
    {"encrypt the file", "encode the file"},
    {"the largest mountain", "the highest mountain"},
    {"bytes \xFF here", "bytes \xFE here"},
  }));
  CAPTURE(pair.first, pair.second);
  CHECK(!agree_on(pair, guard_rule::signature));
  CHECK(!agree_on(pair, guard_rule::words));
}

TEST_CASE("texts that differ in small words agree", "[store][semantic][guard]") {
  const auto pair = GENERATE(values<text_pair>({
    {"How do I reset my password?", "Can you tell me how to reset a password?"},
    {"How do I reset my password?", "how can I reset the password"},
    {"What is the capital of France?", "Tell me the capital of France, please!"},
    {"What's the capital of France?", "what is the capital of france"},
    {"Convert twenty miles to kilometers", "convert 20 miles to km"},
    {"The bill is 1,500 dollars", "the bill is $1500"},
    {"two hundred and five apples", "205 apples"},
    {"Do not open it", "don't open it"},
    {"the 3rd door", "the third door"},
    {"\xC3\x9C"
     "ber \xC3\x84rzte",
     "\xC3\xBC"
     "ber \xC3\xA4rzte"},
    {"\xE2\x80\x9CHamlet\xE2\x80\x9D by Shakespeare", "\"Hamlet\" by Shakespeare"},
    {"it\xE2\x80\x99s five o'clock", "it's five o'clock"},
    {"\xEF\xBC\x94\xEF\xBC\x92 apples", "42 apples"},
  }));
  CAPTURE(pair.first, pair.second);
  CHECK(agree_on(pair, guard_rule::words));
  CHECK(agree_on(pair, guard_rule::signature));
}

TEST_CASE("the rule of words also sees what no list knows", "[store][semantic][guard]") {
  const text_pair pair{"how do I cook rice", "how do I cook pasta"};
  CHECK(agree_on(pair, guard_rule::signature));
  CHECK(!agree_on(pair, guard_rule::words));
  // In a language without lists, negation is a word like any other.
  CHECK(!agree_on({"das ist gut", "das ist nicht gut"}, guard_rule::words));
}

TEST_CASE("a text is cut into words, numbers, code and symbols", "[store][semantic][text]") {
  CHECK(texts_of("Pay $1,500.50 to Bob's shop.") == "pay|$|1500.50|to|bob's|shop");
  CHECK(texts_of("10km at 5pm, the 3rd") == "10|km|at|5|pm|the|3");
  CHECK(texts_of("use std::vector and C++ 3.1.2") == "use|std|vector|and|C++|3.1.2");
  CHECK(texts_of("user_id a1b2 fooBar x@y.org") == "user_id|a1b2|fooBar|x@y.org");
  CHECK(texts_of("a <= b != c") == "a|<=|b|!=|c");
  CHECK(texts_of("stop!!! now") == "stop|now");
  CHECK(texts_of("\xE6\x9D\xB1\xE4\xBA\xAC") == "\xE6\x9D\xB1|\xE4\xBA\xAC");
  CHECK(texts_of("well-known\xE2\x80\x94yes") == "well|known|yes");
  CHECK(texts_of("").empty());
  CHECK(texts_of("\xFF") == "byte 255");
}

TEST_CASE("any bytes can be cut", "[store][semantic][text]") {
  std::uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int n = 0; n < 40; ++n) {
      state = state * 1664525u + 1013904223u;
      // Mostly the bytes the cutter cares about.
      constexpr std::string_view liked = "aZ0 '\"`.,-+#_$%<!?@:/\n\xC3\xA9\xE2\x80\x9C\xF0";
      const auto pick = state >> 24;
      text += pick < 200 ? liked[pick % liked.size()] : static_cast<char>(state >> 16);
    }
    const guard_signature signed_text{text};
    REQUIRE(agree(signed_text, signed_text, guard_rule::words));
  }
}
