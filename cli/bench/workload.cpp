#include "cli/bench/workload.hpp"

#include "cli/bench/expectation.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/option.hpp"

#include <filesystem>
#include <optional>
#include <set>

namespace skep::cli::bench {

namespace {

using config::option;
using std::chrono::milliseconds;

std::optional<config::violation> check_expectations(const std::vector<std::string>& all) {
  for (const auto& text : all)
    if (const auto read = read_expectation(text); !read)
      return config::violation{"expect", read.error().detail};
  return std::nullopt;
}

std::optional<config::violation> check_phase(const phase_config& c) {
  if (c.prompts == prompt_mix::list && c.prompt_list.empty())
    return config::violation{"prompt_list", "prompts = \"list\" needs at least one"};
  return check_expectations(c.expect);
}

const config::table<phase_config>& phase_table() {
  using c = phase_config;
  constexpr milliseconds day{86'400'000};
  static const config::table<c> rows
    = config::table<c>{
        option{"name", &c::name, "Shown in the report."},
        option{"measured", &c::measured, "false: a warm-up, run and not counted."},
        option{"concurrency", &c::concurrency, 1u, 100'000u, "Clients of a closed loop."},
        option{"rate_per_s", &c::rate_per_s, 0.0, 1e6,
               "Above 0: an open loop at this rate; latency counts from the intended start."},
        option{"in_flight_max", &c::in_flight_max, 1u, 1'000'000u,
               "Open loop: what is not sent beyond this counts as an error."},
        option{"duration_ms", &c::duration, milliseconds{1}, day, "How long requests are started."},
        option{"requests_max", &c::requests_max, std::uint64_t{0}, std::uint64_t{1} << 40,
               "Above 0: the phase ends after this many, too."},
        option{"think_ms", &c::think, milliseconds{0}, day, "Closed loop: pause between requests."},
        option{"model", &c::model, "The agent, or provider/model."},
        option{"stream_share", &c::stream_share, 0.0, 1.0, "Share of requests that stream."},
        option{"prompts", &c::prompts,
               {{"unique", prompt_mix::unique},
                {"list", prompt_mix::list},
                {"zipf", prompt_mix::zipf}},
               "unique: no two alike; list: in turn; zipf: popular and rare."},
        option{"prompt_list", &c::prompt_list, "The prompts of \"list\"."},
        option{"zipf_keys", &c::zipf_keys, 1u, 10'000'000u, "Different prompts of \"zipf\"."},
        option{"zipf_exponent", &c::zipf_exponent, 0.0, 5.0, "How uneven their popularity is."},
        option{"max_tokens", &c::max_tokens, 0u, 10'000'000u, "Sent with each request; 0: not."},
        option{"timeout_ms", &c::timeout, milliseconds{1}, day, "For one request."},
        option{"deadline_ms", &c::deadline, milliseconds{0}, day,
               "Above 0: sent as x-request-timeout-ms; what ends more than a tenth of it (at least "
               "250 ms) later is late."},
        option{"expect", &c::expect, "\"p99_ms < 50\", \"errors = 0\": decide the exit status."},
      }
        .check(check_phase);
  return rows;
}

const config::table<workload_config>& workload_table() {
  using c = workload_config;
  static const config::table<c> rows
    = config::table<c>{
        option{"config", &c::config, "The node to start without --target; from this file."},
        option{"sets", &c::sets,
               "--set arguments for that node; ${upstream.NAME} is the URL of an [[upstream]]."},
        option{"seed", &c::seed, std::uint64_t{0}, std::uint64_t{1} << 62,
               "For all random choices."},
        option{"expect", &c::expect, "Expectations over all measured phases together."},
      }
        .check([](const workload_config& w) { return check_expectations(w.expect); });
  return rows;
}

const config::table<action_config>& action_table() {
  static const config::table<action_config> rows{
    option{"at_ms", &action_config::at, milliseconds{0}, milliseconds{86'400'000},
           "Since the start of the first phase."},
    option{"post", &action_config::post, "Path to POST to, \"/debug/kill?name=agent/assistant\"."}
      .required(),
  };
  return rows;
}

const config::table<upstream_config>& upstream_table() {
  using c = upstream_config;
  static const config::table<c> rows{
    option{"name", &c::name, "What ${upstream.NAME} calls it."}.required(),
    option{"plan", &c::plan, "For skep simulate --plan; from this file. Times are scaled, too."},
    option{"sets", &c::sets, "--set arguments for skep simulate."},
  };
  return rows;
}

/// The name in the first "${upstream.NAME}" at or after `from`, and where it stands.
struct upstream_reference {
  std::size_t at = 0;
  std::size_t size = 0;
  std::string name;
};

std::optional<upstream_reference> next_reference(const std::string& text, std::size_t from) {
  constexpr std::string_view opening = "${upstream.";
  const auto at = text.find(opening, from);
  const auto end = at == std::string::npos ? at : text.find('}', at);
  if (end == std::string::npos)
    return std::nullopt;
  const auto name_at = at + opening.size();
  return upstream_reference{at, end + 1 - at, text.substr(name_at, end - name_at)};
}

/// Every upstream that is named is there, once.
std::vector<config::violation> check_upstreams(const config::document& read) {
  std::vector<config::violation> wrong;
  std::set<std::string> names;
  for (const auto& each : read.list<upstream_config>("upstream"))
    if (!names.insert(each.name).second)
      wrong.push_back({"upstream", "there are two of the name \"" + each.name + "\""});
  for (const auto& text : read.get<workload_config>("workload").sets)
    for (auto found = next_reference(text, 0); found;
         found = next_reference(text, found->at + found->size))
      if (!names.contains(found->name))
        wrong.push_back(
          {"workload.sets", "there is no [[upstream]] of the name \"" + found->name + "\""});
  return wrong;
}

config::schema workload_schema() {
  config::schema accepted;
  accepted.section("workload", config::cardinality::one, workload_table(), "The whole run.");
  accepted.section("phase", config::cardinality::many, phase_table(), "Load of one kind.");
  accepted.section("action", config::cardinality::many, action_table(), "Done under load.");
  accepted.section("upstream", config::cardinality::many, upstream_table(),
                   "A simulated provider.");
  accepted.rule(check_upstreams);
  return accepted;
}

} // namespace

tl::expected<workload, config::diagnostics> load_workload(const std::string& path) {
  auto document = config::load_file(workload_schema(), path, config::environment::of_process());
  if (!document)
    return tl::make_unexpected(document.error());
  workload read;
  read.head = document->get<workload_config>("workload");
  read.phases = document->list<phase_config>("phase");
  read.actions = document->list<action_config>("action");
  read.upstreams = document->list<upstream_config>("upstream");
  const auto folder = std::filesystem::path{path}.parent_path();
  if (!read.head.config.empty())
    read.head.config = (folder / read.head.config).string();
  for (auto& each : read.upstreams)
    if (!each.plan.empty())
      each.plan = (folder / each.plan).string();
  return read;
}

std::vector<std::string> with_upstreams(std::vector<std::string> texts,
                                        const std::map<std::string, std::string>& urls) {
  for (auto& text : texts)
    for (auto found = next_reference(text, 0); found;) {
      const auto url = urls.find(found->name);
      const auto with = url != urls.end() ? url->second : std::string{};
      text.replace(found->at, found->size, with);
      found = next_reference(text, found->at + with.size());
    }
  return texts;
}

} // namespace skep::cli::bench
