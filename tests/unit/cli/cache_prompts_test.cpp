#include "cli/cache/prompts.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

#include <sstream>
#include <vector>

using namespace skep;
using cli::cache::prompt;
using cli::cache::prompt_reader;
using nlohmann::json;

namespace {

/// All prompts of a file; what is wrong comes as its complaint.
std::vector<std::string> all(const std::string& text, const std::string& model = "m") {
  std::istringstream from{text};
  prompt_reader reader{from, model};
  std::vector<std::string> found;
  for (;;) {
    auto read = reader.next();
    if (!read)
      found.push_back(read.error().detail);
    else if (*read)
      found.push_back((*read)->body);
    else
      return found;
  }
}

std::string asked(const std::string& body) {
  return json::parse(body)["messages"][0]["content"].get<std::string>();
}

} // namespace

TEST_CASE("a text file has a prompt per line", "[cli][cache]") {
  const auto bodies = all("What is a hive?\r\n\n  \n{not json\n\"quoted\"\nlast");
  REQUIRE(bodies.size() == 4);
  CHECK(asked(bodies[0]) == "What is a hive?");
  CHECK(asked(bodies[1]) == "{not json");
  CHECK(asked(bodies[2]) == "\"quoted\"");
  CHECK(asked(bodies[3]) == "last");
  CHECK(json::parse(bodies[0])["model"] == "m");
}

TEST_CASE("JSON lines are prompts, bodies or prompts with a model", "[cli][cache]") {
  const auto bodies
    = all("\"What is a hive?\"\n"
          "{\"prompt\":\"and a bee?\",\"model\":\"other\"}\n"
          "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true,\"top_p\":1}\n");
  REQUIRE(bodies.size() == 3);
  CHECK(asked(bodies[0]) == "What is a hive?");
  CHECK(json::parse(bodies[1])["model"] == "other");
  CHECK(asked(bodies[1]) == "and a bee?");
  CHECK(json::parse(bodies[2])
        == json::parse(R"({"messages":[{"role":"user","content":"x"}],)"
                       R"("top_p":1,"model":"m"})"));
}

TEST_CASE("what is wrong is named by its line, and the rest is read", "[cli][cache]") {
  const auto bodies
    = all("\"a\"\n\n{\"prompt\":5}\nnonsense\n{\"x\":1}\n{\"prompt\":\"\"}\n\"b\"\n");
  REQUIRE(bodies.size() == 6);
  CHECK(bodies[1].starts_with("line 3: prompt must be a text"));
  CHECK(bodies[2].starts_with("line 4: neither a JSON string nor"));
  CHECK(bodies[3].starts_with("line 5: it has neither messages nor a prompt"));
  CHECK(bodies[4].starts_with("line 6: the prompt is empty"));
  CHECK(asked(bodies[5]) == "b");
}

TEST_CASE("a JSON object among plain lines is no prompt", "[cli][cache]") {
  const auto found = all("plain\n{\"prompt\": \"x\"}\n{not json\n");
  REQUIRE(found.size() == 3);
  CHECK(asked(found[0]) == "plain");
  CHECK(found[1].starts_with("line 2: a JSON object, but the file began with plain text"));
  CHECK(asked(found[2]) == "{not json");
}

TEST_CASE("a prompt needs a model from somewhere", "[cli][cache]") {
  CHECK(all("hello", "")[0].find("--model") != std::string::npos);
  CHECK(all(R"({"messages":[]})", "")[0].find("--model") != std::string::npos);
  CHECK(json::parse(all(R"({"messages":[],"model":"own"})", "m")[0])["model"] == "own");
}

TEST_CASE("a line that is too long is refused and not kept", "[cli][cache]") {
  const auto bodies = all("first\n" + std::string(prompt_reader::line_max + 1, 'x') + "\nlast\n");
  REQUIRE(bodies.size() == 3);
  CHECK(bodies[1].starts_with("line 2: longer than"));
  CHECK(asked(bodies[2]) == "last");
}

TEST_CASE("an empty file has no prompts", "[cli][cache]") {
  CHECK(all("").empty());
  CHECK(all("\n\n").empty());
}
