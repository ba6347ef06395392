#include "runtime/config/loader.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/config/sample.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace skep;
using namespace skep::config;
using namespace skep::config::sample;

namespace {

/// The configuration, or a failed test that shows what was wrong.
document loaded(const std::string& text, environment::variables env = {},
                std::vector<std::string> arguments = {}) {
  auto result
    = load(sections(), {"dev.toml", text, environment{std::move(env)}, std::move(arguments)});
  INFO(text);
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  return std::move(*result);
}

/// Everything that is wrong, one problem a line.
std::string problems(const std::string& text, environment::variables env = {},
                     std::vector<std::string> arguments = {}) {
  auto result
    = load(sections(), {"dev.toml", text, environment{std::move(env)}, std::move(arguments)});
  return result ? "" : to_string(result.error());
}

} // namespace

TEST_CASE("an empty file gives the defaults of the structs", "[config][loader]") {
  auto doc = loaded("");
  CHECK(doc.get<node_config>("node").name == "skep");
  CHECK(doc.get<node_config>("node").threads == 2);
  CHECK(doc.get<cache_config>("cache").ttl == 60s);
  CHECK(doc.get<cache_config>("cache").disk.capacity_bytes == 1u << 20);
  CHECK(doc.all<agent_config>("agent").empty());
  CHECK(doc.list<provider_config>("provider").empty());
}

TEST_CASE("every kind of field is filled from the file", "[config][loader]") {
  auto doc = loaded(R"(
[node]
name = "alpha"
threads = 8
load_max = 1
force_wire = true
api_keys = ["env.KEY_A", "env.KEY_B"]

[cache]
policy = "lru"
ttl_ms = 250
capacity_bytes = 4096
disk.path = "/var/cache"

[agent.support]
model = "openai/gpt-4o-mini"
temperature = 0.5
providers = ["openai", "simulated"]
labels = { team = "care" }
deadline_s = 5

[agent."tier 2"]
model = "m"

[[provider]]
api_key = "env.KEY_A"
[[provider.disks]]
path = "/a"
[[provider.disks]]
path = "/b"

[[provider]]
base_url = "env.URL"
spill = { path = "/s" }
)",
                    {{"KEY_A", "sk-a"}, {"KEY_B", "sk-b"}, {"URL", "http://up"}});
  const auto& node = doc.get<node_config>("node");
  CHECK(node.name == "alpha");
  CHECK(node.threads == 8);
  CHECK(node.load_max == 1.0);
  CHECK(node.force_wire);
  CHECK(node.api_keys == std::vector{secret{"KEY_A", "sk-a"}, secret{"KEY_B", "sk-b"}});
  const auto& cache = doc.get<cache_config>("cache");
  CHECK(cache.evict == policy::lru);
  CHECK(cache.ttl == 250ms);
  CHECK(cache.capacity_bytes == 4096);
  CHECK(cache.disk.path == "/var/cache");
  const auto& agents = doc.all<agent_config>("agent");
  REQUIRE(agents.size() == 2);
  CHECK(agents[0].first == "support");
  CHECK(agents[0].second.temperature == 0.5);
  CHECK(agents[0].second.tokens_max == std::nullopt);
  CHECK(agents[0].second.providers == std::vector<std::string>{"openai", "simulated"});
  CHECK(agents[0].second.labels == std::map<std::string, std::string>{{"team", "care"}});
  CHECK(agents[0].second.deadline == 5s);
  CHECK(agents[1].first == "tier 2");
  CHECK(agents[1].second.providers == std::vector<std::string>{"simulated"});
  const auto& providers = doc.list<provider_config>("provider");
  REQUIRE(providers.size() == 2);
  CHECK(providers[0].api_key.reveal() == "sk-a");
  REQUIRE(providers[0].disks.size() == 2);
  CHECK(providers[0].disks[1].path == "/b");
  CHECK(providers[0].spill == std::nullopt);
  CHECK(providers[1].base_url == "http://up");
  REQUIRE(providers[1].spill);
  CHECK(providers[1].spill->path == "/s");
}

