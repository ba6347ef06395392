#include "tests/sim/sim_cluster.hpp"

#include "messages/codec.hpp"
#include "messages/core.hpp"
#include "runtime/node/role_order.hpp"
#include "tests/sim/sim_role_context.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace skep::test {

namespace {

/// Answers with its node's name, whole or in three pieces.
class echo : public rt::bounded_actor {
public:
  echo(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
       std::string node)
    : bounded_actor(config, env, kind), node_(std::move(node)) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::chat_request& request) {
      auto out = take(c);
      if (!request.stream) {
        msg::chat_reply reply;
        reply.id = node_;
        out.reply(std::move(reply));
        return;
      }
      out.open(msg::chat_open{node_, 0, request.model, {}, {}});
      for (int n = 0; n < 3; ++n) {
        msg::chat_chunk piece;
        piece.content = std::to_string(n);
        out.chunk(std::move(piece));
      }
      out.end(msg::chat_end{});
    }};
  }

private:
  const std::string node_;
};

/// Checks that each sender's numbers grow.
class sink : public rt::bounded_actor {
public:
  sink(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
       std::string& broken)
    : bounded_actor(config, env, kind), broken_(broken) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call&, const msg::chat_open& told) {
      auto& last = last_[told.id];
      if (told.created <= last)
        broken_ = fmt::format("{} came after {} from {}", told.created, last, told.id);
      last = told.created;
    }};
  }

private:
  std::string& broken_;
  std::map<std::string, std::int64_t> last_;
};

/// Asks and tells on behalf of a node.
class client : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[](const msg::ack&) {
      // It lives to ask.
    }};
  }
};

} // namespace

struct sim_cluster::node {
  std::string name;
  std::string address;
  sim_ballots ballots;
  time_point paused_until{};
  std::deque<std::pair<std::string, std::string>> unread; // Frames that came during a pause.
  std::int64_t told = 0;
  std::string broken_order;

  /// One life.
  struct life {
    life(sim_cluster& sim, node& of, std::uint64_t incarnation, std::uint64_t seed,
         std::size_t nodes);
    ~life();
    void flush(time_point now) {
      core->flush(now);
    }
    void build(const std::vector<rt::role>& roles);
    const rt::actor_kind& kind(const std::string& name, const rt::mailbox_bounds& bounds) {
      return kinds.emplace_back(metrics, name, bounds);
    }

    rt::test_system& system;
    telemetry::registry metrics;
    rt::environment env;
    rt::wire_types types;
    std::deque<rt::actor_kind> kinds;
    std::vector<caf::actor> actors;
    caf::actor asker;
    std::unique_ptr<rt::cluster> part;
    sim_socket socket;
    std::unique_ptr<net::link_core> core;
    std::vector<std::function<void(net::link_core&)>> tasks;
  };
  std::unique_ptr<life> alive;
};

namespace {

std::string address_of(std::size_t n) {
  return fmt::format("tcp://10.0.0.{}:7400", n + 1);
}

std::string name_of(std::size_t n) {
  return std::string(1, static_cast<char>('a' + n));
}

rt::cluster_rules rules_for(const std::string& name, const std::string& address,
                            std::uint64_t incarnation, std::size_t nodes,
                            const std::vector<rt::role>& roles) {
  rt::cluster_rules rules;
  rules.families = rt::families_of(roles).value();
  rules.families.push_back({"agent/", rt::name_scope::cluster});
  rules.families.push_back({"sink"});
  rules.cluster = "sim";
  rules.self = {name, incarnation, address, 1, false};
  for (std::size_t n = 0; n < nodes; ++n)
    rules.seeds.emplace_back(name_of(n), address_of(n));
  return rules;
}

} // namespace

sim_cluster::node::life::life(sim_cluster& sim, node& of, std::uint64_t incarnation,
                              std::uint64_t seed, std::size_t nodes)
  : system(sim.system_), env(sim.system_.env().system(), sim.system_.env().timers(), metrics),
    part(std::make_unique<rt::cluster>(
      env, types, rules_for(of.name, of.address, incarnation, nodes, sim.roles_))),
    socket(sim.network_, of.address, [&sim] { return sim.system_.now(); }) {
  env.use_resolver(part.get());
  const auto publish = [this](const std::string& name, const caf::actor& who) {
    actors.push_back(who);
    env.directory().add(name, who);
  };
  if (of.name != name_of(0) || nodes == 1)
    publish("agent/echo", env.spawn<echo>(kind("echo", {}), of.name));
  publish("sink", env.spawn<sink>(kind("sink", {}), std::ref(of.broken_order)));
  build(sim.roles_);
  asker = env.spawn<client>(kind("client", {}));
  actors.push_back(asker);
  caf::anon_send(asker, msg::ack{});

  net::link_config config;
  config.cluster = "sim";
  config.node = of.name;
  config.advertise = of.address;
  config.incarnation = incarnation;
  config.config_digest = 1;
  config.seed = seed | 1;
  core = std::make_unique<net::link_core>(config, socket, *part);
  part->start(
    of.address, *core,
    [this](std::function<void(net::link_core&)> task) { tasks.push_back(std::move(task)); },
    [&](const msg::member& self, rt::membership_events events) {
      rt::static_membership_config rules;
      rules.self = self;
      for (std::size_t n = 0; n < nodes; ++n)
        rules.seeds.push_back(name_of(n));
      return rt::make_static_membership(std::move(rules), of.ballots, std::move(events), env.now());
    },
    env.now());
}

