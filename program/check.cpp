#include "program/commands.hpp"
#include "program/load.hpp"
#include "runtime/config/emit.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/node/identity_options.hpp"
#include "runtime/node/node.hpp"

#include <fmt/core.h>

namespace skep::program {

std::optional<config::document> load_config(const std::string& path,
                                            const std::vector<std::string>& sets,
                                            std::span<const rt::role> roles,
                                            const std::map<std::string, std::string>& variables) {
  auto seen = config::environment::of_process().all();
  for (const auto& [name, text] : variables)
    seen.insert_or_assign(name, text);
  auto loaded = config::load_file(rt::node::schema_of(roles), path,
                                  config::environment{std::move(seen)}, sets);
  if (loaded)
    return std::move(*loaded);
  fmt::print(stderr, "{}", to_string(loaded.error()));
  return std::nullopt;
}

int check(const node_program& program, const check_options& options) {
  const auto& roles = program.roles;
  if (options.all_options) {
    fmt::print("{}", config::all_options_toml(rt::node::schema_of(roles)));
    return exit_ok;
  }
  if (options.markdown) {
    fmt::print("{}", config::markdown(rt::node::schema_of(roles)));
    return exit_ok;
  }
  if (options.config.empty()) {
    fmt::print(stderr, "{} check: name a configuration file\n", program.name);
    return exit_usage;
  }
  const auto document = load_config(options.config, options.sets, roles);
  if (!document)
    return exit_usage;
  for (const auto& each : document->warnings())
    fmt::print(stderr, "{}: warning: {}\n", config::place_text(each), each.message);
  if (options.dump)
    fmt::print("{}", config::dump(*document));
  else
    fmt::print("{}: well-formed\n{}\n", options.config,
               rt::describe(rt::identity_source_of(*document)));
  return exit_ok;
}

} // namespace skep::program