TEST_CASE("an unknown key is reported with the nearest valid one", "[config][loader][errors]") {
  CHECK(problems("[cache]\n  ttl_sm = 5\n")
        == "dev.toml:2:3: unknown key \"ttl_sm\" in [cache]; did you mean \"ttl_ms\"?\n");
  CHECK(problems("[cache]\nzebra = 5\n")
        == "dev.toml:2:1: unknown key \"zebra\" in [cache]; there are: policy, ttl_ms, ttl_max_ms, "
           "capacity_bytes, disk\n");
  CHECK(problems("[agent.a]\nmodel = 'm'\nmodle = 'n'\n")
        == "dev.toml:3:1: unknown key \"modle\" in [agent.a]; did you mean \"model\"?\n");
  CHECK(problems("[[provider]]\n[[provider.disks]]\npaht = ''\n")
        == "dev.toml:3:1: unknown key \"paht\" in [provider.0.disks.0]; did you mean \"path\"?\n");
  CHECK(problems("threads = 3\n")
        == "dev.toml:1:1: unknown key \"threads\" in the top level; there are: node, cache, agent, "
           "provider\n");
}

TEST_CASE("an unknown section is reported with the nearest valid one", "[config][loader][errors]") {
  CHECK(problems("[cahce]\nttl_ms = 5\n")
        == "dev.toml:1:2: unknown section [cahce]; did you mean [cache]?\n");
  CHECK(problems("[zoo]\n")
        == "dev.toml:1:2: unknown section [zoo]; there are: node, cache, agent, provider\n");
}

TEST_CASE("a wrong unit is told apart from a slip of the finger", "[config][loader][errors]") {
  CHECK(
    problems("[cache]\nttl_s = 5\n")
    == "dev.toml:2:1: unknown key \"ttl_s\" in [cache]; the unit is wrong: write \"ttl_ms\", in "
       "milliseconds\n");
  CHECK(problems("[cache]\nttl_ms = '5s'\n")
        == "dev.toml:2:10: \"ttl_ms\" must be an integer (milliseconds): for \"5s\" write 5000\n");
  CHECK(problems("[cache]\ncapacity_bytes = '2 MiB'\n")
        == "dev.toml:2:18: \"capacity_bytes\" must be an integer (bytes): for \"2 MiB\" write "
           "2097152\n");
  CHECK(problems("[cache]\nttl_ms = 'soon'\n")
        == "dev.toml:2:10: \"ttl_ms\" must be an integer (milliseconds), not a string\n");
  CHECK(problems("[agent.a]\nmodel = 'm'\ndeadline_s = '1500ms'\n")
        == "dev.toml:3:14: \"deadline_s\" must be an integer (seconds), not a string\n");
  CHECK(problems("[cache]\nttl_ms = 5.5\n")
        == "dev.toml:2:10: \"ttl_ms\" must be an integer (milliseconds), not a float\n");
}

TEST_CASE("a number out of its range is reported with the range", "[config][loader][errors]") {
  CHECK(problems("[node]\nthreads = 0\n")
        == "dev.toml:2:11: \"threads\" must be 1 to 256, not 0\n");
  CHECK(problems("[node]\nthreads = 257\n")
        == "dev.toml:2:11: \"threads\" must be 1 to 256, not 257\n");
  CHECK(problems("[node]\nthreads = 1\n").empty());
  CHECK(problems("[node]\nthreads = 256\n").empty());
  CHECK(problems("[cache]\nttl_ms = 86400001\n")
        == "dev.toml:2:10: \"ttl_ms\" must be 1 to 86400000 milliseconds, not 86400001\n");
  CHECK(problems("[cache.disk]\ncapacity_bytes = 0\n")
        == "dev.toml:2:18: \"capacity_bytes\" must be 1 or more bytes, not 0\n");
  CHECK(problems("[node]\nload_max = 1.5\n")
        == "dev.toml:2:12: \"load_max\" must be 0 to 1, not 1.5\n");
  CHECK(problems("[node]\nload_max = nan\n")
        == "dev.toml:2:12: \"load_max\" must be finite, not nan\n");
}

