#include "cli/cache/samples.hpp"
#include "messages/chat.hpp"
#include "messages/codec.hpp"
#include "tests/support/catch.hpp"

#include <filesystem>
#include <fstream>

using namespace skep;
using cli::cache::read_samples;

namespace fs = std::filesystem;

namespace {

/// A folder that goes with the test.
class folder {
public:
  folder() {
    std::string name = (fs::temp_directory_path() / "skep-samples-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() {
    fs::remove_all(path_);
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream{path_ / name, std::ios::binary} << text;
  }
  std::string path(const std::string& name = {}) const {
    return (path_ / name).string();
  }

private:
  fs::path path_;
};

std::string answer(const std::string& text, const char* line_end = "") {
  return std::string{R"({"id":"x","object":"chat.completion","model":"m","choices":[)"} + line_end
         + R"({"index":0,"message":{"role":"assistant","content":")" + text
         + R"("},"finish_reason":"stop"}]})";
}

} // namespace

TEST_CASE("answers are read from files and folders as the cache holds them", "[cli][cache]") {
  const folder in;
  in.write("a/one.json", answer("first", "\n"));
  in.write("b.jsonl", answer("second") + "\n\n" + answer("third") + "\nnonsense\n");
  in.write("notes.txt", "not looked at");
  const auto read = read_samples({in.path()});
  REQUIRE(read);
  REQUIRE(read->answers.size() == 3);
  const auto first = decode<msg::chat_reply>(read->answers[0]);
  REQUIRE(first);
  CHECK(first->choices.at(0).content == "first");
  CHECK(read->refused == 1);
  CHECK(read->complaints.at(0).find("b.jsonl:4: is no chat.completion") != std::string::npos);
  CHECK_FALSE(read->cut);
}

TEST_CASE("samples are bounded, and a path that is not there is named", "[cli][cache]") {
  const folder in;
  in.write("many.jsonl", answer("one") + "\n" + answer("two") + "\n" + answer("three") + "\n");
  const auto whole = read_samples({in.path("many.jsonl")});
  REQUIRE(whole);
  const auto cut = read_samples({in.path("many.jsonl")}, whole->bytes - 1);
  REQUIRE(cut);
  CHECK(cut->cut);
  CHECK(cut->answers.size() == 2);
  const auto missing = read_samples({in.path("gone")});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().detail.find("gone") != std::string::npos);
}

TEST_CASE("every tenth answer is held back", "[cli][cache]") {
  std::vector<std::string> answers;
  for (int n = 0; n < 25; ++n)
    answers.push_back(std::to_string(n));
  const auto parts = cli::cache::split(answers);
  CHECK(parts.held_back == std::vector<std::string>{"9", "19"});
  CHECK(parts.training.size() == 23);
}
