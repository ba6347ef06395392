#include "actors/agent/config.hpp"
#include "actors/gateway/config.hpp"
#include "actors/provider/config.hpp"
#include "program/commands.hpp"
#include "program/load.hpp"
#include "program/serving.hpp"
#include "runtime/base/log.hpp"
#include "runtime/node/node.hpp"

#include <fmt/core.h>

#include <array>
#include <csignal>
#include <ctime>

namespace skep::program {

namespace {

// How often the main thread looks whether the node failed by itself.
constexpr timespec look_interval{0, 200'000'000};

/// What a node acts upon: the ends, and a log that was rotated (SIGHUP as logrotate's habit is,
/// SIGUSR1 as nginx has it).
sigset_t node_signals() {
  return signal_set({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
}

/// Until a signal to end (its number; SIGTERM also stands for a request to drain) or the node's own
/// failure (0).
int wait_for_end(const rt::node_status& status) {
  const auto set = node_signals();
  for (;;) {
    const int signal = sigtimedwait(&set, nullptr, &look_interval);
    if (signal == SIGHUP || signal == SIGUSR1) {
      log::reopen();
      log::info("signal {}: the log's file is opened again", signal);
    } else if (signal > 0) {
      return signal;
    }
    if (status.phase.load() == rt::node_phase::failed)
      return 0;
    if (status.drain_requested.load())
      return SIGTERM;
  }
}

/// What runs here, for whoever reads the log later.
void tell_start(const node_program& program, const run_options& options,
                const config::document& document, const rt::node_status& status) {
  using log::field;
  const auto& gateway = document.get<actors::gateway_config>("gateway");
  log::tell(log::level::info, {}, "started",
            std::array{field{"version", program.version}, field{"node", status.name},
                       field{"config", options.config}, field{"listen", status.endpoint},
                       field{"providers", document.all<actors::provider_config>("provider").size()},
                       field{"agents", document.all<actors::agent_config>("agent").size()},
                       field{"keys", gateway.keys.size()}});
}

int serve(const node_program& program, const run_options& options, const config::document& document,
          rt::node& node) {
  const auto& endpoint = node.status().endpoint;
  tell_start(program, options, document, node.status());
  if (!announce(program.name, endpoint, options.ready_file, node.status().operations_endpoint))
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

int run(const node_program& program, const run_options& options) {
  // Before any thread starts (the log's is the first), so that all of them leave the signals to
  // this one.
  hold_signals(node_signals());
  if (!options.listen.empty() && !actors::split_listen(options.listen)) {
    fmt::print(stderr,
               "{} run: --listen must read ADDRESS:PORT, for example 127.0.0.1:8080, not {}\n",
               program.name, options.listen);
    return exit_usage;
  }
  auto sets = options.sets;
  if (!options.listen.empty())
    sets.push_back("gateway.listen=\"" + options.listen + "\"");
  const auto document = load_config(options.config, sets, program.roles);
  if (!document)
    return exit_usage;
  if (auto done = log::init(document->get<log::log_config>("log")); !done) {
    fmt::print(stderr, "{}: {}\n", program.name, to_string(done.error()));
    return exit_usage;
  }
  for (const auto& each : document->warnings())
    log::warn("{}: {}", config::place_text(each), each.message);
  int code = exit_failed;
  if (auto node = rt::node::start(*document, program.roles)) {
    code = serve(program, options, *document, **node);
  } else {
    fmt::print(stderr, "{}\n", node.error().detail);
    if (node.error().code == errc::bad_config)
      code = exit_usage;
  }
  log::shutdown();
  return code;
}

} // namespace skep::program
