#include "runtime/cluster/ballot_file.hpp"
#include "tests/support/catch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

using namespace skep;
using namespace skep::rt;

namespace {

/// A folder that goes away with the test.
struct temp_folder {
  std::filesystem::path path;

  temp_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "skep-ballot-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

std::string read(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

} // namespace

TEST_CASE("a ballot survives the process", "[cluster][ballot]") {
  temp_folder folder;
  const auto number
    = GENERATE(std::uint64_t{1}, std::uint64_t{4711}, std::numeric_limits<std::uint64_t>::max());
  {
    auto ballots = ballot_file::open(folder.path / "made" / "for it", "a");
    REQUIRE(ballots);
    CHECK((*ballots)->load() == 0);
    CHECK((*ballots)->save(number));
    CHECK((*ballots)->load() == number);
  }
  auto again = ballot_file::open(folder.path / "made" / "for it", "a");
  REQUIRE(again);
  CHECK((*again)->load() == number);
  CHECK(std::filesystem::exists(folder.path / "made" / "for it" / "a.ballot"));
}

TEST_CASE("nodes of one folder have ballots of their own", "[cluster][ballot]") {
  temp_folder folder;
  auto a = ballot_file::open(folder.path, "a");
  REQUIRE(a);
  REQUIRE((*a)->save(7));
  auto b = ballot_file::open(folder.path, "b");
  REQUIRE(b);
  CHECK((*b)->load() == 0);
}

TEST_CASE("a damaged ballot file is an error that says what to do", "[cluster][ballot]") {
  temp_folder folder;
  const auto path = folder.path / "a.ballot";
  {
    auto ballots = ballot_file::open(folder.path, "a");
    REQUIRE(ballots);
    REQUIRE((*ballots)->save(1234));
  }
  const auto good = read(path);
  const auto refuses = [&](const std::string& text) {
    write(path, text);
    const auto opened = ballot_file::open(folder.path, "a");
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::bad_config);
    CHECK(opened.error().detail.find(path.string()) != std::string::npos);
    CHECK(opened.error().detail.find("delete it") != std::string::npos);
  };
  for (std::size_t size = 0; size < good.size(); ++size)
    refuses(good.substr(0, size));
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    refuses(flipped);
  }
  refuses(good + "x");
  refuses(std::string(100'000, '9'));
  write(path, good);
  CHECK(ballot_file::open(folder.path, "a"));
}

TEST_CASE("a crash between writing and renaming leaves the old ballot", "[cluster][ballot]") {
  temp_folder folder;
  auto ballots = ballot_file::open(folder.path, "a");
  REQUIRE(ballots);
  REQUIRE((*ballots)->save(5));
  write(folder.path / "a.ballot.new", "skep-bal");
  auto again = ballot_file::open(folder.path, "a");
  REQUIRE(again);
  CHECK((*again)->load() == 5);
  CHECK((*again)->save(6));
}

TEST_CASE("a vote that cannot be written is refused", "[cluster][ballot]") {
  temp_folder folder;
  auto ballots = ballot_file::open(folder.path / "data", "a");
  REQUIRE(ballots);
  REQUIRE((*ballots)->save(5));
  std::filesystem::remove_all(folder.path / "data");
  CHECK_FALSE((*ballots)->save(6));
  CHECK((*ballots)->load() == 5);
}

TEST_CASE("a data folder that is none is an error", "[cluster][ballot]") {
  temp_folder folder;
  write(folder.path / "file", "");
  const auto opened = ballot_file::open(folder.path / "file", "a");
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == errc::bad_config);
  CHECK(opened.error().detail.find((folder.path / "file").string()) != std::string::npos);
}
