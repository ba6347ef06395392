// Whole clusters of static memberships and failure detectors above a seeded network, in one thread
// and virtual time. SKEP_SIM_SEED=n replays one seed, SKEP_SIM_SEEDS=n sets how many run.
#include "runtime/cluster/failure_detector.hpp"
#include "runtime/cluster/membership.hpp"
#include "runtime/flow/rng.hpp"
#include "tests/support/catch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::rt;

namespace {

constexpr duration beat_interval = 250ms;
constexpr duration tick_interval = 100ms;
constexpr duration trouble_lasts = 25s;
constexpr duration healing_takes = 10s;

/// How a cluster of the simulation is to be built.
struct plan {
  std::size_t seeds = 3;
  std::size_t others = 0;
  /// Every node takes itself for the only seed: what the checks must find.
  bool vote_alone = false;
};

/// An invariant that does not hold.
struct violation : std::runtime_error {
  using runtime_error::runtime_error;
};

struct disk : ballot_store {
  std::uint64_t number = 0;
  std::uint64_t load() override {
    return number;
  }
  bool save(std::uint64_t n) override {
    number = n;
    return true;
  }
};

/// What a node sends; `echo` answers the receiver's ping of that life.
struct beat {
  std::size_t from = 0;
  std::size_t to = 0;
  msg::member_state state;
  time_point ping;
  std::optional<time_point> echo;
  std::uint64_t echo_incarnation = 0;
  bool goodbye = false;
};

struct session {
  std::uint64_t incarnation = 0;
  time_point ping;
};

struct sim_node {
  std::string name;
  disk ballots;
  std::uint64_t incarnation = 0;
  /// Null while the process is down.
  std::unique_ptr<membership> process;
  std::optional<failure_detector> detector;
  std::map<std::size_t, session> sessions;
  std::uint64_t installed = 0; ///< Of this life.
  time_point paused_until{};
  time_point next_tick;
  time_point next_beat;
  std::vector<beat> waiting; ///< Came while it was paused.
  bool left = false;         ///< Drained, and not to come back by itself.
};

class simulation {
public:
  simulation(std::uint64_t seed, plan p);
  /// Trouble, then healing; throws a violation.
  void run();

private:
  struct arrival {
    time_point at;
    std::uint64_t order;
    std::shared_ptr<beat> what;
    bool operator>(const arrival& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  // Faults.
  void make_trouble();
  void split();
  void crash(sim_node& n);
  void start(sim_node& n);
  void heal();

  // The network and the nodes' link threads.
  void run_until(time_point end);
  void send_all(std::size_t from, bool goodbye = false);
  void transmit(beat b);
  void deliver(const beat& b);
  void resume(sim_node& n);
  void tick(std::size_t index);
  void tell_all_at(std::size_t index);

  // What must hold.
  void note_installed(sim_node& n, const msg::cluster_view& view);
  void check_quorums();
  void check_healed() const;

  bool runs(const sim_node& n) const {
    return n.process != nullptr && now_ >= n.paused_until;
  }
  bool chance(double p) {
    return random_.uniform() < p;
  }
  duration up_to(duration d) {
    return duration{static_cast<duration::rep>(random_.uniform() * static_cast<double>(d.count()))};
  }

  flow::rng random_;
  plan plan_;
  static_membership_config bounds_;
  time_point now_{1h};
  std::vector<sim_node> nodes_;
  std::priority_queue<arrival, std::vector<arrival>, std::greater<>> wire_;
  std::uint64_t order_ = 0;
  std::vector<std::vector<bool>> cut_; ///< [from][to]
  double loss_ = 0;
  double twice_ = 0;
  duration delay_ = 1ms;
  std::vector<char> beat_due_; ///< A membership asked for beats.

  std::map<std::uint64_t, msg::cluster_view> views_; ///< All that were ever installed.
  /// Since when these two have quorums for different views.
  std::map<std::pair<std::size_t, std::size_t>, time_point> disagree_;
};

simulation::simulation(std::uint64_t seed, plan p) : random_(seed), plan_(p) {
  const auto count = p.seeds + p.others;
  nodes_ = std::vector<sim_node>(count);
  cut_.assign(count, std::vector<bool>(count, false));
  beat_due_.assign(count, 0);
  // Names in an order of their own, so that the coordinator may be any of them.
  for (std::size_t i = 0; i < count; ++i)
    nodes_[i].name = fmt::format("{}{}", random_.below(1000), static_cast<char>('a' + i));
  for (auto& n : nodes_)
    start(n);
}

// -- faults ---------------------------------------------------------------------------------------

void simulation::start(sim_node& n) {
  static_membership_config config;
  config.self.name = n.name;
  config.self.incarnation = ++n.incarnation;
  config.self.address = "tcp://" + n.name;
  for (std::size_t i = 0; i < plan_.seeds; ++i)
    config.seeds.push_back(nodes_[i].name);
  if (plan_.vote_alone)
    config.seeds = {n.name};
  const auto index = static_cast<std::size_t>(&n - nodes_.data());
  membership_events events;
  events.installed = [this, &n](const view_ptr& v) { note_installed(n, *v); };
  events.changed = [this, index] { beat_due_[index] = 1; };
  n.installed = 0;
  n.left = false;
  n.process = make_static_membership(std::move(config), n.ballots, std::move(events), now_);
  n.detector.emplace(failure_detector_config{});
  n.next_tick = now_ + up_to(tick_interval);
  n.next_beat = now_ + up_to(beat_interval);
}

void simulation::crash(sim_node& n) {
  n.process.reset();
  n.sessions.clear();
  n.waiting.clear();
  n.paused_until = {};
}

/// One random change for the worse, or for the better.
void simulation::make_trouble() {
  auto& n = nodes_[random_.below(static_cast<std::uint32_t>(nodes_.size()))];
  const auto index = static_cast<std::size_t>(&n - nodes_.data());
  switch (random_.below(9)) {
    case 0: // A crash, or a restart.
    case 1: n.process ? crash(n) : start(n); break;
    case 2: // Killed and started again at once.
      crash(n);
      start(n);
      break;
    case 3:
      if (n.process)
        n.paused_until = now_ + 5s;
      break;
    case 4: split(); break;
    case 5: // Single ways.
      for (std::size_t other = 0; other < nodes_.size(); ++other)
        cut_[index][other] = chance(0.4);
      break;
    case 6:
      for (auto& row : cut_)
        row.assign(nodes_.size(), false);
      break;
    case 7:
      loss_ = chance(0.5) ? random_.uniform() * 0.3 : 0.0;
      twice_ = chance(0.5) ? 0.1 : 0.0;
      delay_ = chance(0.5) ? duration{1ms} : 1ms + up_to(400ms);
      break;
    default:
      if (n.process)
        n.process->drain(now_);
      break;
  }
}

void simulation::split() {
  std::vector<char> side;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    side.push_back(chance(0.5) ? 'l' : 'r');
  for (std::size_t a = 0; a < nodes_.size(); ++a)
    for (std::size_t b = 0; b < nodes_.size(); ++b)
      cut_[a][b] = side[a] != side[b];
}

/// The network is whole again and every process that did not leave in good order runs; of the seeds
/// a majority has to.
void simulation::heal() {
  for (auto& row : cut_)
    row.assign(nodes_.size(), false);
  loss_ = twice_ = 0;
  delay_ = 5ms;
  std::size_t gone = 0;
  for (auto& n : nodes_) {
    const bool is_seed = &n < &nodes_[0] + plan_.seeds;
    // A seed that left, or is about to, may stay away while a majority is left.
    const bool leaves = n.left || (n.process && n.process->state().self.draining);
    if (leaves ? !is_seed || (++gone) * 2 < plan_.seeds : n.process != nullptr)
      continue;
    crash(n);
    start(n);
  }
}

// -- network --------------------------------------------------------------------------------------

void simulation::transmit(beat b) {
  if (cut_[b.from][b.to] || chance(loss_))
    return;
  const auto what = std::make_shared<beat>(std::move(b));
  const int copies = chance(twice_) ? 2 : 1;
  for (int i = 0; i < copies; ++i)
    wire_.push({now_ + up_to(delay_), ++order_, what});
}

void simulation::send_all(std::size_t from, bool goodbye) {
  auto& n = nodes_[from];
  beat b;
  b.from = from;
  b.state = n.process->state();
  b.ping = now_;
  b.goodbye = goodbye;
  for (std::size_t to = 0; to < nodes_.size(); ++to) {
    if (to == from)
      continue;
    b.to = to;
    b.echo.reset();
    if (auto known = n.sessions.find(to); known != n.sessions.end()) {
      b.echo = known->second.ping;
      b.echo_incarnation = known->second.incarnation;
    }
    transmit(b);
  }
}

void simulation::deliver(const beat& b) {
  auto& n = nodes_[b.to];
  if (!n.process)
    return;
  if (!runs(n)) {
    n.waiting.push_back(b);
    return;
  }
  const auto& peer = b.state.self;
  auto known = n.sessions.find(b.from);
  if (known != n.sessions.end() && known->second.incarnation > peer.incarnation)
    return; // Of an earlier life.
  if (known != n.sessions.end() && (known->second.incarnation < peer.incarnation || b.goodbye)) {
    n.sessions.erase(known);
    n.detector->forget(peer.name);
    n.process->peer_down(peer.name, now_);
    known = n.sessions.end();
  }
  if (b.goodbye)
    return;
  if (known == n.sessions.end()) {
    known = n.sessions.emplace(b.from, session{peer.incarnation, b.ping}).first;
    n.detector->watch(peer.name, now_);
    n.process->peer_up(peer, now_);
  }
  known->second.ping = std::max(known->second.ping, b.ping);
  n.detector->heard(peer.name, now_);
  const bool ours = b.echo && b.echo_incarnation == n.incarnation;
  n.process->state_came(b.state, ours ? b.echo : std::nullopt, now_);
}

void simulation::tick(std::size_t index) {
  auto& n = nodes_[index];
  n.next_tick = now_ + tick_interval / 2 + up_to(tick_interval);
  n.detector->tick(now_);
  for (const auto& lost : n.detector->lost(now_)) {
    std::erase_if(n.sessions, [&](const auto& s) { return nodes_[s.first].name == lost; });
    n.detector->forget(lost);
    n.process->peer_down(lost, now_);
  }
  n.process->tick(now_);
  // It leaves once its own view says that it owns nothing any more.
  const auto view = n.process->view();
  const auto state = n.process->state();
  const bool may_leave
    = state.self.draining && view
      && std::find(view->members.begin(), view->members.end(), state.self) != view->members.end();
  if (may_leave && chance(0.2)) {
    send_all(index, true);
    crash(n);
    n.left = true;
  }
}

void simulation::resume(sim_node& n) {
  n.paused_until = {};
  if (plan_.seeds > 1 && n.process->has_quorum(now_))
    throw violation{n.name + " believes in its quorum right after a pause"};
  for (const auto& b : std::exchange(n.waiting, {}))
    deliver(b);
}

void simulation::run_until(time_point end) {
  while (now_ < end) {
    auto next = end;
    if (!wire_.empty())
      next = std::min(next, wire_.top().at);
    for (const auto& n : nodes_)
      if (n.process)
        next = std::min(next, std::max(n.paused_until, std::min(n.next_tick, n.next_beat)));
    now_ = std::max(now_, next);
    for (; !wire_.empty() && wire_.top().at <= now_;) {
      const auto what = wire_.top().what;
      wire_.pop();
      deliver(*what);
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      tell_all_at(i);
    check_quorums();
  }
}

/// What one node's link thread does now.
void simulation::tell_all_at(std::size_t index) {
  auto& n = nodes_[index];
  if (!runs(n))
    return;
  if (n.paused_until != time_point{})
    resume(n);
  if (now_ >= n.next_tick)
    tick(index);
  const bool asked = std::exchange(beat_due_[index], 0) != 0;
  if (!n.process || (!asked && now_ < n.next_beat))
    return;
  n.next_beat = now_ + beat_interval;
  send_all(index);
}

// -- what must hold -------------------------------------------------------------------------------

void simulation::note_installed(sim_node& n, const msg::cluster_view& view) {
  if (view.number <= n.installed)
    throw violation{fmt::format("{} went from view {} to {}", n.name, n.installed, view.number)};
  n.installed = view.number;
  const auto [entry, fresh] = views_.emplace(view.number, view);
  if (!fresh && !(entry->second == view))
    throw violation{fmt::format("view {} has two contents", view.number)};
}

/// Nodes with quorums for different views: a seed common to both quorums hears the newer view
/// within one lease and tells the older one's node within another.
void simulation::check_quorums() {
  std::vector<std::uint64_t> number(nodes_.size(), 0);
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (const auto& p = nodes_[i].process; p && p->has_quorum(now_))
      number[i] = p->view()->number;
  for (std::size_t a = 0; a < nodes_.size(); ++a) {
    for (std::size_t b = a + 1; b < nodes_.size(); ++b) {
      if (number[a] == 0 || number[b] == 0 || number[a] == number[b]) {
        disagree_.erase({a, b});
        continue;
      }
      const auto since = disagree_.emplace(std::pair{a, b}, now_).first->second;
      if (now_ - since > 2 * bounds_.lease)
        throw violation{fmt::format("{} and {} own by views {} and {}", nodes_[a].name,
                                    nodes_[b].name, number[a], number[b])};
    }
  }
}

void simulation::check_healed() const {
  std::vector<msg::member> live;
  for (const auto& n : nodes_)
    if (n.process)
      live.push_back(n.process->state().self);
  std::sort(live.begin(), live.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::optional<std::uint64_t> number;
  for (const auto& n : nodes_) {
    if (!n.process)
      continue;
    const auto view = n.process->view();
    if (!view || view->members != live)
      throw violation{n.name + " does not have all live nodes, and only those, in its view"};
    if (number.value_or(view->number) != view->number)
      throw violation{n.name + " has another view than the others"};
    if (!n.process->has_quorum(now_) || n.process->standing(now_) != "quorum")
      throw violation{n.name + " has no quorum: " + n.process->standing(now_)};
    number = view->number;
  }
}

void simulation::run() {
  const auto end = now_ + trouble_lasts;
  while (now_ < end) {
    run_until(std::min(end, now_ + up_to(3s)));
    make_trouble();
  }
  heal();
  // A pause that began at the very end is part of the trouble.
  auto healed = now_;
  for (const auto& n : nodes_)
    healed = std::max(healed, n.paused_until);
  run_until(healed);
  // Those that drain leave meanwhile; they are not counted among the live once they have.
  run_until(now_ + healing_takes);
  check_healed();
}

std::optional<std::uint64_t> from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::optional{std::strtoull(text, nullptr, 10)} : std::nullopt;
}

plan plan_of(std::uint64_t seed) {
  flow::rng random{seed ^ 0x5eed};
  constexpr std::size_t sizes[] = {1, 2, 3, 3, 3, 5};
  return {sizes[random.below(6)], random.below(3), false};
}

/// What went wrong with this seed; empty when nothing did.
std::string failure_of(std::uint64_t seed, plan p) {
  try {
    simulation{seed, p}.run();
    return {};
  } catch (const violation& v) {
    return v.what();
  }
}

} // namespace

TEST_CASE("static memberships agree on every view and converge, whatever the network does",
          "[cluster][membership][sim]") {
  const auto only = from_environment("SKEP_SIM_SEED");
  const auto first = only.value_or(1);
  const auto last = only.value_or(from_environment("SKEP_SIM_SEEDS").value_or(1000));
  for (auto seed = first; seed <= last; ++seed) {
    INFO("seed=" << seed << " (SKEP_SIM_SEED=" << seed << " replays it)");
    REQUIRE(failure_of(seed, plan_of(seed)) == "");
  }
}

TEST_CASE("the simulation finds nodes that decide alone", "[cluster][membership][sim]") {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    found += failure_of(seed, {3, 0, true}).empty() ? 0 : 1;
  CHECK(found == 20);
}
