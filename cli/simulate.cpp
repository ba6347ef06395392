#include "actors/gateway/config.hpp"
#include "cli/commands.hpp"
#include "cli/simulate/plan.hpp"
#include "cli/simulate/upstream.hpp"
#include "program/serving.hpp"

#include <fmt/core.h>

namespace skep::cli {

int run_simulate(const simulate_options& options) {
  auto plan = simulate::load_plan(options.plan, options.sets);
  if (!plan) {
    fmt::print(stderr, "{}", to_string(plan.error()));
    return exit_usage;
  }
  if (options.seed)
    plan->upstream.seed = *options.seed;
  const auto listen = actors::split_listen(options.listen);
  if (!listen) {
    fmt::print(stderr, "skep simulate: --listen reads ADDR:PORT\n");
    return exit_usage;
  }
  program::hold_signals(program::stop_signals());
  auto upstream
    = simulate::upstream::start(listen->first, listen->second, std::move(*plan), options.scale);
  if (!upstream) {
    fmt::print(stderr, "skep simulate: {}\n", upstream.error().detail);
    return exit_failed;
  }
  if (!program::announce("skep", (*upstream)->endpoint(), options.ready_file))
    return exit_failed;
  const auto set = program::stop_signals();
  int signal = 0;
  sigwait(&set, &signal);
  return exit_ok;
}

} // namespace skep::cli
