#include "runtime/config/loader.hpp"
#include "runtime/node/cluster_options.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::rt;
using Catch::Matchers::Contains;

namespace {

const std::string three = R"(
name = "hive"
listen = "tcp://127.0.0.1:0"
seeds = ["a=tcp://127.0.0.1:1", "b=tcp://127.0.0.1:2", "c=tcp://127.0.0.1:3"]
)";

config::load_result load(const std::string& section,
                         config::environment::variables variables = {}) {
  config::schema accepted;
  declare_cluster(accepted);
  return config::load(
    accepted,
    {"node.toml", "[cluster]\n" + section, config::environment{std::move(variables)}, {}});
}

cluster_options loaded(const std::string& section) {
  const auto result = load(section);
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  return result->get<cluster_options>("cluster");
}

std::string problems(const std::string& section, config::environment::variables variables = {}) {
  const auto result = load(section, std::move(variables));
  return result ? "" : to_string(result.error());
}

} // namespace

TEST_CASE("a node without a cluster's name is on its own", "[cluster][options]") {
  CHECK(loaded("").name.empty());
  CHECK(loaded(three).name == "hive");
  CHECK(loaded(three).seeds.size() == 3);
}

TEST_CASE("what is wrong with [cluster] is said with its place", "[cluster][options]") {
  CHECK_THAT(problems(R"(name = "hive")"),
             Contains("node.toml:") && Contains("every node that votes"));
  CHECK_THAT(problems(R"(name = "hive"
seeds = ["tcp://127.0.0.1:1"])"),
             Contains("node.toml:3:") && Contains("name=tcp://ADDRESS:PORT"));
  CHECK_THAT(problems(three + "beat_interval_ms = 1000\n"), Contains("twice beat_interval_ms"));
  CHECK_THAT(problems(three + "membership = \"raft\"\n"), Contains("static"));
  CHECK_THAT(problems(three + "seed = []\n"), Contains("seeds"));
}

TEST_CASE("beyond this machine a cluster needs keys or the word plain", "[cluster][options]") {
  const std::string outside = R"(
name = "hive"
listen = "tcp://10.0.0.1:0"
seeds = ["a=tcp://10.0.0.1:1"]
)";
  CHECK_THAT(problems(outside), Contains("needs keys") && Contains("keygen"));
  CHECK(problems(outside + "plain = true\n").empty());
  const std::string key(40, 'k');
  const auto keyed = outside + "secret_key = \"env.KEY\"\npublic_keys = [\"a=" + key + "\"]\n";
  CHECK(problems(keyed, {{"KEY", key}}).empty());
  CHECK_THAT(problems(outside + "secret_key = \"env.KEY\"\n", {{"KEY", key}}),
             Contains("belong together"));
  CHECK_THAT(problems(outside + "public_keys = [\"a=short\"]\nplain = true\n"),
             Contains("40 characters"));
}

TEST_CASE("a node that listens everywhere must say where it is reached", "[cluster][options]") {
  const std::string everywhere = R"(
name = "hive"
listen = "tcp://0.0.0.0:0"
seeds = ["a=tcp://10.0.0.1:1"]
plain = true
)";
  CHECK_THAT(problems(everywhere), Contains("0.0.0.0"));
  CHECK(problems(everywhere + "advertise = \"tcp://10.0.0.1:1\"\n").empty());
}

TEST_CASE("the digest covers what all nodes must agree on, and nothing else",
          "[cluster][options]") {
  const auto digest = digest_of(loaded(three));
  CHECK(digest != 0);
  CHECK(digest_of(loaded(three + "weight = 7\nbeat_interval_ms = 300\n")) == digest);
  CHECK(digest_of(loaded(three + "replicas = 3\n")) != digest);
  CHECK(digest_of(loaded(three + "lease_ms = 1700\n")) != digest);
  auto other = loaded(three);
  other.seeds[1] = "d=tcp://127.0.0.1:2";
  CHECK(digest_of(other) != digest);
  // The same seeds behind other addresses and in another order.
  auto moved = loaded(three);
  moved.seeds = {"c=tcp://10.0.0.1:1", "b=tcp://10.0.0.2:1", "a=tcp://10.0.0.3:1"};
  CHECK(digest_of(moved) == digest);
  // A secret that only one of two nodes has, or two that differ, part them.
  CHECK(digest_of(loaded(three), 7) != digest);
  CHECK(digest_of(loaded(three), 7) != digest_of(loaded(three), 8));
  CHECK(digest_of(loaded(three), 7) == digest_of(moved, 7));
}
