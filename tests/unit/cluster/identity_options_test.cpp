#include "runtime/config/loader.hpp"
#include "runtime/node/identity_options.hpp"
#include "runtime/node/node.hpp"
#include "tests/support/catch.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace skep;
using namespace skep::rt;
using Catch::Matchers::Contains;

namespace {

config::load_result load(const std::string& text, config::environment::variables variables = {}) {
  return config::load(node::schema_of({}),
                      {"node.toml", text, config::environment{std::move(variables)}, {}});
}

config::document loaded(const std::string& text, config::environment::variables variables = {}) {
  auto result = load(text, std::move(variables));
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  return std::move(*result);
}

std::uint64_t fingerprint(const config::document& config) {
  const auto secret = load_identity(config);
  REQUIRE(secret);
  return secret->fingerprint();
}

const std::string configured = "[node]\nidentity_secret = \"env.S\"\n";
const std::string hive = R"(
[cluster]
name = "hive"
listen = "tcp://127.0.0.1:0"
seeds = ["a=tcp://127.0.0.1:1"]
)";

/// A folder of its own, gone at the end.
struct temporary_folder {
  temporary_folder() {
    REQUIRE(mkdtemp(path.data()) != nullptr);
  }
  ~temporary_folder() {
    std::filesystem::remove_all(path);
  }
  std::string path = (std::filesystem::temp_directory_path() / "skep-identity-XXXXXX").string();
};

} // namespace

TEST_CASE("two nodes with one configured secret tell requests apart alike", "[node][identity]") {
  const auto a = loaded(configured, {{"S", "0123456789abcdef"}});
  const auto b = loaded(configured + hive, {{"S", "0123456789abcdef"}});
  const auto c = loaded(configured, {{"S", "0123456789abcdeg"}});
  CHECK(identity_source_of(a) == identity_source::configured);
  CHECK(identity_source_of(b) == identity_source::configured);
  CHECK(fingerprint(a) == fingerprint(b));
  CHECK(fingerprint(a) != fingerprint(c));
  CHECK(shared_fingerprint(a) == shared_fingerprint(b));
  CHECK(shared_fingerprint(a) != shared_fingerprint(c));
}

TEST_CASE("a secret that could be guessed is refused with its place", "[node][identity]") {
  const auto refused = load(configured, {{"S", "0123456789abcde"}});
  REQUIRE_FALSE(refused);
  CHECK_THAT(to_string(refused.error()), Contains("node.toml:2:") && Contains("identity_secret")
                                           && Contains("at least 16 bytes")
                                           && !Contains("0123456789"));
}

TEST_CASE("without a secret a cluster goes by its name and a node by a secret of its own",
          "[node][identity]") {
  CHECK(identity_source_of(loaded(hive)) == identity_source::cluster_name);
  CHECK(fingerprint(loaded(hive)) == fingerprint(loaded(hive)));
  CHECK(shared_fingerprint(loaded(hive)) == 0);
  CHECK(identity_source_of(loaded("")) == identity_source::process);
  CHECK(fingerprint(loaded("")) != fingerprint(loaded("")));
  CHECK_THAT(describe(identity_source::cluster_name), Contains("node.identity_secret"));
}

TEST_CASE("a secret made by a node is kept for it and for nobody else", "[node][identity]") {
  const temporary_folder folder;
  const auto node = loaded("[node]\ndata_dir = \"" + folder.path + "/data\"\n");
  CHECK(identity_source_of(node) == identity_source::kept);
  const auto first = fingerprint(node);
  CHECK(fingerprint(node) == first);
  const auto file = folder.path + "/data/identity.secret";
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  for (const auto& each : std::filesystem::directory_iterator{folder.path + "/data"})
    CHECK(each.path() == file);
  std::filesystem::remove(file);
  CHECK(fingerprint(node) != first);
  std::ofstream{file} << "short\n";
  const auto broken = load_identity(node);
  REQUIRE_FALSE(broken);
  CHECK_THAT(broken.error().detail, Contains(file) && Contains("less than 16 bytes"));
}

TEST_CASE("a folder that cannot be made is told", "[node][identity]") {
  const auto made = kept_identity("/dev/null/skep");
  REQUIRE_FALSE(made);
  CHECK_THAT(made.error().detail, Contains("/dev/null/skep"));
}
