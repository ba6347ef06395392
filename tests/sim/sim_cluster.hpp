#pragma once

#include "messages/chat.hpp"
#include "runtime/cluster/cluster.hpp"
#include "runtime/cluster/membership.hpp"
#include "runtime/node/role.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/testing/test_system.hpp"
#include "tests/sim/sim_network.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace skep::test {

/// An invariant that does not hold.
struct violation : std::runtime_error {
  using runtime_error::runtime_error;
};

/// A vote's number in the memory of the simulation, which outlives its node.
struct sim_ballots : rt::ballot_store {
  std::uint64_t number = 0;
  std::uint64_t load() override {
    return number;
  }
  bool save(std::uint64_t n) override {
    number = n;
    return true;
  }
};

/// A request of a simulation and what became of it.
struct sim_request {
  std::string from;
  std::string name;
  time_point deadline;
  std::shared_ptr<rt::answers> got;
  bool judged = false;
};

/// Whole nodes in one thread and virtual time: the real link protocol, membership, remote handles,
/// routes and actors above a seeded network. Every node serves "agent/echo" but the first of them
/// (so that its calls cross the network) and has a "sink" that checks the order of what it is told.
class sim_cluster {
public:
  /// Each node also builds these roles. They find no configuration there, no HTTP client and no
  /// life of a node, and their children are not restarted.
  sim_cluster(std::uint64_t seed, std::size_t nodes, std::vector<rt::role> roles = {});
  ~sim_cluster();

  /// Runs everything until then, checking the invariants after each step.
  void run_for(duration span);

  void crash(std::size_t node);
  void start(std::size_t node);
  /// The node neither runs nor reads until then.
  void pause(std::size_t node, duration span);
  void drain(std::size_t node);
  void partition(const std::vector<std::size_t>& side);
  void cut_one_way(std::size_t from, std::size_t to);
  void heal();
  weather& sky();

  /// A call from a node that is up; whole or streamed.
  void ask(std::size_t from, duration deadline, bool stream,
           const std::string& name = "agent/echo");
  /// One numbered message from a node's sender to another's sink.
  void tell(std::size_t from, std::size_t to);

  bool is_up(std::size_t node) const;
  bool is_paused(std::size_t node) const;
  std::size_t size() const;
  rt::cluster& cluster_of(std::size_t node);
  const std::vector<sim_request>& requests() const {
    return requests_;
  }
  /// Views installed anywhere so far.
  std::size_t views_seen() const {
    return views_.size();
  }
  time_point now() const {
    return system_.now();
  }
  /// All live nodes have one view with all of them, and own.
  void check_agreement() const;
  /// No call is open anywhere.
  void check_books() const;

private:
  struct node;

  void step(time_point until);
  void check_invariants();
  void check_views();
  void check_requests();
  void check_windows();

  rt::test_system system_;
  sim_network network_;
  flow::rng random_;
  const std::vector<rt::role> roles_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<sim_request> requests_;
  std::map<std::uint64_t, msg::cluster_view> views_;
  std::uint64_t lives_ = 0;
};

} // namespace skep::test
