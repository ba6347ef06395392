#include "cli/cluster/key_files.hpp"
#include "tests/support/catch.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace skep::cli::cluster;

namespace {

/// A folder of its own, gone at the end.
struct temporary_folder {
  temporary_folder() {
    REQUIRE(mkdtemp(path.data()) != nullptr);
  }
  ~temporary_folder() {
    std::filesystem::remove_all(path);
  }
  std::string path = (std::filesystem::temp_directory_path() / "skep-keys-XXXXXX").string();
};

std::string text_of(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// Every character of Z85 that is no letter and no digit is in these.
const std::string key_a = ".-:+=^!/*?&<>()[]{}@%$#0123456789abcdefg";
const std::string key_b(40, 'b');

} // namespace

TEST_CASE("a secret is for its owner only and is never overwritten by accident", "[cli][cluster]") {
  const temporary_folder folder;
  const auto path = folder.path + "/a.env";
  CHECK(known_identity(folder.path).empty());
  REQUIRE(write_secret(folder.path, "a", {key_a, "of all nodes"}, false));
  const auto identity = std::string{"SKEP_IDENTITY_SECRET='of all nodes'\n"};
  CHECK(text_of(path) == "SKEP_CLUSTER_SECRET_KEY='" + key_a + "'\n" + identity);
  CHECK(known_identity(folder.path) == "of all nodes");
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto again = write_secret(folder.path, "a", {key_b, "x"}, false);
  REQUIRE(!again);
  CHECK(again.error().detail == path + " exists; --force replaces the secret");
  CHECK(text_of(path) == "SKEP_CLUSTER_SECRET_KEY='" + key_a + "'\n" + identity);
  REQUIRE(write_secret(folder.path, "a", {key_b, "of all nodes"}, true));
  CHECK(text_of(path) == "SKEP_CLUSTER_SECRET_KEY='" + key_b + "'\n" + identity);
}

TEST_CASE("a node's variables are read as they were written", "[cli][cluster]") {
  const temporary_folder folder;
  REQUIRE(write_secret(folder.path, "a", {key_a, "of all nodes"}, false));
  const auto read = read_variables(folder.path, "a");
  REQUIRE(read.size() == 2);
  CHECK(read.at("SKEP_IDENTITY_SECRET") == "of all nodes");
  CHECK(read.at("SKEP_CLUSTER_SECRET_KEY") == key_a);
  CHECK(read_variables(folder.path, "b").empty());
}

TEST_CASE("public keys come back from their file and new ones join them", "[cli][cluster]") {
  const temporary_folder folder;
  CHECK(read_public_keys(folder.path).empty());
  const public_keys first{{"a", key_a}, {"c", key_b}};
  REQUIRE(write_public_keys(folder.path, first));
  CHECK(read_public_keys(folder.path) == first);
  const auto all = merged(first, {{"b", key_b}, {"c", key_a}});
  CHECK(all == public_keys{{"a", key_a}, {"b", key_b}, {"c", key_a}});
  CHECK(public_keys_toml({{"a", key_b}}) == "public_keys = [\n  \"a=" + key_b + "\",\n]\n");
}

TEST_CASE("a folder that is not there is told", "[cli][cluster]") {
  const auto done = write_secret("/nowhere/at/all", "a", {key_a, "x"}, false);
  REQUIRE(!done);
  CHECK(done.error().detail.starts_with("/nowhere/at/all/a.env.partial: "));
}

TEST_CASE("only names that are fit for files and lists get keys", "[cli][cluster]") {
  for (const auto* fine : {"a", "node-1", "eu_west.2", "7"})
    CHECK(wrong_with_name(fine).empty());
  for (const auto* wrong : {"", "../x", "a/b", "a=b", ".hidden", "-dash", "with space", "a\"b"})
    CHECK(!wrong_with_name(wrong).empty());
  CHECK(!wrong_with_name(std::string(65, 'x')).empty());
}
