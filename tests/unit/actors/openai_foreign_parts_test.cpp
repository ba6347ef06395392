#include "apis/openai/foreign_parts.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::actors;

namespace {

/// The rest of a user's message with this one part, as chat completions get it.
std::string user_part(const std::string& part) {
  std::vector<msg::chat_message> given{{"user", {}, R"({"content":[)" + part + "]}"}};
  REQUIRE(has_foreign_parts(given));
  return in_openai_parts(given).at(0).rest;
}

std::string content(const std::string& part) {
  return R"({"content":[)" + part + "]}";
}

msg::chat_message tool(const std::string& id, const std::string& parts) {
  return {"tool", {}, R"({"content":[)" + parts + R"(],"tool_call_id":")" + id + R"("})"};
}

constexpr auto image = R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}})";

} // namespace

TEST_CASE("a document is a file, or a text where it holds only text", "[openai][foreign_parts]") {
  CHECK(user_part(R"({"type":"document","source":{"type":"base64","media_type":"application/pdf",)"
                  R"("data":"AA"},"title":"a.pdf"})")
        == content(R"({"type":"file","file":{"filename":"a.pdf",)"
                   R"("file_data":"data:application/pdf;base64,AA"}})"));
  CHECK(user_part(R"({"type":"document","source":{"type":"url","url":"https://x/a.pdf"}})")
        == content(R"({"type":"file","file":{"file_data":"https://x/a.pdf"}})"));
  CHECK(user_part(R"({"type":"document","source":{"type":"file","file_id":"f"}})")
        == content(R"({"type":"file","file":{"file_id":"f"}})"));
  CHECK(user_part(R"({"type":"document","source":{"type":"text","media_type":"text/plain",)"
                  R"("data":"words"},"title":"t","context":"c"})")
        == content(R"({"type":"text","text":"t\nc\n\nwords"})"));
  CHECK(user_part(R"({"type":"document","source":{"type":"content","content":)"
                  R"([{"type":"text","text":"a"},{"type":"text","text":"b"}]}})")
        == content(R"({"type":"text","text":"a\nb"})"));
  const auto* odd = R"({"type":"document","source":{"type":"new"}})";
  CHECK(user_part(odd) == content(odd));
}

TEST_CASE("a search result is a text with its origin", "[openai][foreign_parts]") {
  CHECK(user_part(R"({"type":"search_result","source":"https://x","title":"X","content":)"
                  R"([{"type":"text","text":"found"}]})")
        == content(R"({"type":"text","text":"X\nhttps://x\n\nfound"})"));
}

TEST_CASE("what tools return beside text follows in a user's message behind their turn",
          "[openai][foreign_parts]") {
  const std::string text = R"({"type":"text","text":"seen"})";
  const std::vector<msg::chat_message> given{
    {"assistant", {}, {}}, tool("a", text + "," + image), tool("b", image), {"user", "go on", {}}};
  REQUIRE(has_foreign_parts(given));
  const auto read = in_openai_parts(given);
  REQUIRE(read.size() == 5);
  CHECK(read[1].rest == R"({"content":[)" + text + R"(],"tool_call_id":"a"})");
  CHECK(read[2].rest.find("image_url") == std::string::npos);
  CHECK(read[2].rest.find("next message") != std::string::npos);
  CHECK(read[3].role == "user");
  CHECK(read[3].rest.ends_with(std::string{","} + image + "," + image + "]}"));
  CHECK(read[4] == given[3]);
  // The turn may also be the last one.
  CHECK(in_openai_parts({given[0], given[1]}).size() == 3);
}

TEST_CASE("conversations of OpenAI's own parts stay as they are", "[openai][foreign_parts]") {
  const std::vector<msg::chat_message> given{
    {"user", {}, content(image)}, tool("a", R"({"type":"text","text":"a"})"), {"tool", "b", {}}};
  CHECK_FALSE(has_foreign_parts(given));
  CHECK(in_openai_parts(given) == given);
  const std::vector<msg::chat_message> broken{{"user", {}, R"(no json, but "document")"}};
  CHECK(in_openai_parts(broken) == broken);
}
