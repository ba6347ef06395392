#include "actors/roles.hpp"
#include "cli/commands.hpp"
#include "cli/load.hpp"
#include "cli/serving.hpp"
#include "runtime/base/log.hpp"
#include "runtime/node/node.hpp"

#include <fmt/core.h>

#include <csignal>
#include <ctime>

namespace skep::cli {

namespace {

// How often the main thread looks whether the node failed by itself.
constexpr timespec look_interval{0, 200'000'000};

/// Until a signal (its number; SIGTERM also stands for a request to drain) or the node's own
/// failure (0).
int wait_for_end(const rt::node_status& status) {
  const auto set = stop_signals();
  for (;;) {
    if (const int signal = sigtimedwait(&set, nullptr, &look_interval); signal > 0)
      return signal;
    if (status.phase.load() == rt::node_phase::failed)
      return 0;
    if (status.drain_requested.load())
      return SIGTERM;
  }
}

int serve(const run_options& options, rt::node& node) {
  const auto& endpoint = node.status().endpoint;
  if (!announce(endpoint, options.ready_file))
    return exit_failed;
  const int signal = wait_for_end(node.status());
  if (signal == 0) {
    log::error("the node failed; stopping");
    return exit_failed;
  }
  log::info("signal {}: draining, at most {} ms", signal, node.drain_timeout().count());
  let_signals_kill();
  const bool whole = node.drain();
  log::info("{}", whole ? "drained: every request was finished"
                        : "the drain timed out; cutting what still runs");
  return exit_ok;
}

} // namespace

int run(const run_options& options) {
  const auto roles = actors::all_roles();
  auto sets = options.sets;
  if (!options.listen.empty())
    sets.push_back("gateway.listen=\"" + options.listen + "\"");
  const auto document = load_config(options.config, sets, roles);
  if (!document)
    return exit_usage;
  if (auto done = log::init(document->get<log::log_config>("log")); !done) {
    fmt::print(stderr, "skep: {}\n", to_string(done.error()));
    return exit_usage;
  }
  // Before any thread starts, so that all of them leave the signals to this one.
  hold_signals();
  int code = exit_failed;
  if (auto node = rt::node::start(*document, roles)) {
    code = serve(options, **node);
  } else {
    fmt::print(stderr, "{}\n", node.error().detail);
    if (node.error().code == errc::bad_config)
      code = exit_usage;
  }
  log::shutdown();
  return code;
}

} // namespace skep::cli