void sim_cluster::node::life::build(const std::vector<rt::role>& roles) {
  sim_role_context context{
    env, *part,
    [this](const std::string& name, const rt::mailbox_bounds& bounds) -> const rt::actor_kind& {
      return kind(name, bounds);
    },
    [this](const caf::actor& who) { actors.push_back(who); }};
  const auto order = rt::build_order(roles).value();
  for (const auto* each : order)
    if (auto done = context.build(*each); !done)
      throw violation{done.error().detail};
}

sim_cluster::node::life::~life() {
  core.reset();
  part->stop();
  env.directory().clear();
  env.use_resolver(nullptr);
  for (const auto& each : actors)
    caf::anon_send_exit(each, caf::exit_reason::kill);
  actors.clear();
  asker = nullptr;
  system.run(); // They use what is destroyed next.
}

sim_cluster::sim_cluster(std::uint64_t seed, std::size_t nodes, std::vector<rt::role> roles)
  : network_(seed), random_(seed), roles_(std::move(roles)) {
  for (std::size_t n = 0; n < nodes; ++n) {
    nodes_.push_back(std::make_unique<node>());
    nodes_[n]->name = name_of(n);
    nodes_[n]->address = address_of(n);
  }
  for (std::size_t n = 0; n < nodes; ++n)
    start(n);
}

sim_cluster::~sim_cluster() {
  for (auto& each : nodes_)
    each->alive.reset();
  system_.run();
}

// -- time -----------------------------------------------------------------------------------------

void sim_cluster::step(time_point until) {
  auto next = std::min(until, network_.next());
  for (const auto& each : nodes_) {
    if (!each->alive)
      continue;
    const auto due = each->alive->core->next_tick();
    next = std::min(next, std::max(due, each->paused_until));
  }
  const auto now = system_.now();
  // Timers in between fire in their order; at least a microsecond passes.
  system_.advance(std::max<duration>(next - now, 1us));
  network_.deliver(system_.now());
  for (const auto& each : nodes_) {
    if (!each->alive || each->paused_until > system_.now())
      continue;
    auto& life = *each->alive;
    for (auto& task : std::exchange(life.tasks, {}))
      task(*life.core);
    while (!each->unread.empty()) {
      const auto frame = std::move(each->unread.front());
      each->unread.pop_front();
      life.core->frame_came(frame.first, frame.second, {}, system_.now());
    }
    system_.run();
    if (life.core->next_tick() <= system_.now())
      life.core->tick(system_.now());
    life.core->flush(system_.now());
  }
  system_.run();
}

void sim_cluster::run_for(duration span) {
  const auto until = system_.now() + span;
  while (system_.now() < until) {
    step(until);
    check_invariants();
  }
}

// -- what happens to nodes ------------------------------------------------------------------------

void sim_cluster::start(std::size_t n) {
  auto& each = *nodes_[n];
  each.paused_until = {};
  each.unread.clear();
  each.told += 1'000'000; // A new life's numbers never look old.
  each.alive = std::make_unique<node::life>(*this, each, ++lives_ * 10, random_(), nodes_.size());
  network_.listen(each.address, [this, n](std::string_view head, std::string_view body) {
    auto& to = *nodes_[n];
    if (to.paused_until > system_.now())
      to.unread.emplace_back(head, body);
    else if (to.alive)
      to.alive->core->frame_came(head, body, {}, system_.now());
  });
}

void sim_cluster::crash(std::size_t n) {
  network_.listen(nodes_[n]->address, nullptr);
  nodes_[n]->alive.reset();
  nodes_[n]->unread.clear();
  // Nobody is left to wait for these.
  std::erase_if(requests_, [&](const sim_request& each) { return each.from == nodes_[n]->name; });
  system_.run();
}

void sim_cluster::pause(std::size_t n, duration span) {
  nodes_[n]->paused_until = system_.now() + span;
}

void sim_cluster::drain(std::size_t n) {
  nodes_[n]->alive->part->leave();
}

void sim_cluster::partition(const std::vector<std::size_t>& side) {
  for (std::size_t a = 0; a < nodes_.size(); ++a)
    for (std::size_t b = 0; b < nodes_.size(); ++b) {
      const bool a_in = std::find(side.begin(), side.end(), a) != side.end();
      const bool b_in = std::find(side.begin(), side.end(), b) != side.end();
      if (a_in != b_in)
        network_.cut(nodes_[a]->address, nodes_[b]->address, true);
    }
}

