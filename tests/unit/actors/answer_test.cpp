#include "actors/common/answer.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

msg::chat_reply reply_of(std::string text) {
  msg::chat_reply reply;
  reply.id = "x";
  reply.model = "m";
  reply.choices.emplace_back();
  reply.choices.back().content = std::move(text);
  reply.choices.back().finish_reason = "stop";
  return reply;
}

std::string played(answer_player player) {
  std::string text;
  while (const auto piece = player.next())
    text += piece->content;
  return text;
}

} // namespace

TEST_CASE("an answer played as a stream and collected again is the same", "[actors][answer]") {
  std::string text(5000, 'a');
  text.append("end");
  const auto before = reply_of(std::move(text));
  answer_player player{before};
  answer_builder builder{1 << 20};
  builder.open(player.open());
  while (const auto piece = player.next())
    builder.add(*piece);
  const auto after = builder.finish(player.end());
  REQUIRE(after);
  CHECK(*after == before);
}

TEST_CASE("pieces never end inside a character", "[actors][answer]") {
  std::string text;
  for (int n = 0; n < 2000; ++n)
    text += "\xe2\x82\xac"; // Three bytes each, so that 1024 falls inside one.
  answer_player player{reply_of(text)};
  while (const auto piece = player.next())
    CHECK(piece->content.size() % 3 == 0);
  CHECK(played(answer_player{reply_of(text)}) == text);
}

TEST_CASE("an empty answer is one piece with its finish reason", "[actors][answer]") {
  answer_player player{reply_of("")};
  const auto piece = player.next();
  REQUIRE(piece);
  CHECK(piece->finish_reason == "stop");
  CHECK(!player.next());
}

TEST_CASE("an answer over the bound, or with more than text, is not collected",
          "[actors][answer]") {
  answer_builder small{100};
  msg::chat_chunk piece;
  piece.content = std::string(200, 'x');
  small.add(piece);
  CHECK(!small.finish({}));
  answer_builder tools{1 << 20};
  piece.content.clear();
  piece.delta_rest = R"({"tool_calls":[]})";
  tools.add(piece);
  CHECK(!tools.finish({}));
}
