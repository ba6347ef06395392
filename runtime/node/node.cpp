#include "runtime/node/node.hpp"

#include "runtime/base/log.hpp"
#include "runtime/cluster/loopback_wire.hpp"
#include "runtime/cluster/solo_cluster.hpp"
#include "runtime/config/option.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/node/cluster_node.hpp"
#include "runtime/node/cluster_options.hpp"
#include "runtime/node/descriptors.hpp"
#include "runtime/node/fetch_options.hpp"
#include "runtime/node/identity_options.hpp"
#include "runtime/node/role_order.hpp"
#include "runtime/telemetry/process_metrics.hpp"
#include "runtime/telemetry/registry.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <thread>

namespace skep::rt {

namespace {

using config::option;

// Actors are only told to end after the drain, so this is about letting go of what they hold.
constexpr duration stop_timeout = 5s;
// How long a node that leaves a cluster waits for others to take over what it owns.
constexpr duration leave_timeout = 10s;

const config::table<node_config>& node_table() {
  static const config::table<node_config> rows
    = config::table<node_config>{
        option{"name", &node_config::name, "The node's name in logs, metrics and clusters."},
        option{"threads", &node_config::threads, 0u, 256u,
               "Threads that run actors; 0 takes one per core, at least 2."},
        option{"throughput_max", &node_config::throughput_max, 1u, 100'000u,
               "Messages an actor may handle before another gets its thread."},
        option{"force_wire", &node_config::force_wire,
               "Send every hop through codec and ZeroMQ, to prove both ways equal; slow."},
        option{"debug_kill", &node_config::debug_kill,
               "Allow POST /debug/kill?name=NAME, which crashes an actor on purpose."},
        option{"drain_timeout_ms", &node_config::drain_timeout, std::chrono::milliseconds{0},
               std::chrono::milliseconds{3'600'000},
               "How long a stopping node lets running requests finish."},
        option{"identity_secret", &node_config::identity_secret,
               "env.NAME of the secret that keys the identity of requests, for caches and calls in "
               "flight: at least 16 bytes, the same on all nodes of a cluster and on all that "
               "share a Redis."},
        option{"data_dir", &node_config::data_dir,
               "Where a node without a cluster keeps the identity secret it makes itself, so that "
               "it finds its answers in Redis after a restart; empty: nowhere."},
      }
        .check([](const node_config& c) -> std::optional<config::violation> {
          if (c.identity_secret.empty()
              || c.identity_secret.reveal().size() >= identity_secret::bytes_min)
            return std::nullopt;
          return config::violation{"identity_secret",
                                   "identity_secret must have at least 16 bytes"};
        });
  return rows;
}

const config::table<supervision_config>& supervision_table() {
  using std::chrono::milliseconds;
  static const config::table<supervision_config> rows{
    option{"restarts_max", &supervision_config::restarts_max, 0u, 1000u,
           "Restarts within the window after which a supervisor gives up."},
    option{"restarts_window_ms", &supervision_config::restarts_window, milliseconds{1000},
           milliseconds{3'600'000}, "The window restarts are counted in."},
    option{"backoff_min_ms", &supervision_config::backoff_min, milliseconds{1},
           milliseconds{60'000}, "Upper end of the random delay before the first restart."},
    option{"backoff_max_ms", &supervision_config::backoff_max, milliseconds{1},
           milliseconds{600'000}, "The delay doubles with each restart up to this."},
  };
  return rows;
}

const config::table<log::log_config>& log_table() {
  static const config::table<log::log_config> rows{
    option{"level",
           &log::log_config::level,
           {{"debug", log::level::debug},
            {"info", log::level::info},
            {"warn", log::level::warn},
            {"error", log::level::error},
            {"off", log::level::off}},
           "Events below this are not logged."},
    option{"json", &log::log_config::json, "One JSON object a line instead of text."},
    option{"queue_max", &log::log_config::queue_max, std::size_t{1}, std::size_t{1} << 20,
           "Lines waiting for the writer; when full, the oldest is overwritten and counted."},
    option{"text_bytes", &log::log_config::text_bytes_max, std::size_t{64}, std::size_t{1} << 20,
           "Longer events are cut."},
    option{"file", &log::log_config::file, "File to append to; empty: stderr."},
  };
  return rows;
}

/// The file is opened before the node starts, so what cannot work is found here already.
std::vector<config::violation> check_log(const config::document& doc) {
  const auto& file = doc.get<log::log_config>("log").file;
  std::error_code failed;
  if (!file.empty() && std::filesystem::is_directory(file, failed))
    return {{"log.file", "\"" + file + "\" is a folder; name a file"}};
  return {};
}

caf::actor_system_config& configure(caf::actor_system_config& caf_config, const node_config& from) {
  const auto threads = from.threads != 0
                         ? std::size_t{from.threads}
                         : std::max<std::size_t>(2, std::thread::hardware_concurrency());
  // One shared queue: an idle worker takes what another one's actor woke, at once.
  caf_config.set("scheduler.policy", caf::atom("sharing"));
  caf_config.set("scheduler.max-threads", threads);
  caf_config.set("scheduler.max-throughput", std::size_t{from.throughput_max});
  return caf_config;
}

/// The bounds of the fetch thread: how full, and what they refused.
std::vector<telemetry::registration> export_fetch(telemetry::registry& metrics,
                                                  const net::http_client& fetch) {
  using stats = net::fetch_stats;
  std::vector<telemetry::registration> made;
  const auto gauge = [&](const char* name, const char* help, std::uint64_t stats::*field) {
    made.push_back(metrics.gauge_callback(
      name, help, {}, [&fetch, field] { return static_cast<double>(fetch.stats().*field); }));
  };
  const auto total = [&](const char* name, const char* help, std::uint64_t stats::*field) {
    made.push_back(metrics.counter_callback(
      name, help, {}, [&fetch, field] { return static_cast<double>(fetch.stats().*field); }));
  };
  gauge("skep_fetch_active", "Transfers accepted and not ended.", &stats::active);
  gauge("skep_fetch_queued", "Transfers whose request has not gone out.", &stats::queued);
  gauge("skep_fetch_waiting", "Of these, the ones that wait for a connection of their pool.",
        &stats::waiting);
  gauge("skep_fetch_paused", "Streams stopped for want of credit.", &stats::paused);
  total("skep_fetch_refused_total", "Transfers beyond the queue's bound.", &stats::refused);
  total("skep_fetch_connections_opened_total", "Connections made.", &stats::connections_opened);
  total("skep_fetch_connections_reused_total", "Transfers on a connection that was there.",
        &stats::connections_reused);
  return made;
}

supervisor_config rules_of(const supervision_config& from) {
  supervisor_config rules;
  rules.restarts_max = from.restarts_max;
  rules.restarts_window = from.restarts_window;
  rules.backoff_min = from.backoff_min;
  rules.backoff_max = from.backoff_max;
  rules.seed = std::random_device{}();
  return rules;
}

} // namespace

// -- the parts ------------------------------------------------------------------------------------

struct node::impl final : role_context {
  impl(const config::document& doc, const node_config& n)
    : document(doc), options(n), clock(true), environment_(system, clock, metrics),
      fetcher(doc.get<net::fetch_config>("fetch"), metrics),
      process(metrics, telemetry::build_info{SKEP_VERSION, SKEP_BUILD_TYPE}),
      fetch_metrics(export_fetch(metrics, fetcher)), system(configure(caf_config, n)) {
    status_.name = n.name;
    status_.debug_kill = n.debug_kill;
  }

  // -- role_context -------------------------------------------------------------------------------
  environment& env() override {
    return environment_;
  }
  const config::document& config() override {
    return document;
  }
  node_status& status() override {
    return status_;
  }
  net::http_client& fetch() override {
    return fetcher;
  }
  cluster_port& cluster() override {
    return members ? members->port() : *solo;
  }
  const actor_kind& kind(const std::string& name, const mailbox_bounds& bounds) override {
    auto& known = kinds[name];
    if (!known)
      known = std::make_unique<actor_kind>(metrics, name, bounds);
    return *known;
  }
  std::uint64_t client_connections(std::uint64_t wanted) override;
  caf::actor supervise(child_spec spec) override {
    auto name = spec.name;
    check_covered(name);
    auto child = supervisor::start_child(environment_, std::move(spec));
    auto handle = child.guard_handle;
    environment_.directory().add(std::move(name), handle);
    children.push_back(std::move(child));
    return handle;
  }
  void publish(std::string name, caf::actor who) override {
    check_covered(name);
    environment_.directory().add(std::move(name), std::move(who));
  }
  void serve(http_endpoint what) override {
    served.push_back(std::move(what));
  }
  const std::vector<http_endpoint>& endpoints() const override {
    return served;
  }
  void when_built(std::function<expected<void>(role_context&)> fn) override {
    built_steps.push_back(std::move(fn));
  }
  void on_drain(std::function<void()> fn) override {
    drain_steps.push_back(std::move(fn));
  }
  void drained_when(std::function<bool()> check) override {
    drain_checks.push_back(std::move(check));
  }
  void on_stop(std::function<void()> fn) override {
    stop_steps.push_back(std::move(fn));
  }

  // -- life ---------------------------------------------------------------------------------------
  expected<void> build(std::span<const role> roles);
  expected<void> build_roles(std::span<const role> roles);
  void check_covered(const std::string& name) const;
  child_spec role_spec(const std::string& name);
  void join_cluster(std::vector<name_family> families);
  void watch_root();
  void leave_cluster();
  bool wait_for(const std::function<bool()>& done, time_point deadline);
  void stop();

  const config::document document;
  const node_config options;
  // Actors may run until the system's destructor has joined the scheduler's threads, so everything
  // they use stands before it: also an actor that outlasts stop_timeout finds it alive.
  node_status status_;
  caf::actor_system_config caf_config;
  telemetry::registry metrics;
  std::map<std::string, std::unique_ptr<actor_kind>> kinds;
  timers clock;
  environment environment_;
  net::http_client fetcher;
  telemetry::process_metrics process;
  std::vector<telemetry::registration> fetch_metrics;
  std::unique_ptr<cluster_port> solo;
  std::unique_ptr<cluster_node> members;
  caf::actor_system system;
  const role* being_built = nullptr;
  std::vector<supervisor::child> children; // Of the role being built.
  std::vector<supervisor::child> role_supervisors;
  caf::actor root;
  std::vector<http_endpoint> served;
  std::vector<std::function<expected<void>(role_context&)>> built_steps;
  std::vector<std::function<void()>> drain_steps;
  std::vector<std::function<bool()>> drain_checks;
  std::vector<std::function<void()>> stop_steps;
};

std::uint64_t node::impl::client_connections(std::uint64_t wanted) {
  const auto usage = telemetry::read_process_usage();
  const descriptor_needs needs{.limit = usage.fds_max,
                               .open = usage.open_fds,
                               .providers
                               = document.get<net::fetch_config>("fetch").connections_max,
                               .reserve = options.descriptors_reserve};
  const auto clients = clients_that_fit(needs, wanted);
  if (clients < wanted)
    log::warn("file descriptors: with {} of them there is room for {} of {} client connections "
              "beside {} open, {} for providers and a reserve of {}; raise the limit to {} "
              "(LimitNOFILE=, ulimit -Hn), or lower gateway.connections_max",
              needs.limit, clients, wanted, needs.open, needs.providers, needs.reserve,
              limit_that_fits(needs, wanted));
  return clients;
}

expected<void> node::impl::build(std::span<const role> roles) {
  const auto identity = identity_source_of(document);
  if (identity == identity_source::cluster_name)
    log::warn("{}", describe(identity));
  if (options.force_wire) {
    auto wire = loopback_wire::start(environment_, loopback_wire::delivery::at_once);
    if (!wire)
      return fail(wire.error());
    environment_.use_wire(*wire);
  }
  auto families = families_of(roles);
  if (!families)
    return fail(families.error());
  join_cluster(std::move(*families));
  if (auto done = build_roles(roles); !done)
    return done;
  if (members)
    if (auto done = members->start(); !done)
      return done;
  const auto rules = rules_of(document.get<supervision_config>("supervision"));
  root = supervisor::start_over(environment_, kind("supervisor", {}), rules,
                                std::exchange(role_supervisors, {}));
  watch_root();
  return {};
}

expected<void> node::impl::build_roles(std::span<const role> roles) {
  const auto order = build_order(roles);
  if (!order)
    return fail(order.error());
  for (const auto* each : *order) {
    being_built = each;
    if (auto done = each->build(*this); !done)
      return done;
    role_supervisors.push_back(supervisor::start_child(environment_, role_spec(each->name)));
  }
  being_built = nullptr;
  for (const auto& step : std::exchange(built_steps, {}))
    if (auto done = step(*this); !done)
      return done;
  return {};
}

/// What a role publishes must be true of what it says, or other nodes would not find its names.
void node::impl::check_covered(const std::string& name) const {
  if (being_built == nullptr)
    throw std::logic_error{"the name " + name + " is published when all roles are built"};
  if (!being_built->covers(name))
    throw std::logic_error{"the role " + being_built->name + " publishes " + name
                           + ", and no family of it covers that"};
}

/// Names are looked up in the cluster from here on; its sockets open when all names are published.
void node::impl::join_cluster(std::vector<name_family> families) {
  const auto& from = document.get<cluster_options>("cluster");
  if (from.name.empty()) {
    solo = make_solo_cluster(environment_, options.name);
    return;
  }
  members = std::make_unique<cluster_node>(
    cluster_node::parts{environment_, fetcher, options.name,
                        [this] { status_.drain_requested.store(true); },
                        shared_fingerprint(document), std::move(families)},
    from);
  environment_.use_resolver(&members->port());
}

bool node::impl::wait_for(const std::function<bool()>& done, time_point deadline) {
  while (!done()) {
    if (skep::clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

/// Others take over what this node owns while it still serves: its clients notice nothing.
void node::impl::leave_cluster() {
  if (!members)
    return;
  auto& port = members->port();
  port.leave();
  const auto deadline
    = skep::clock::now() + std::min<duration>(leave_timeout, options.drain_timeout);
  if (!wait_for([&] { return port.has_left(); }, deadline))
    log::warn("cluster: nobody took over what this node owns");
}

/// A role's supervisor as a child of the root. The first start takes the children that build()
/// started; a later one starts them again behind the same guards.
child_spec node::impl::role_spec(const std::string& name) {
  const auto& supervisors = kind("supervisor", {});
  const auto rules = rules_of(document.get<supervision_config>("supervision"));
  auto mine = std::make_shared<std::vector<supervisor::child>>(std::exchange(children, {}));
  auto first = std::make_shared<bool>(true);
  child_spec spec;
  spec.name = "supervisor/" + name;
  spec.guard.use_breaker = false;
  spec.start = [this, mine, first, rules, &supervisors] {
    if (!std::exchange(*first, false)) {
      for (auto& child : *mine) {
        child.instance = child.spec.start();
        guard::of(child.guard_handle).put(child.instance);
      }
    }
    return supervisor::start_over(environment_, supervisors, rules, *mine);
  };
  return spec;
}

void node::impl::watch_root() {
  root->attach_functor([this](const caf::error& why) {
    if (status_.phase.load() == node_phase::draining || !why)
      return;
    log::error("the root supervisor gave up; the node is failing");
    status_.phase.store(node_phase::failed);
  });
}

void node::impl::stop() {
  status_.phase.store(node_phase::draining);
  for (auto step = stop_steps.rbegin(); step != stop_steps.rend(); ++step)
    (*step)();
  stop_steps.clear();
  if (members)
    members->stop();
  environment_.directory().clear();
  for (auto& child : role_supervisors)
    caf::anon_send_exit(child.instance, caf::exit_reason::user_shutdown);
  for (auto& child : children)
    caf::anon_send_exit(child.instance, caf::exit_reason::user_shutdown);
  role_supervisors.clear();
  children.clear();
  if (root)
    caf::anon_send_exit(std::exchange(root, nullptr), caf::exit_reason::user_shutdown);
  environment_.use_wire(nullptr);
  environment_.use_resolver(nullptr);
  const auto deadline = skep::clock::now() + stop_timeout;
  while (environment_.live_actors() > 0 && skep::clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  if (environment_.live_actors() > 0)
    log::warn("{} actors did not end in time", environment_.live_actors());
  // From here on no thread wakes an actor, so that the scheduler can be stopped.
  fetcher.stop();
  clock.stop();
}

// -- node -----------------------------------------------------------------------------------------

config::schema node::schema_of(std::span<const role> roles) {
  config::schema accepted;
  accepted.section("node", config::cardinality::one, node_table(), "The process.");
  accepted.section("supervision", config::cardinality::one, supervision_table(),
                   "How failed actors are restarted.");
  accepted.section("log", config::cardinality::one, log_table(), "The log.");
  accepted.rule(check_log);
  declare_cluster(accepted);
  declare_fetch(accepted);
  for (const auto& each : roles)
    if (each.declare)
      each.declare(accepted);
  return accepted;
}

expected<std::unique_ptr<node>> node::start(const config::document& config,
                                            std::span<const role> roles) {
  auto state = std::make_unique<impl>(config, config.get<node_config>("node"));
  auto made = std::unique_ptr<node>{new node{std::move(state)}};
  try {
    if (auto done = made->impl_->build(roles); !done)
      return fail(done.error());
  } catch (const std::exception& e) {
    return fail(errc::actor_failed, std::string{"the node did not start: "} + e.what());
  }
  made->impl_->status_.phase.store(node_phase::ready);
  return made;
}

node::node(std::unique_ptr<impl> state) : impl_(std::move(state)) {}

node::~node() {
  impl_->stop();
}

node_status& node::status() {
  return impl_->status_;
}

environment& node::env() {
  return impl_->environment_;
}

std::chrono::milliseconds node::drain_timeout() const {
  return impl_->options.drain_timeout;
}

bool node::drain() {
  impl_->status_.phase.store(node_phase::draining);
  impl_->leave_cluster();
  for (auto step = impl_->drain_steps.rbegin(); step != impl_->drain_steps.rend(); ++step)
    (*step)();
  const auto deadline = skep::clock::now() + impl_->options.drain_timeout;
  const auto done = [this] {
    const auto& members = impl_->members;
    return (!members || members->port().port().stats().incoming_open == 0)
           && std::all_of(impl_->drain_checks.begin(), impl_->drain_checks.end(),
                          [](const auto& check) { return check(); });
  };
  return impl_->wait_for(done, deadline);
}

} // namespace skep::rt