void sim_cluster::cut_one_way(std::size_t from, std::size_t to) {
  network_.cut(nodes_[from]->address, nodes_[to]->address, true);
}

void sim_cluster::heal() {
  network_.heal();
}

weather& sim_cluster::sky() {
  return network_.sky();
}

// -- work -----------------------------------------------------------------------------------------

void sim_cluster::ask(std::size_t from, duration deadline, bool stream, const std::string& name) {
  auto& life = *nodes_[from]->alive;
  auto context = system_.context(deadline);
  auto got = std::make_shared<rt::answers>();
  requests_.push_back({nodes_[from]->name, name, context.deadline, got, false});
  msg::chat_request request;
  request.stream = stream;
  auto& asker = static_cast<rt::bounded_actor&>(*caf::actor_cast<caf::abstract_actor*>(life.asker));
  asker.ask(
    life.part->route(name), std::move(context), std::move(request),
    [got](const rt::answer& one) { got->add(one); }, 4096);
  system_.run();
}

void sim_cluster::tell(std::size_t from, std::size_t to) {
  auto& life = *nodes_[from]->alive;
  msg::chat_open numbered;
  numbered.id = nodes_[from]->name;
  numbered.created = ++nodes_[from]->told;
  auto& asker = static_cast<rt::bounded_actor&>(*caf::actor_cast<caf::abstract_actor*>(life.asker));
  asker.tell(life.part->remote(nodes_[to]->name, "sink"), system_.context(60s), numbered);
  system_.run();
}

bool sim_cluster::is_up(std::size_t n) const {
  return nodes_[n]->alive != nullptr;
}

bool sim_cluster::is_paused(std::size_t n) const {
  return nodes_[n]->paused_until > system_.now();
}

std::size_t sim_cluster::size() const {
  return nodes_.size();
}

rt::cluster& sim_cluster::cluster_of(std::size_t n) {
  return *nodes_[n]->alive->part;
}

// -- invariants -----------------------------------------------------------------------------------

void sim_cluster::check_invariants() {
  check_views();
  check_requests();
  check_windows();
  for (const auto& each : nodes_)
    if (!each->broken_order.empty())
      throw violation{"order at " + each->name + ": " + each->broken_order};
}

/// A view's number means one thing, so a slot has one owner in it.
void sim_cluster::check_views() {
  for (const auto& each : nodes_) {
    const auto view = each->alive ? each->alive->part->state()->view : nullptr;
    if (!view)
      continue;
    const auto [known, fresh] = views_.emplace(view->number, *view);
    if (!fresh && known->second != *view)
      throw violation{fmt::format("view {} is not the same everywhere", view->number)};
  }
}

/// Nothing stays open past its deadline, nothing ends twice.
void sim_cluster::check_requests() {
  for (auto& each : requests_) {
    if (each.judged)
      continue;
    if (each.got->ends() > 1)
      throw violation{"a request ended twice: " + each.got->story()};
    if (each.got->complete()) {
      each.judged = true;
    } else if (each.deadline + 20ms < system_.now()) {
      throw violation{fmt::format("a request of {} is open past its deadline", each.from)};
    }
  }
}

void sim_cluster::check_windows() {
  for (const auto& each : nodes_) {
    if (!each->alive)
      continue;
    for (const auto& link : each->alive->core->peers())
      if (link.up && link.window_bytes != 0 && link.in_flight_bytes > link.window_bytes)
        throw violation{fmt::format("{} has {} bytes in flight to {}, whose window is {}",
                                    each->name, link.in_flight_bytes, link.name,
                                    link.window_bytes)};
  }
}

void sim_cluster::check_agreement() const {
  rt::view_ptr first;
  std::size_t live = 0;
  for (const auto& each : nodes_)
    live += each->alive ? 1 : 0;
  for (const auto& each : nodes_) {
    if (!each->alive)
      continue;
    const auto state = each->alive->part->state();
    if (!state->owning)
      throw violation{each->name + " does not own: " + each->alive->part->trouble()};
    if (!state->view || state->view->members.size() != live)
      throw violation{fmt::format("{} sees {} members, {} live", each->name,
                                  state->view ? state->view->members.size() : 0, live)};
    if (first && first->number != state->view->number)
      throw violation{fmt::format("views {} and {}", first->number, state->view->number)};
    first = state->view;
  }
}

void sim_cluster::check_books() const {
  for (const auto& each : nodes_) {
    if (!each->alive)
      continue;
    const auto wire = each->alive->part->port().stats();
    if (wire.outgoing_open != 0 || wire.incoming_open != 0)
      throw violation{fmt::format("{}: {} calls out and {} calls in never ended", each->name,
                                  wire.outgoing_open, wire.incoming_open)};
    if (wire.malformed != 0)
      throw violation{fmt::format("{} counted {} malformed envelopes", each->name, wire.malformed)};
  }
}

} // namespace skep::test