TEST_CASE("a value of the wrong kind is reported with both kinds", "[config][loader][errors]") {
  CHECK(problems("[node]\nname = 5\n")
        == "dev.toml:2:8: \"name\" must be a string, not an integer\n");
  CHECK(problems("[node]\nforce_wire = 'yes'\n")
        == "dev.toml:2:14: \"force_wire\" must be true or false, not a string\n");
  CHECK(problems("[node]\nload_max = [1]\n")
        == "dev.toml:2:12: \"load_max\" must be a number, not a list\n");
  CHECK(problems("[node]\nthreads = 1979-05-27\n")
        == "dev.toml:2:11: \"threads\" must be an integer, not a date or time\n");
  CHECK(problems("[agent.a]\nmodel = 'm'\nproviders = 'openai'\n")
        == "dev.toml:3:13: \"providers\" must be a list, not a string\n");
  CHECK(problems("[agent.a]\nmodel = 'm'\nproviders = ['a', 3]\n")
        == "dev.toml:3:19: \"providers[1]\" must be a string, not an integer\n");
  CHECK(problems("[agent]\nsupport = 3\n")
        == "dev.toml:2:11: [agent.support] must be a table, not an integer\n");
  CHECK(problems("agent = 3\n") == "dev.toml:1:9: \"agent\" must be a table, not an integer\n");
  CHECK(problems("cache = 3\n") == "dev.toml:1:9: [cache] must be a table, not an integer\n");
  CHECK(problems("[provider]\n") == "dev.toml:1:1: \"provider\" must be a list, not a table\n");
}

TEST_CASE("a word an enum does not have is reported with the words", "[config][loader][errors]") {
  CHECK(problems("[cache]\npolicy = 'lur'\n")
        == "dev.toml:2:10: \"policy\" must be one of s3fifo, lru, not \"lur\"; did you mean "
           "\"lru\"?\n");
  CHECK(problems("[cache]\npolicy = 'random'\n")
        == "dev.toml:2:10: \"policy\" must be one of s3fifo, lru, not \"random\"\n");
}

TEST_CASE("a required key that is missing is reported at its table", "[config][loader][errors]") {
  CHECK(problems("\n[agent.support]\ninstructions = 'Be kind.'\n")
        == "dev.toml:2:1: [agent.support] needs the key \"model\"\n");
}

TEST_CASE("checks over several fields point at the key they name", "[config][loader][errors]") {
  CHECK(problems("[cache]\nttl_max_ms = 10\nttl_ms = 11\n")
        == "dev.toml:3:1: [cache]: ttl_ms must not exceed ttl_max_ms\n");
  // The key is not in the file: the table is.
  CHECK(problems("[cache]\nttl_max_ms = 10\n")
        == "dev.toml:1:1: [cache]: ttl_ms must not exceed ttl_max_ms\n");
}

TEST_CASE("rules across sections point at the path they name", "[config][loader][errors]") {
  CHECK(problems("[agent.a]\nmodel = 'nowhere'\n")
        == "dev.toml:2:1: no provider has the model \"nowhere\"\n");
}

TEST_CASE("advice across sections is a warning, and the document is there all the same",
          "[config][loader]") {
  auto accepted = sections();
  accepted.advice([](const document& doc) {
    std::vector<violation> found;
    if (doc.get<node_config>("node").threads == 1)
      found.push_back({"node.threads", "one thread is few"});
    return found;
  });
  const auto doubtful = load(accepted, {"dev.toml", "[node]\nthreads = 1\n", {}, {}});
  REQUIRE(doubtful);
  CHECK(to_string(doubtful->warnings()) == "dev.toml:2:1: one thread is few\n");
  const auto fine = load(accepted, {"dev.toml", "", {}, {}});
  REQUIRE(fine);
  CHECK(fine->warnings().empty());
}

TEST_CASE("all problems are reported, in the order of the lines", "[config][loader][errors]") {
  CHECK(
    problems("[node]\nthreads = 0\nnmae = ''\n[cache]\nttl_ms = 0\n[agent.a]\n",
             {{"SKEP_NODE__LOAD_MAX", "2"}}, {"cache.policy=fifo"})
    == "dev.toml:2:11: \"threads\" must be 1 to 256, not 0\n"
       "dev.toml:3:1: unknown key \"nmae\" in [node]; did you mean \"name\"?\n"
       "dev.toml:5:10: \"ttl_ms\" must be 1 to 86400000 milliseconds, not 0\n"
       "dev.toml:6:1: [agent.a] needs the key \"model\"\n"
       "SKEP_NODE__LOAD_MAX:1:1: \"load_max\" must be 0 to 1, not 2\n"
       "--set cache.policy:1:1: \"policy\" must be one of s3fifo, lru, not \"fifo\"; did you mean "
       "\"s3fifo\"?\n");
}

