#include "cli/cluster/console.hpp"
#include "tests/support/catch.hpp"

#include <unistd.h>

#include <array>

using namespace skep::cli::cluster;

namespace {

/// What a console writes; of few bytes, so that it fits into a pipe.
class written {
public:
  written() {
    REQUIRE(pipe(ends_.data()) == 0);
  }
  ~written() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int fd() const {
    return ends_[1];
  }
  std::string text() const {
    std::array<char, 65'536> buffer{};
    const auto got = read(ends_[0], buffer.data(), buffer.size());
    return got > 0 ? std::string{buffer.data(), static_cast<std::size_t>(got)} : "";
  }

private:
  std::array<int, 2> ends_{};
};

std::vector<std::string> lines_of(std::initializer_list<std::string_view> pieces) {
  std::vector<std::string> lines;
  line_splitter splitter;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  for (const auto piece : pieces)
    splitter.push(piece, take);
  splitter.finish(take);
  return lines;
}

} // namespace

TEST_CASE("lines come whole, however their bytes came", "[cli][cluster]") {
  using list = std::vector<std::string>;
  CHECK(lines_of({"a\nb\n"}) == list{"a", "b"});
  CHECK(lines_of({"a", "b\nc", "\n"}) == list{"ab", "c"});
  CHECK(lines_of({"\n\n"}) == list{"", ""});
  CHECK(lines_of({"no end"}) == list{"no end"});
  CHECK(lines_of({""}).empty());
}

TEST_CASE("a line without end comes in pieces of the longest length", "[cli][cluster]") {
  const std::string endless(2 * line_splitter::line_bytes_max + 10, 'x');
  const auto lines = lines_of({endless});
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].size() == line_splitter::line_bytes_max);
  CHECK(lines[2] == std::string(10, 'x'));
}

TEST_CASE("every line stands behind the name of its node, in one column", "[cli][cluster]") {
  written to;
  console out{to.fd(), false, {"a", "long"}};
  out.line(0, "hello");
  out.line(1, "there");
  out.event("a ready");
  out.status("2/2 ready");
  CHECK(to.text() == "a    | hello\nlong | there\ncluster: a ready\n");
}

TEST_CASE("on a terminal the status line stays the last one", "[cli][cluster]") {
  written to;
  console out{to.fd(), true, {"a"}};
  out.status("0/1 ready");
  CHECK(to.text() == "\r\x1b[K0/1 ready");
  out.line(0, "hello");
  CHECK(to.text() == "\r\x1b[K\x1b[36ma | \x1b[0mhello\n\r\x1b[K0/1 ready");
  out.status("0/1 ready");
  out.status(std::string(200, 'x'));
  CHECK(to.text() == "\r\x1b[K" + std::string(79, 'x'));
}
