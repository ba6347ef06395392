#include "actors/roles.hpp"
#include "cli/commands.hpp"
#include "cli/simulate/flavour.hpp"
#include "program/serving.hpp"
#include "runtime/node/descriptors.hpp"

#include <CLI/CLI.hpp>

#include <functional>

namespace {

using namespace skep::cli;

void add_bench(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("bench", "Run a scripted workload and check its expectations");
  auto options = std::make_shared<bench_options>();
  command->add_option("workload", options->workload, "TOML file")->required();
  command
    ->add_option(
      "--target", options->targets,
      "A running node instead of the workload's own; its key is taken from SKEP_API_KEY. "
      "Again or with commas for more, among which clients spread and to which they move "
      "on")
    ->delimiter(',')
    ->allow_extra_args(false);
  command->add_option("--json", options->json, "Write the figures here, too");
  command->add_option("--scale", options->scale, "Multiply all durations")
    ->check(CLI::PositiveNumber);
  command->callback([options, &chosen] { chosen = [options] { return run_bench(*options); }; });
}

void add_simulate(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("simulate", "Serve as a provider that fails as it is told");
  auto options = std::make_shared<simulate_options>();
  command->add_option("--plan", options->plan,
                      "TOML file: how calls go well, and when they do not");
  command->add_option("--listen", options->listen, "ADDR:PORT; port 0 lets the system choose")
    ->capture_default_str();
  command->add_option("--seed", options->seed, "For texts, latencies and faults");
  command->add_option("--set", options->sets, "key=value, stronger than the plan")
    ->allow_extra_args(false);
  command->add_option_function<std::string>(
    "--flavour",
    [options](const std::string& name) { options->sets.push_back("upstream.flavour=" + name); },
    "Answer as one kind of server does: " + simulate::flavour_names());
  command->add_option("--scale", options->scale, "Multiply the times of the plan's phases")
    ->check(CLI::PositiveNumber);
  command->add_option("--ready-file", options->ready_file,
                      "Write the bound address here once clients may come");
  command->callback([options, &chosen] { chosen = [options] { return run_simulate(*options); }; });
}

/// How every command names a node. Older spellings go on, unlisted.
void add_target(CLI::App& command, std::string& target, const std::string& older = {}) {
  command.add_option("--target", target, "A running node; its key is taken from SKEP_API_KEY")
    ->capture_default_str();
  if (!older.empty())
    command.add_option(older, target)->group("");
}

void add_status(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("status", "Show how a running node is doing");
  auto target = std::make_shared<std::string>(default_target);
  add_target(*command, *target, "url");
  command->callback([target, &chosen] { chosen = [target] { return status(*target); }; });
}

void add_cluster_up(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("up", "Start one node per configuration on this machine");
  auto options = std::make_shared<cluster_up_options>();
  command->add_option("configs", options->configs, "TOML files, or folders of them")->required();
  command->add_option("--set", options->sets, "key=value for every node")->allow_extra_args(false);
  command
    ->add_option("--keys", options->keys,
                 "The folder of `skep cluster keygen`: NAME.env is the environment of node NAME")
    ->capture_default_str();
  command->add_flag("--restart", options->restart, "Start again what ended badly");
  command->callback([options, &chosen] { chosen = [options] { return cluster_up(*options); }; });
}

void add_cluster_drain(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("drain", "Let a node leave the cluster in good order");
  auto options = std::make_shared<cluster_drain_options>();
  command->add_option("node", options->node, "The node's name")->required();
  add_target(*command, options->target, "--url");
  command->add_option("--timeout", options->timeout_s, "Seconds to wait until it has left")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return cluster_drain(*options); }; });
}

void add_cluster_keygen(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("keygen", "Make CURVE keys for the links between nodes");
  auto options = std::make_shared<cluster_keygen_options>();
  command->add_option("names", options->names, "The nodes' names")->required();
  command->add_option("--dir", options->folder, "Where the keys go")->capture_default_str();
  command->add_flag("--force", options->force, "Replace the secrets there are");
  command->callback(
    [options, &chosen] { chosen = [options] { return cluster_keygen(*options); }; });
}

