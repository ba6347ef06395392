#include "program/node_main.hpp"

#include "program/commands.hpp"
#include "program/serving.hpp"
#include "runtime/node/descriptors.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <memory>

namespace skep {

namespace program {

namespace {

void add_run(CLI::App& app, chosen_command& chosen, const node_program& program) {
  auto* command = app.add_subcommand("run", "Start a node from a configuration file");
  auto options = std::make_shared<run_options>();
  command->add_option("config", options->config, "TOML file")->required();
  command->add_option("--listen", options->listen,
                      "ADDR:PORT instead of gateway.listen; port 0 lets the system choose");
  command->add_option("--set", options->sets, "key=value, stronger than file and environment")
    ->allow_extra_args(false);
  command->add_option("--ready-file", options->ready_file,
                      "Write the bound address here once the node is ready");
  command->callback([options, &chosen, &program] {
    chosen = [options, &program] { return run(program, *options); };
  });
}

void add_check(CLI::App& app, chosen_command& chosen, const node_program& program) {
  auto* command = app.add_subcommand("check", "Check a configuration without starting anything");
  auto options = std::make_shared<check_options>();
  command->add_option("config", options->config, "TOML file");
  command->add_option("--set", options->sets, "key=value, stronger than file and environment")
    ->allow_extra_args(false);
  command->add_flag("--dump", options->dump,
                    "Print the configuration in force: the file, variables and --set together");
  command->add_flag("--all-options", options->all_options, "Print a file with every option");
  command->add_flag("--markdown", options->markdown, "Print every option as a Markdown page");
  command->callback([options, &chosen, &program] {
    chosen = [options, &program] { return check(program, *options); };
  });
}

} // namespace

void add_commands(CLI::App& app, chosen_command& chosen, const node_program& program) {
  add_run(app, chosen, program);
  add_check(app, chosen, program);
  const auto line = program.name + ' ' + program.version;
  app.set_version_flag("--version,-V", line);
  app.add_subcommand("version", "Print the version")->callback([&chosen, line] {
    chosen = [line] {
      fmt::print("{}\n", line);
      return exit_ok;
    };
  });
  app.add_subcommand("help", "Print this help")->callback([&app, &chosen] {
    chosen = [&app] {
      fmt::print("{}", app.help());
      return exit_ok;
    };
  });
}

int parse_and_run(CLI::App& app, const chosen_command& chosen, int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    return exit_usage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_ok : exit_usage;
  }
  return chosen();
}

} // namespace program

int node_main(int argc, char** argv, const node_program& program) {
  program::open_standard_streams();
  rt::raise_descriptor_limit();
  CLI::App app{program.about};
  app.require_subcommand(1);
  program::chosen_command chosen;
  program::add_commands(app, chosen, program);
  return program::parse_and_run(app, chosen, argc, argv);
}

} // namespace skep
