#include "cli/bench/child_server.hpp"
#include "cli/bench/expectation.hpp"
#include "cli/bench/node_metrics.hpp"
#include "cli/bench/report.hpp"
#include "cli/bench/runner.hpp"
#include "cli/commands.hpp"
#include "cli/http.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace skep::cli {

namespace {

using namespace bench;

/// Does each action at its time, until it is told to stop.
class action_thread {
public:
  action_thread(runner& to, const std::vector<action_config>& actions, double scale)
    : thread_([this, &to, actions, scale] { run(to, actions, scale); }) {}
  ~action_thread() {
    stopping_ = true;
    thread_.join();
  }

private:
  void run(runner& to, const std::vector<action_config>& actions, double scale) {
    const auto start = clock::now();
    for (const auto& each : actions) {
      const auto due = start + std::chrono::duration_cast<duration>(each.at * scale);
      while (!stopping_ && clock::now() < due)
        std::this_thread::sleep_for(5ms);
      if (!stopping_)
        to.act(each.post);
    }
  }

  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

phase_config scaled(phase_config phase, double scale) {
  phase.duration
    = std::max(std::chrono::milliseconds{100},
               std::chrono::duration_cast<std::chrono::milliseconds>(phase.duration * scale));
  return phase;
}

void show(const std::string& name, const progress& at) {
  if (isatty(STDERR_FILENO) == 0)
    return;
  fmt::print(stderr, "\r{:<16} {} {:>3.0f} %  {} requests, {} errors ", name, bar_of(at.share),
             at.share * 100, at.requests, at.errors);
  std::fflush(stderr);
}

/// Prints what does not hold; true when all does.
bool meets(const std::vector<std::string>& expectations, const phase_result& result) {
  bool all = true;
  for (const auto& text : expectations) {
    const auto expected = read_expectation(text);
    const bool holds = expected->holds(result);
    const auto is = expected->measured(result)
                      ? fmt::format("is {:.6g}", *figure_of(result, expected->figure))
                      : std::string{"nothing was measured"};
    fmt::print("{} {}: {} ({})\n", holds ? "met   " : "FAILED", result.name, text, is);
    all = all && holds;
  }
  return all;
}

/// Whether a workload expects something of the nodes' own metrics.
bool asks_nodes(const workload& load) {
  const auto names_metric
    = [](const std::string& text) { return text.find("metric:") != std::string::npos; };
  const auto any = [&](const std::vector<std::string>& all) {
    return std::any_of(all.begin(), all.end(), names_metric);
  };
  return any(load.head.expect)
         || std::any_of(load.phases.begin(), load.phases.end(),
                        [&](const phase_config& phase) { return any(phase.expect); });
}

std::vector<phase_result> run_phases(runner& to, const workload& load, double scale,
                                     const std::vector<std::string>& targets) {
  std::vector<phase_result> results;
  net::http_client client{net::fetch_config{}};
  const auto nodes = asks_nodes(load) ? targets : std::vector<std::string>{};
  const action_thread actions{to, load.actions, scale};
  std::uint64_t seed = load.head.seed;
  for (const auto& phase : load.phases) {
    const auto before = read_metrics(client, nodes);
    results.push_back(
      to.run(scaled(phase, scale), seed++, [&](const progress& at) { show(phase.name, at); }));
    results.back().node_metrics = read_metrics(client, nodes).since(before);
    show(phase.name, {1, results.back().requests, results.back().error_count()});
  }
  if (isatty(STDERR_FILENO) != 0)
    fmt::print(stderr, "\n");
  return results;
}

bool judge(const workload& load, std::vector<phase_result>& results) {
  bool fine = true;
  phase_result total;
  total.name = "total";
  for (std::size_t n = 0; n < results.size(); ++n) {
    fine = meets(load.phases[n].expect, results[n]) && fine;
    if (results[n].measured)
      total.merge(results[n]);
  }
  fine = meets(load.head.expect, total) && fine;
  results.push_back(std::move(total));
  return fine;
}

/// What a workload without a target runs against. The node goes before its upstreams do.
struct own_servers {
  std::vector<std::unique_ptr<child_server>> upstreams;
  std::unique_ptr<child_server> node;
};

expected<own_servers> start_own(const workload& load, double scale) {
  own_servers all;
  std::map<std::string, std::string> urls;
  for (const auto& each : load.upstreams) {
    std::vector<std::string> command{"simulate", "--scale", fmt::format("{}", scale)};
    if (!each.plan.empty())
      command.insert(command.end(), {"--plan", each.plan});
    auto started = child_server::start(command, each.sets);
    if (!started)
      return fail(started.error());
    urls[each.name] = (*started)->url();
    all.upstreams.push_back(std::move(*started));
  }
  auto node = child_server::start({"run", load.head.config}, with_upstreams(load.head.sets, urls));
  if (!node)
    return fail(node.error());
  all.node = std::move(*node);
  return all;
}

std::string key_from_environment() {
  // The second is where keys of OpenAI's clients are, for targets that are no skep nodes.
  for (const auto* name : {"SKEP_API_KEY", "OPENAI_API_KEY"})
    if (const char* key = std::getenv(name); key != nullptr && *key != '\0')
      return key;
  return {};
}

} // namespace

int run_bench(const bench_options& options) {
  const auto load = load_workload(options.workload);
  if (!load) {
    fmt::print(stderr, "{}", to_string(load.error()));
    return exit_usage;
  }
  if (load->phases.empty() || (options.targets.empty() && load->head.config.empty())) {
    fmt::print(stderr, "{}: {}\n", options.workload,
               load->phases.empty() ? "there is no [[phase]]"
                                    : "name a node: workload.config, or --target URL");
    return exit_usage;
  }
  auto own = options.targets.empty() ? start_own(*load, options.scale) : expected<own_servers>{};
  if (!own) {
    fmt::print(stderr, "skep bench: {}\n", own.error().detail);
    return exit_failed;
  }
  std::vector<std::string> targets;
  for (const auto& each : options.targets)
    targets.push_back(base_url(each));
  if (own->node)
    targets.push_back(own->node->url());
  std::vector<phase_result> results;
  {
    runner to{targets, key_from_environment()};
    results = run_phases(to, *load, options.scale, targets);
  }
  bool fine = judge(*load, results);
  if (own->node && !own->node->stop()) {
    fmt::print("FAILED the node did not drain and exit with 0\n");
    fine = false;
  }
  fmt::print("\n{}", table_of(results));
  if (!options.json.empty())
    std::ofstream{options.json} << json_of(results);
  return fine ? exit_ok : exit_failed;
}

} // namespace skep::cli
