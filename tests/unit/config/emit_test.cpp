#include "runtime/config/emit.hpp"
#include "runtime/config/loader.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/config/sample.hpp"

#include <sstream>

using namespace skep::config;
using namespace skep::config::sample;

namespace {

document loaded(const std::string& text, environment::variables env = {}) {
  auto result = load(sections(), {"dev.toml", text, environment{std::move(env)}, {}});
  INFO(text);
  INFO((result ? "" : to_string(result.error())));
  REQUIRE(result);
  return std::move(*result);
}

const environment::variables keys{{"KEY", "sk-hidden"},
                                  {"ETCD_URL", "http://user:pass-hidden@etcd"},
                                  {"SKEP_NODE__NAME", "name-hidden"}};

const std::string full = R"([node]
load_max = 0.1
api_keys = ["env.KEY"]
[cache]
policy = "lru"
[agent."tier 2"]
model = "m"
instructions = "Say \"hi\"\nand\tstop \\ \u0001."
temperature = 1
labels = { "a.b" = "c" }
[[provider]]
api_key = "env.KEY"
region = "env.KEY"
[[provider.disks]]
path = "/a"
[[provider]]
spill = { path = "/s" }
)";

} // namespace

TEST_CASE("the printed configuration loads to the same configuration", "[config][emit]") {
  auto doc = loaded(full, keys);
  auto text = dump(doc);
  auto again = loaded(text, keys);
  CHECK(dump(again) == text);
  CHECK(again.get<node_config>("node").load_max == 0.1);
  CHECK(again.get<node_config>("node").name == "name-hidden");
  const auto& [name, agent] = again.all<agent_config>("agent").at(0);
  CHECK(name == "tier 2");
  CHECK(agent.instructions == "Say \"hi\"\nand\tstop \\ \x01.");
  CHECK(agent.labels == std::map<std::string, std::string>{{"a.b", "c"}});
  CHECK(again.list<provider_config>("provider").at(0).disks.at(0).path == "/a");
  CHECK(again.list<provider_config>("provider").at(1).spill->path == "/s");
}

TEST_CASE("nothing that came from the environment is printed", "[config][emit][secret]") {
  auto text = dump(loaded(full, keys));
  CHECK(text.find("hidden") == std::string::npos);
  CHECK(text.find("api_keys = [\"env.KEY\"]") != std::string::npos);
  CHECK(text.find("api_key = \"env.KEY\"") != std::string::npos);
  CHECK(text.find("region = \"env.KEY\"") != std::string::npos);
  CHECK(text.find("etcd_url = \"env.ETCD_URL\"") != std::string::npos);
  CHECK(text.find("name = \"env.SKEP_NODE__NAME\"") != std::string::npos);
}

TEST_CASE("the defaults are printed in the order of the tables", "[config][emit]") {
  CHECK(dump(loaded("")) == R"([node]
name = "skep"
threads = 2
load_max = 0.9
force_wire = false
api_keys = []
etcd_url = ""

[cache]
policy = "s3fifo"
ttl_ms = 60000
ttl_max_ms = 3600000
capacity_bytes = 67108864

[cache.disk]
path = ""
capacity_bytes = 1048576
)");
}

TEST_CASE("the file with all options loads to the defaults", "[config][emit]") {
  auto text = all_options_toml(sections());
  CHECK(dump(loaded(text)) == dump(loaded("")));
  // It says them, rather than leaving everything out.
  CHECK(text.find("\nthreads = 2\n") != std::string::npos);
  CHECK(text.find("## How long an answer is kept. (integer, milliseconds; 1 to 86400000; or the "
                  "variable CACHE_TTL\n## times 1000)\nttl_ms = 60000\n")
        != std::string::npos);
  CHECK(text.find("\n# [agent.NAME]\n") != std::string::npos);
  CHECK(text.find("\n# [[provider]]\n") != std::string::npos);
}

TEST_CASE("the file with all options loads with its examples uncommented", "[config][emit]") {
  std::istringstream lines{all_options_toml(sections())};
  std::string text;
  for (std::string line; std::getline(lines, line);)
    text += (line.substr(0, 2) == "# " ? line.substr(2) : line) + "\n";
  auto doc = loaded(text, {{"NAME", "sk-1"}});
  REQUIRE(doc.all<agent_config>("agent").size() == 1);
  CHECK(doc.all<agent_config>("agent")[0].second.temperature == 0.0);
  REQUIRE(doc.list<provider_config>("provider").size() == 1);
  CHECK(doc.list<provider_config>("provider")[0].api_key.reveal() == "sk-1");
  CHECK(doc.list<provider_config>("provider")[0].spill);
}

TEST_CASE("the page for people has a row for every option", "[config][emit]") {
  auto page = markdown(sections());
  CHECK(page.find("\n## `[cache]`\n\nThe response cache.\n\n| Key | Type | Default | Meaning |\n")
        != std::string::npos);
  CHECK(
    page.find("| `ttl_ms` | integer, milliseconds; 1 to 86400000; or the variable CACHE_TTL times "
              "1000 | `60000` | How long an answer is kept. |\n")
    != std::string::npos);
  CHECK(page.find("\n### `[cache.disk]`\n") != std::string::npos);
  CHECK(page.find("\n## `[agent.NAME]`\n") != std::string::npos);
  CHECK(page.find("| `model` | string; required | required | The model it asks. |\n")
        != std::string::npos);
  CHECK(page.find("\n## `[[provider]]`\n") != std::string::npos);
  CHECK(page.find("| `api_key` | secret; \"env.NAME\" | none | Its key. |\n") != std::string::npos);
}