TEST_CASE("a file full of problems lists the first hundred and counts the rest",
          "[config][loader][errors]") {
  std::string text = "[node]\n";
  for (int i = 0; i < 250; ++i)
    text += "zebra_" + std::to_string(i) + " = 1\n";
  auto result = load(sections(), {"dev.toml", text, {}, {}});
  REQUIRE_FALSE(result);
  REQUIRE(result.error().size() == reader::diagnostics_max + 1);
  CHECK(result.error().back().message == "150 more problems are not listed");
}

TEST_CASE("what is not TOML is reported where the parser stopped", "[config][loader][errors]") {
  auto text = problems("[node]\nname = \n");
  CHECK(text.substr(0, 39) == "dev.toml:2:8: this is not TOML: Error w");
  CHECK(problems("[node]\nname = \xc3\xa9\n").substr(0, 14) == "dev.toml:2:8: ");
  CHECK(problems("[node]\nname = '\xff'\n").substr(0, 14) == "dev.toml:2:8: ");
  CHECK(problems("[node]\nname = 'a'\nname = 'b'\n").substr(0, 14) == "dev.toml:3:8: ");
}

TEST_CASE("text that would exhaust the parser is refused before it", "[config][loader][errors]") {
  std::string deep = "\n[a";
  for (int i = 0; i < 100'000; ++i)
    deep += ".a";
  CHECK(problems(deep + "]\n") == "dev.toml:2:1: over 1000 dots in one line\n");
  std::string nested = "[a";
  for (int i = 0; i < 200; ++i)
    nested += ".a";
  CHECK(problems(nested + "]\n").find("over 64 tables inside each other") != std::string::npos);
  CHECK(problems(std::string((4u << 20) + 1, ' '))
        == "dev.toml:1:1: the file is over 4194304 bytes\n");
}

TEST_CASE("long and odd keys are shortened and escaped in messages", "[config][loader][errors]") {
  CHECK(problems("[node]\n'" + std::string(1000, 'x') + "' = 1\n").size() < 200);
  CHECK(problems("[node]\n\"a\\nb\" = 1\n").find("unknown key \"a\\nb\" in [node]")
        != std::string::npos);
}

TEST_CASE("a file is read from disk, and one that is not there is a problem",
          "[config][loader][errors]") {
  auto path
    = std::filesystem::temp_directory_path()
      / ("skep-config-" + std::to_string(reinterpret_cast<std::uintptr_t>(&problems)) + ".toml");
  std::ofstream{path} << "[node]\nthreads = 7\n";
  auto result = load_file(sections(), path.string(), environment{});
  REQUIRE(result);
  CHECK(result->get<node_config>("node").threads == 7);
  std::filesystem::remove(path);

  auto missing = load_file(sections(), "no/such.toml", environment{});
  REQUIRE_FALSE(missing);
  CHECK(to_string(missing.error())
        == "no/such.toml:1:1: cannot read the file: No such file or directory\n");
  auto folder = load_file(sections(), "/", environment{});
  REQUIRE_FALSE(folder);
  CHECK(to_string(folder.error()) == "/:1:1: cannot read the file: Is a directory\n");
}

TEST_CASE("problems become one failure for callers that know no lines", "[config][loader]") {
  auto result = load(sections(), {"dev.toml", "[node]\nthreads = 0\nname = 1\n", {}, {}});
  REQUIRE_FALSE(result);
  CHECK(to_failure(result.error())
        == failure{errc::bad_config, "dev.toml:2:11: \"threads\" must be 1 to 256, not 0\n"
                                     "dev.toml:3:8: \"name\" must be a string, not an integer"});
}

TEST_CASE("a document knows where its values were written", "[config][loader]") {
  auto doc = loaded("[agent.a]\nmodel = 'm'\n", {}, {"cache.ttl_ms=5"});
  REQUIRE(doc.place_of("agent.a.model"));
  CHECK(doc.place_of("agent.a.model")->line == 2);
  REQUIRE(doc.place_of("cache.ttl_ms"));
  CHECK(doc.place_of("cache.ttl_ms")->file == "--set cache.ttl_ms");
  CHECK(doc.place_of("node") == nullptr);
}
