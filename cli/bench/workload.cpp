#include "cli/bench/workload.hpp"

#include "cli/bench/expectation.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/config/option.hpp"

#include <filesystem>

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
        option{"sets", &c::sets, "--set arguments for that node."},
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

config::schema workload_schema() {
  config::schema accepted;
  accepted.section("workload", config::cardinality::one, workload_table(), "The whole run.");
  accepted.section("phase", config::cardinality::many, phase_table(), "Load of one kind.");
  accepted.section("action", config::cardinality::many, action_table(), "Done under load.");
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
  if (!read.head.config.empty())
    read.head.config = (std::filesystem::path{path}.parent_path() / read.head.config).string();
  return read;
}

} // namespace skep::cli::bench