void add_cluster(CLI::App& app, std::function<int()>& chosen) {
  auto* cluster = app.add_subcommand("cluster", "Start, watch and care for many nodes");
  cluster->require_subcommand(1);
  add_cluster_up(*cluster, chosen);
  auto* status
    = cluster->add_subcommand("status", "Show members, slots and links as a node sees them");
  auto target = std::make_shared<std::string>(default_target);
  add_target(*status, *target, "url");
  status->callback([target, &chosen] { chosen = [target] { return cluster_status(*target); }; });
  add_cluster_drain(*cluster, chosen);
  add_cluster_keygen(*cluster, chosen);
}

void add_cache_clear(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("clear", "Forget answers on all nodes of a cluster");
  auto options = std::make_shared<cache_clear_options>();
  add_target(*command, options->target);
  auto* agent = command->add_option("--agent", options->agent,
                                    "Only those of an agent, or of a provider asked directly");
  command->add_option("--key", options->key, "Only one, by its x-skep-cache-key")->excludes(agent);
  command->callback([options, &chosen] { chosen = [options] { return cache_clear(*options); }; });
}

void add_cache_warm(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("warm", "Ask a file of prompts, so that answers are there");
  auto options = std::make_shared<cache_warm_options>();
  command->add_option("file", options->file, "A prompt a line: JSON lines, or plain text")
    ->required();
  add_target(*command, options->target);
  command->add_option("--model", options->model, "For prompts that name none");
  command->add_option("--concurrency", options->concurrency, "Requests at once")
    ->check(CLI::Range(1u, 10'000u))
    ->capture_default_str();
  command->add_option("--rate", options->rate_per_s, "Requests a second at most; 0: no limit")
    ->check(CLI::NonNegativeNumber);
  command->callback([options, &chosen] { chosen = [options] { return cache_warm(*options); }; });
}

void add_cache_train(CLI::App& app, std::function<int()>& chosen) {
  auto* command = app.add_subcommand("train", "Train a dictionary to compress answers with");
  auto options = std::make_shared<cache_train_options>();
  command
    ->add_option("samples", options->samples,
                 "Files or folders of chat.completion JSON, one a file or one a line")
    ->required();
  command->add_option("--out", options->out, "Where the dictionary goes")->required();
  command->add_option("--bytes", options->bytes, "Its size at most")
    ->check(CLI::Range(std::uint64_t{1024}, std::uint64_t{16} << 20))
    ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return cache_train(*options); }; });
}

void add_cache(CLI::App& app, std::function<int()>& chosen) {
  auto* cache = app.add_subcommand("cache", "Look at, clear, fill and tune the response cache");
  cache->require_subcommand(1);
  auto* stats = cache->add_subcommand("stats", "Show what the cache of a node did and holds");
  auto target = std::make_shared<std::string>(default_target);
  add_target(*stats, *target);
  stats->callback([target, &chosen] { chosen = [target] { return cache_stats(*target); }; });
  add_cache_clear(*cache, chosen);
  add_cache_warm(*cache, chosen);
  add_cache_train(*cache, chosen);
}

/// Shown at the end of `skep --help`.
constexpr const char* help_footer
  = "Start one:   skep run configs/dev.toml --listen 127.0.0.1:8080\n"
    "Look at it:  skep status --target 127.0.0.1:8080\n\n"
    "Environment: SKEP_API_KEY is the key that commands show to a node; SKEP_SECTION__KEY=VALUE "
    "sets\n"
    "             an option of run and check, as --set section.key=VALUE does.\n"
    "Exit codes:  0 well, 1 it did not work, 2 the command line or the configuration is wrong.\n"
    "Pages:       README.md and docs/ of the source.";

} // namespace

int main(int argc, char** argv) {
  skep::program::open_standard_streams();
  skep::rt::raise_descriptor_limit();
  const skep::node_program program{"skep", SKEP_VERSION, {}, skep::actors::all_roles()};
  CLI::App app{"skep: an actor runtime for AI-agent back ends"};
  app.require_subcommand(1);
  app.footer(help_footer);
  skep::program::chosen_command chosen;
  skep::program::add_commands(app, chosen, program);
  add_bench(app, chosen);
  add_simulate(app, chosen);
  add_status(app, chosen);
  add_cluster(app, chosen);
  add_cache(app, chosen);
  return skep::program::parse_and_run(app, chosen, argc, argv);
}
